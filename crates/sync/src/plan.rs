//! What a run would copy.

use serde::{Deserialize, Serialize};

use crate::Problem;

/// Why something is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The target does not have it.
    New,
    /// The target's tag names something else.
    Moved,
    /// The target has the index, and lacks a manifest of it that the job copies.
    Incomplete,
    /// The target lacks something that refers to it.
    Referrers,
    /// It was pushed here a moment ago.
    Pushed,
}

/// Something that a run would copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedItem {
    /// The repository at the source.
    pub repository: String,
    /// The repository at the target.
    pub target: String,
    /// Its tag, or its digest where it has none.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: String,
    /// Why.
    pub reason: Reason,
    /// What it is made of, in bytes, where that is known without asking for more: the manifest of an
    /// index does not say it. What of it is at the target already is not taken off.
    pub size_bytes: Option<u64>,
}

/// What a run would copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What is to be copied, in the order in which it is queued.
    pub items: Vec<PlannedItem>,
    /// How many tags were looked at, those that are at the target already among them.
    pub looked_at: u64,
    /// How many repositories were looked at.
    pub repositories: u64,
    /// How many more there are than one run takes on.
    pub deferred: u64,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
    /// How many problems are not listed.
    pub problems_unlisted: u64,
}

impl Plan {
    /// Whether nothing was left out.
    pub(crate) fn is_whole(&self) -> bool {
        self.deferred == 0 && self.problems.is_empty() && self.problems_unlisted == 0
    }
}
