//! What a check tells: while it runs, and at its end.

use oci::{Digest, RepositoryName};
use serde::Serialize;
use storage::StoragePath;

use super::kind::{Kind, Severity};

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was only reported.
    Reported,
    /// It is as it should be now.
    Mended,
    /// It was moved to the quarantine.
    SetAside,
    /// It could not be mended.
    Remains,
}

impl Outcome {
    /// Whether there is nothing left of it.
    #[must_use]
    pub const fn is_mended(self) -> bool {
        matches!(self, Self::Mended | Self::SetAside)
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    #[serde(skip)]
    pub kind: Kind,
    /// Where it lies.
    pub path: String,
    /// The repository that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What was seen.
    pub reason: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How it was mended, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl Finding {
    pub(super) fn new(kind: Kind, path: &StoragePath, reason: impl Into<String>) -> Self {
        Self {
            kind,
            path: path.to_string(),
            repository: None,
            digest: None,
            reason: reason.into(),
            outcome: Outcome::Reported,
            result: None,
        }
    }

    pub(super) fn of(self, digest: &Digest) -> Self {
        Self { digest: Some(digest.to_string()), ..self }
    }

    pub(super) fn within(self, name: &RepositoryName) -> Self {
        Self { repository: Some(name.to_string()), ..self }
    }
}

/// All findings of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What is wrong.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What it means.
    pub meaning: &'static str,
    /// What a repair does about it.
    pub repair: &'static str,
    /// How many there were.
    pub total: u64,
    /// How many of them were mended or set aside.
    pub mended: u64,
    /// The first [`CHECK_FINDINGS_LISTED_MAX`](crate::limits::CHECK_FINDINGS_LISTED_MAX) of them.
    pub listed: Vec<Finding>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Links of manifests.
    pub manifests: u64,
    /// Links of blobs.
    pub layers: u64,
    /// Blobs.
    pub blobs: u64,
    /// Content that was read, in bytes.
    pub read_bytes: u64,
}

/// A number of blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Weighed {
    /// How many.
    pub blobs: u64,
    /// Their size together, in bytes.
    pub bytes: u64,
}

/// What a check is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not begun.
    #[default]
    Beginning,
    /// The blobs: so many of so many directories of them are done.
    Blobs {
        /// Directories that are done.
        done: u64,
        /// All of them; as content is named by its digest, each holds about as much as another.
        of: u64,
    },
    /// The repositories, of which nobody knows how many there are.
    Repositories,
    /// What nothing leads to is named.
    Orphans,
}

/// How far a check is.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// What it is at.
    pub phase: Phase,
    /// What was looked at by now.
    pub checked: Checked,
    /// Errors that were found, mended or not.
    pub errors: u64,
    /// Warnings likewise.
    pub warnings: u64,
    /// What was mended or set aside.
    pub mended: u64,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything was looked at.
    Finished,
    /// It was told to stop.
    Stopped,
    /// The storage failed too often in a row.
    GaveUp,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// Whether it mended what can be mended.
    pub repair: bool,
    /// Whether the content of blobs was not read.
    pub quick: bool,
    /// What was looked at.
    pub checked: Checked,
    /// Errors that remain.
    pub errors: u64,
    /// Warnings that remain.
    pub warnings: u64,
    /// Notes.
    pub notes: u64,
    /// What was mended or set aside.
    pub mended: u64,
    /// Blobs that no link leads to; nothing when not all repositories were looked at.
    pub orphans: Option<Weighed>,
    /// Blobs that repositories have, and that none of their manifests refers to.
    pub unused: Option<Weighed>,
    /// What was found, the worst first.
    pub findings: Vec<Group>,
}

impl Report {
    /// Whether everything was looked at and no error remains.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.errors == 0 && matches!(self.end, End::Finished)
    }

    /// The findings of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&Group> {
        self.findings.iter().find(|group| group.kind == kind)
    }
}
