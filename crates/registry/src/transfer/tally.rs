//! The counters of a transfer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::report::{Counts, End, Findings, Phase, Report, Snapshot};

/// What is copied, in the order in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Alias,
    Layer,
    Manifest,
    TagHistory,
    Tag,
}

const KINDS: usize = 6;

/// One counter for each kind.
#[derive(Debug, Default)]
struct Counters([AtomicU64; KINDS]);

impl Counters {
    fn add(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Relaxed);
    }

    fn counts(&self) -> Counts {
        let count = |kind: Kind| self.0[kind as usize].load(Relaxed);
        Counts {
            blobs: count(Kind::Blob),
            aliases: count(Kind::Alias),
            layers: count(Kind::Layer),
            manifests: count(Kind::Manifest),
            tag_history: count(Kind::TagHistory),
            tags: count(Kind::Tag),
        }
    }
}

/// The counters of a transfer.
#[derive(Debug)]
pub(super) struct Tally {
    pass: AtomicU32,
    copied: Counters,
    copied_bytes: AtomicU64,
    read_bytes: AtomicU64,
    there: Counters,
    stale: AtomicU64,
    deleted: Counters,
    failures_in_a_row: AtomicU64,
    shared: Mutex<Shared>,
}

/// What does not fit an atomic number.
#[derive(Debug)]
struct Shared {
    /// What had been copied before this pass.
    before: u64,
    phase: Phase,
    left_out: Findings,
    failed: Findings,
    only_at_target: Findings,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            pass: AtomicU32::default(),
            copied: Counters::default(),
            copied_bytes: AtomicU64::default(),
            read_bytes: AtomicU64::default(),
            there: Counters::default(),
            stale: AtomicU64::default(),
            deleted: Counters::default(),
            failures_in_a_row: AtomicU64::default(),
            shared: Mutex::new(Shared {
                before: 0,
                phase: Phase::Blobs { done: 0, of: 0 },
                left_out: Findings::default(),
                failed: Findings::default(),
                only_at_target: Findings::default(),
            }),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a pass: what the one before could not do, this one may.
    pub(super) fn begin_pass(&self, pass: u32) {
        self.pass.store(pass, Relaxed);
        self.stale.store(0, Relaxed);
        let mut shared = self.shared();
        shared.before = self.copied.counts().total();
        shared.left_out = Findings::default();
        shared.failed = Findings::default();
    }

    pub(super) fn pass(&self) -> u32 {
        self.pass.load(Relaxed)
    }

    /// Whether anything was copied in this pass.
    pub(super) fn has_copied(&self) -> bool {
        self.copied.counts().total() > self.shared().before
    }

    pub(super) fn at(&self, phase: Phase) {
        self.shared().phase = phase;
    }

    pub(super) fn read(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn copied_blob(&self, size_bytes: u64) {
        self.copied.add(Kind::Blob);
        self.copied_bytes.fetch_add(size_bytes, Relaxed);
        self.storage_works();
    }

    pub(super) fn copied_link(&self, kind: Kind) {
        self.copied.add(kind);
        self.storage_works();
    }

    /// The target has something. What a pass has copied, the next one finds: only the first counts.
    pub(super) fn there(&self, kind: Kind) {
        if self.pass() == 1 {
            self.there.add(kind);
        }
        self.storage_works();
    }

    pub(super) fn deleted(&self, kind: Kind) {
        self.deleted.add(kind);
        self.storage_works();
    }

    pub(super) fn left_out(&self, path: impl ToString, reason: impl ToString) {
        self.shared().left_out.add(path.to_string(), reason.to_string());
        self.storage_works();
    }

    pub(super) fn stale(&self) {
        self.stale.fetch_add(1, Relaxed);
    }

    pub(super) fn only_at_target(&self, repository: impl ToString) {
        let reason = "the source does not have this repository; it is left as it is";
        self.shared().only_at_target.add(repository.to_string(), reason.to_owned());
    }

    /// Something could not be copied, because the storage failed or for another reason. Returns how
    /// many failures of the storage there were in a row.
    pub(super) fn failed(
        &self,
        path: impl ToString,
        reason: impl ToString,
        is_storage: bool,
    ) -> u64 {
        self.shared().failed.add(path.to_string(), reason.to_string());
        self.failures_in_a_row.fetch_add(u64::from(is_storage), Relaxed) + u64::from(is_storage)
    }

    fn storage_works(&self) {
        self.failures_in_a_row.store(0, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let shared = self.shared();
        Snapshot {
            pass: self.pass(),
            phase: shared.phase,
            copied: self.copied.counts(),
            there: self.there.counts(),
            read_bytes: self.read_bytes.load(Relaxed),
            failed: shared.failed.total,
        }
    }

    pub(super) fn report(&self, end: End) -> Report {
        let shared = self.shared();
        Report {
            end,
            passes: self.pass(),
            copied: self.copied.counts(),
            copied_bytes: self.copied_bytes.load(Relaxed),
            there: self.there.counts(),
            deleted: self.deleted.counts(),
            stale_tag_history: self.stale.load(Relaxed),
            left_out: shared.left_out.clone(),
            failed: shared.failed.clone(),
            only_at_target: shared.only_at_target.clone(),
        }
    }
}
