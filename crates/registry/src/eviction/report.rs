//! What an eviction found and did.

use jiff::Timestamp;
use oci::RepositoryName;
use serde::Serialize;

use super::EvictionOptions;
use super::survey::{Survey, Unit};
use crate::collection::{Counts, Problem, Report};
use crate::limits::{COLLECTION_PROBLEMS_LISTED_MAX, EVICTION_LISTED_MAX};

/// Why something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvictionReason {
    /// It was not used for longer than its repository allows.
    Age,
    /// There is too much, and everything else was used after it.
    Size,
}

impl EvictionReason {
    /// The word for it, as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// What goes as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// A manifest, with its tags and what nothing else of its repository is made of.
    Manifest,
    /// A blob that no manifest of its repository names.
    Blob,
}

/// Something that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evicted {
    /// The repository.
    pub repository: String,
    /// What it is.
    pub kind: UnitKind,
    /// Its digest.
    pub digest: String,
    /// Why.
    pub reason: EvictionReason,
    /// When it was last used, as far as that is known, as in RFC 3339.
    pub last_used: String,
    /// The size of the cached blobs that nothing has any more then, in bytes.
    pub freed_bytes: u64,
}

/// How much is taken for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Manifests.
    pub manifests: u64,
    /// Blobs that no manifest names.
    pub blobs: u64,
    /// The size of the cached blobs that nothing has any more then, in bytes.
    pub bytes: u64,
}

impl Taken {
    /// Everything that was taken, of either kind.
    #[must_use]
    pub const fn units(&self) -> u64 {
        self.manifests + self.blobs
    }
}

/// What an eviction did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvictionReport {
    /// Whether nothing was taken, as that was not asked for.
    pub dry_run: bool,
    /// Whether it was told to end before its time.
    pub stopped: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The cached repositories that have anything.
    pub repositories: u64,
    /// The blobs that they have, manifests among them, each counted once.
    pub blobs: u64,
    /// How large those were, in bytes.
    pub bytes_before: u64,
    /// How large they are now, in bytes, or would be. What was fetched meanwhile is not in it.
    pub bytes_after: u64,
    /// How large they may be, in bytes, if there is such a bound.
    pub max_bytes: Option<u64>,
    /// Whether they are still larger: what is left is to be kept, in use, or can't be read.
    pub above_max: bool,
    /// What was not used for too long.
    pub by_age: Taken,
    /// What there was no room for.
    pub by_size: Taken,
    /// All of that, the first of it.
    pub taken: Vec<Evicted>,
    /// Manifests and blobs that were used, or written, so lately that they stay in any case.
    pub in_use_units: u64,
    /// What was really deleted. Data that local repositories have stays.
    pub deleted: Counts,
    /// What was to go and stays, as somebody came to rely on it.
    pub rescued: u64,
    /// Blobs whose links are gone, and whose data the next eviction deletes, or the one after it.
    pub pending_blobs: u64,
    /// Whether there is more to take than fits one run.
    pub left_over: bool,
    /// What can't be read or deleted, the first of it.
    pub problems: Vec<Problem>,
    /// How much of that there was.
    pub problems_total: u64,
}

impl EvictionReport {
    /// One of what was found, and nothing done yet.
    pub(super) fn of(survey: &Survey<'_>, options: &EvictionOptions) -> Self {
        let bytes = survey.table.bytes();
        Self {
            dry_run: options.dry_run,
            stopped: false,
            seconds: 0.0,
            repositories: survey.repositories.len() as u64,
            blobs: survey.table.blobs().len() as u64,
            bytes_before: bytes,
            bytes_after: bytes,
            max_bytes: options.max_bytes,
            above_max: false,
            by_age: Taken::default(),
            by_size: Taken::default(),
            taken: Vec::new(),
            in_use_units: 0,
            deleted: Counts::default(),
            rescued: 0,
            pending_blobs: 0,
            left_over: false,
            problems: survey.problems.clone(),
            problems_total: survey.problems_total,
        }
    }

    /// Counts something that is taken.
    pub(super) fn taken(
        &mut self,
        name: &RepositoryName,
        unit: &Unit,
        reason: EvictionReason,
        freed_bytes: u64,
    ) {
        let taken = match reason {
            EvictionReason::Age => &mut self.by_age,
            EvictionReason::Size => &mut self.by_size,
        };
        match unit.kind {
            UnitKind::Manifest => taken.manifests += 1,
            UnitKind::Blob => taken.blobs += 1,
        }
        taken.bytes += freed_bytes;
        if self.taken.len() < EVICTION_LISTED_MAX {
            let last_used = Timestamp::try_from(unit.used.last).unwrap_or(Timestamp::UNIX_EPOCH);
            self.taken.push(Evicted {
                repository: name.to_string(),
                kind: unit.kind,
                digest: unit.digest.to_string(),
                reason,
                last_used: last_used.to_string(),
                freed_bytes,
            });
        }
    }

    /// Takes in what the collection did that carried it out.
    pub(super) fn take_in(&mut self, done: Report) {
        self.deleted = done.deleted;
        self.rescued = done.rescued;
        self.left_over = done.left_over;
        // What can't be read it finds again.
        for problem in done.problems {
            if self.problems.contains(&problem) {
                continue;
            }
            self.problems_total += 1;
            if self.problems.len() < COLLECTION_PROBLEMS_LISTED_MAX {
                self.problems.push(problem);
            }
        }
    }
}
