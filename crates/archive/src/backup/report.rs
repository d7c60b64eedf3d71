//! What a backup tells.

use oci::Digest;
use registry::transfer::Findings;
use serde::{Deserialize, Serialize};

use super::record::text;

/// A snapshot: what `snapshots/<time>.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// What it is called: the time when it was begun, as `20260131T235959Z`.
    #[serde(default)]
    pub name: String,
    /// `application/vnd.wharf.backup.snapshot.v1+json`
    pub media_type: String,
    /// When it was begun, as in RFC 3339.
    pub created: String,
    /// The list of its repositories, a blob of the layout.
    pub content: Content,
    /// Repositories that have a manifest.
    pub repositories: u64,
    /// Manifests of all repositories.
    pub manifests: u64,
    /// Tags of all repositories.
    pub tags: u64,
    /// Blobs of all repositories; one that two of them have counts twice.
    pub blobs: u64,
}

/// The list of a snapshot's repositories, as a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// `application/vnd.wharf.backup.repositories.v1+jsonl`
    pub media_type: String,
    /// Its digest.
    #[serde(with = "text")]
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
}

/// What came of the making of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CreateReport {
    /// What it is called.
    pub snapshot: String,
    /// Repositories in it.
    pub repositories: u64,
    /// Repositories that have a manifest and were [left out](super::CreateOptions::left_out).
    pub left_out: u64,
    /// Manifests in it.
    pub manifests: u64,
    /// Tags in it.
    pub tags: u64,
    /// Blobs that were copied, manifests among them.
    pub copied_blobs: u64,
    /// Their content, in bytes.
    pub copied_bytes: u64,
    /// Blobs that the backup had.
    pub there_blobs: u64,
    /// What was deleted before it was copied, or long before: not in the snapshot.
    pub gone: Findings,
    /// Manifests that lack something at the registry: in the snapshot as the registry serves them.
    pub incomplete: Findings,
    /// Manifests whose content is damaged: not in the snapshot.
    pub damaged: Findings,
}

impl CreateReport {
    /// Whether the snapshot has everything that the registry has.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.damaged.total == 0
    }
}

/// What came of looking at a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The snapshots that were looked at.
    pub snapshots: Vec<String>,
    /// Blobs that were read.
    pub blobs: u64,
    /// Their content, in bytes.
    pub bytes: u64,
    /// What is missing or damaged, with the snapshot and the repository it belongs to.
    pub damaged: Findings,
}

impl VerifyReport {
    /// Whether all of it can be restored.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.damaged.total == 0
    }
}

/// What came of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The snapshot.
    pub snapshot: String,
    /// Whether nothing was written, only counted.
    pub dry_run: bool,
    /// Repositories that were restored, or would be.
    pub repositories: u64,
    /// Manifests of theirs, those that were there among them.
    pub manifests: u64,
    /// Blobs that were copied, or would be, manifests among them.
    pub copied_blobs: u64,
    /// Their content, in bytes.
    pub copied_bytes: u64,
    /// Blobs that the registry had.
    pub there_blobs: u64,
    /// Tags that were written, or would be.
    pub tags: u64,
    /// Tags that were there and named the same manifest.
    pub there_tags: u64,
    /// Tags that name another manifest at the registry, and were left as they are.
    pub kept: Findings,
    /// What could not be restored.
    pub failed: Findings,
}

impl RestoreReport {
    /// Whether the registry has everything now that was to be restored.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.kept.total == 0 && self.failed.total == 0
    }
}

/// What came of the removal of snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Whether nothing was removed, only counted.
    pub dry_run: bool,
    /// Snapshots that stay.
    pub kept: Vec<String>,
    /// Snapshots that were removed, or would be.
    pub removed: Vec<String>,
    /// Blobs that were removed, or would be.
    pub removed_blobs: u64,
    /// Their content, in bytes.
    pub removed_bytes: u64,
}
