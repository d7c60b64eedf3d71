//! What a transfer tells: while it runs, and at its end.

use serde::Serialize;

use crate::limits::TRANSFER_FINDINGS_LISTED_MAX;

/// How many of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Blobs, those of manifests among them.
    pub blobs: u64,
    /// Digests other than SHA-256 under which blobs are known.
    pub aliases: u64,
    /// Blobs of repositories.
    pub layers: u64,
    /// Manifests of repositories.
    pub manifests: u64,
    /// Notes of what tags have named at some time.
    pub tag_history: u64,
    /// Tags.
    pub tags: u64,
}

impl Counts {
    /// All together, without the blobs.
    #[must_use]
    pub const fn links(&self) -> u64 {
        self.aliases + self.layers + self.manifests + self.tag_history + self.tags
    }

    /// All together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.blobs + self.links()
    }
}

/// Something that a person should know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: a path of the layout, or a repository.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Things that a person should know of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many there are.
    pub total: u64,
    /// The first [`TRANSFER_FINDINGS_LISTED_MAX`] of them.
    pub listed: Vec<Finding>,
}

impl Findings {
    /// Counts one more, and lists it if there is room.
    pub fn add(&mut self, path: String, reason: String) {
        self.total += 1;
        if self.listed.len() < TRANSFER_FINDINGS_LISTED_MAX {
            self.listed.push(Finding { path, reason });
        }
    }
}

/// What a transfer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The blobs: so many of so many directories of them are done.
    Blobs {
        /// Directories that are done.
        done: u64,
        /// All of them; as content is named by its digest, each holds about as much as another.
        of: u64,
    },
    /// The links of repositories: so many have been begun.
    Repositories {
        /// Repositories.
        begun: u64,
    },
    /// The removal of what was deleted at the source: so many repositories have been begun.
    Deletions {
        /// Repositories.
        begun: u64,
    },
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// The pass, from 1 on.
    pub pass: u32,
    /// What it is at.
    pub phase: Phase,
    /// What was copied in all passes.
    pub copied: Counts,
    /// What the target had before.
    pub there: Counts,
    /// Content that was read so far, in bytes, also of blobs that are not finished yet.
    pub read_bytes: u64,
    /// What could not be copied in this pass.
    pub failed: u64,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The last pass found nothing new.
    Settled,
    /// The last pass that was allowed still copied something, so that there may be more.
    PassesUsedUp,
    /// It was a dry run: nothing was done, only counted.
    DryRun,
    /// It was told to stop.
    Stopped,
    /// The storage failed too often in a row.
    GaveUp,
}

/// What came of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// How many passes were begun.
    pub passes: u32,
    /// What was copied in all passes, or would be.
    pub copied: Counts,
    /// The content of the blobs that were copied, in bytes.
    pub copied_bytes: u64,
    /// What the target had before.
    pub there: Counts,
    /// What was removed at the target, or would be.
    pub deleted: Counts,
    /// Notes of what tags have named whose manifest the source does not have any more: left out.
    pub stale_tag_history: u64,
    /// Links that lead to nothing, or are damaged: the source answers as if they were not there,
    /// and the target does not get them.
    pub left_out: Findings,
    /// What could not be copied or removed, in the last pass.
    pub failed: Findings,
    /// Repositories that only the target has, when deletions were asked for.
    pub only_at_target: Findings,
}

impl Report {
    /// Whether everything that could be copied was.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.failed.total == 0 && !matches!(self.end, End::Stopped | End::GaveUp)
    }
}
