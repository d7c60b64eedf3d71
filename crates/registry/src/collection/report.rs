//! What a collection did, while it does it and in the end.

use std::time::Duration;

use oci::{Digest, RepositoryName, Tag};
use serde::Serialize;

use super::garbage::{Garbage, Item, Reason};
use crate::limits::{COLLECTION_PROBLEMS_LISTED_MAX, RETENTION_LISTED_MAX};
use crate::retention::Decision;

/// Something that a collection just did or found.
#[derive(Debug)]
pub enum Event<'a> {
    /// It reads a repository.
    Repository {
        /// The repository.
        name: &'a RepositoryName,
    },
    /// A manifest is kept.
    Marked {
        /// The repository.
        name: &'a RepositoryName,
        /// The manifest.
        digest: &'a Digest,
    },
    /// What a kept manifest is made of is marked, if that was not done yet. Only where
    /// [`CollectionOptions::tells_parts`](super::CollectionOptions::tells_parts) asks for it.
    MarkedPart {
        /// The repository.
        name: &'a RepositoryName,
        /// The configuration, layer or child.
        digest: &'a Digest,
    },
    /// The rules were asked about a tag.
    Retention {
        /// The repository.
        name: &'a RepositoryName,
        /// The tag.
        tag: &'a Tag,
        /// What they say.
        decision: &'a Decision,
    },
    /// Something is garbage.
    Garbage {
        /// What.
        garbage: &'a Garbage,
        /// Why.
        reason: Reason,
    },
    /// Garbage was deleted.
    Deleted {
        /// What.
        garbage: &'a Garbage,
    },
    /// An upload, or what is left of one, is deleted.
    Upload {
        /// Where it lies.
        path: &'a str,
        /// Whether it is only told of.
        dry_run: bool,
    },
    /// A repository had nothing left, and is gone.
    RepositoryRemoved {
        /// The repository.
        name: &'a RepositoryName,
    },
    /// Something can't be read or deleted.
    Problem {
        /// What.
        problem: &'a Problem,
    },
}

/// Something that can't be read or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The repository.
    pub repository: Option<String>,
    /// What it is, and what is done about it.
    pub what: String,
}

/// How many things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tags.
    pub tags: u64,
    /// Manifests of repositories.
    pub manifests: u64,
    /// Layer links of repositories.
    pub layers: u64,
    /// Blobs.
    pub blobs: u64,
    /// The size of those blobs, in bytes.
    pub blob_bytes: u64,
}

impl Counts {
    fn add(&mut self, garbage: &Garbage) {
        match garbage {
            Garbage::Tag { .. } => self.tags += 1,
            Garbage::Manifest { .. } => self.manifests += 1,
            Garbage::Layer { .. } => self.layers += 1,
            Garbage::Blob { size_bytes, .. } => {
                self.blobs += 1;
                self.blob_bytes += size_bytes;
            }
        }
    }
}

/// What the rules say of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// Tags that they keep.
    pub kept: u64,
    /// Tags that they let go.
    pub going: u64,
    /// Those that go, the first of them.
    pub tags: Vec<Retained>,
}

/// A tag, and what a rule says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The rule, counted from 1 on, and why.
    pub why: String,
}

/// What a collection did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether nothing was deleted, as that was not asked for.
    pub dry_run: bool,
    /// Whether it was told to end before its time.
    pub stopped: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The manifests that are kept, counted in each repository.
    pub manifests_marked: u64,
    /// The blobs that something refers to, manifests among them.
    pub blobs_marked: u64,
    /// The blobs that there were.
    pub blobs_seen: u64,
    /// What nothing refers to.
    pub garbage: Counts,
    /// What of it was deleted.
    pub deleted: Counts,
    /// What of it came to be relied on meanwhile, and stays.
    pub rescued: u64,
    /// Blobs that nothing refers to and that are too young to go.
    pub young_blobs: u64,
    /// Uploads that nobody will finish, deleted.
    pub uploads: u64,
    /// Repositories that had nothing left, and are gone.
    pub repositories_removed: u64,
    /// What the rules say of tags, if there are any.
    pub retention: RetentionReport,
    /// Whether there is more garbage than fits one run.
    pub left_over: bool,
    /// What can't be read or deleted, the first of it.
    pub problems: Vec<Problem>,
    /// How much of that there was.
    pub problems_total: u64,
}

/// The counters of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    manifests_marked: u64,
    blobs_marked: u64,
    blobs_seen: u64,
    garbage: Counts,
    deleted: Counts,
    rescued: u64,
    young_blobs: u64,
    uploads: u64,
    repositories_removed: u64,
    retention: RetentionReport,
    left_over: bool,
    problems: Vec<Problem>,
    problems_total: u64,
}

impl Tally {
    pub(super) const fn marked(&mut self, manifests: u64) {
        self.manifests_marked += manifests;
    }

    pub(super) const fn blobs_marked(&mut self, blobs: u64) {
        self.blobs_marked = blobs;
    }

    pub(super) const fn blobs_seen(&mut self, blobs: u64) {
        self.blobs_seen += blobs;
    }

    pub(super) const fn young(&mut self) {
        self.young_blobs += 1;
    }

    pub(super) fn found(&mut self, item: &Item) {
        self.garbage.add(&item.garbage);
    }

    pub(super) fn deleted(&mut self, garbage: &Garbage) {
        self.deleted.add(garbage);
    }

    pub(super) const fn rescued(&mut self, items: u64) {
        self.rescued += items;
    }

    pub(super) const fn uploads(&mut self, uploads: u64) {
        self.uploads += uploads;
    }

    pub(super) const fn repository_removed(&mut self) {
        self.repositories_removed += 1;
    }

    pub(super) fn retention(&mut self, name: &RepositoryName, tag: &Tag, decision: &Decision) {
        let report = &mut self.retention;
        if decision.verdict.keeps() {
            report.kept += 1;
            return;
        }
        report.going += 1;
        if report.tags.len() < RETENTION_LISTED_MAX {
            let (repository, tag) = (name.to_string(), tag.to_string());
            report.tags.push(Retained { repository, tag, why: decision.to_string() });
        }
    }

    pub(super) const fn left_over(&mut self) {
        self.left_over = true;
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems_total += 1;
        // Marking twice finds it twice.
        if self.problems.len() < COLLECTION_PROBLEMS_LISTED_MAX && !self.problems.contains(&problem)
        {
            self.problems.push(problem);
        }
    }

    pub(super) fn report(self, took: Duration, dry_run: bool, stopped: bool) -> Report {
        Report {
            dry_run,
            stopped,
            seconds: took.as_secs_f64(),
            manifests_marked: self.manifests_marked,
            blobs_marked: self.blobs_marked,
            blobs_seen: self.blobs_seen,
            garbage: self.garbage,
            deleted: self.deleted,
            rescued: self.rescued,
            young_blobs: self.young_blobs,
            uploads: self.uploads,
            repositories_removed: self.repositories_removed,
            retention: self.retention,
            left_over: self.left_over,
            problems: self.problems,
            problems_total: self.problems_total,
        }
    }
}
