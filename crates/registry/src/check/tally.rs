//! The counters of a check.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::kind::{Kind, Severity};
use super::report::{Checked, End, Finding, Group, Phase, Report, Snapshot, Weighed};
use crate::limits::CHECK_FINDINGS_LISTED_MAX;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Thing {
    Repository,
    Tag,
    Manifest,
    Layer,
    Blob,
}

/// The counters of a check.
#[derive(Debug, Default)]
pub(super) struct Tally {
    things: [AtomicU64; 5],
    read_bytes: AtomicU64,
    failures_in_a_row: AtomicU64,
    shared: Mutex<Shared>,
}

/// What does not fit an atomic number.
#[derive(Debug, Default)]
struct Shared {
    phase: Phase,
    groups: BTreeMap<Kind, Group>,
}

impl Tally {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn at(&self, phase: Phase) {
        self.shared().phase = phase;
    }

    /// Something was looked at, so that the storage works.
    pub(super) fn checked(&self, thing: Thing) {
        self.things[thing as usize].fetch_add(1, Relaxed);
        self.failures_in_a_row.store(0, Relaxed);
    }

    pub(super) fn read(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a failure of the storage; returns how many there were in a row.
    pub(super) fn storage_failed(&self) -> u64 {
        self.failures_in_a_row.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn found(&self, finding: Finding) {
        let kind = finding.kind;
        let mut shared = self.shared();
        let group = shared.groups.entry(kind).or_insert_with(|| Group {
            kind,
            severity: kind.severity(),
            meaning: kind.meaning(),
            repair: kind.repair(),
            total: 0,
            mended: 0,
            listed: Vec::new(),
        });
        group.total += 1;
        group.mended += u64::from(finding.outcome.is_mended());
        if group.listed.len() < CHECK_FINDINGS_LISTED_MAX {
            group.listed.push(finding);
        }
    }

    fn counts(&self) -> Checked {
        let count = |thing: Thing| self.things[thing as usize].load(Relaxed);
        Checked {
            repositories: count(Thing::Repository),
            tags: count(Thing::Tag),
            manifests: count(Thing::Manifest),
            layers: count(Thing::Layer),
            blobs: count(Thing::Blob),
            read_bytes: self.read_bytes.load(Relaxed),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let shared = self.shared();
        let of = |severity| shared.groups.values().filter(move |g| g.severity == severity);
        Snapshot {
            phase: shared.phase,
            checked: self.counts(),
            errors: of(Severity::Error).map(|g| g.total).sum(),
            warnings: of(Severity::Warning).map(|g| g.total).sum(),
            mended: shared.groups.values().map(|g| g.mended).sum(),
        }
    }

    pub(super) fn report(
        &self,
        end: End,
        repair: bool,
        quick: bool,
        orphans: Option<Weighed>,
        unused: Option<Weighed>,
    ) -> Report {
        let shared = self.shared();
        let remaining = |severity| {
            let groups = shared.groups.values().filter(|g| g.severity == severity);
            groups.map(|g| g.total - g.mended).sum()
        };
        Report {
            end,
            repair,
            quick,
            checked: self.counts(),
            errors: remaining(Severity::Error),
            warnings: remaining(Severity::Warning),
            notes: remaining(Severity::Note),
            mended: shared.groups.values().map(|g| g.mended).sum(),
            orphans,
            unused,
            findings: shared.groups.values().cloned().collect(),
        }
    }
}
