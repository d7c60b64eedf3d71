//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use oci::{Reference, RepositoryName};

use crate::limits::PROBLEMS_LISTED_MAX;
use crate::{JobCounts, Problem, RunReport};

/// What this process did for a job, all runs together.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<JobCounts>);

impl Totals {
    pub(crate) fn counts(&self) -> JobCounts {
        *self.lock()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut JobCounts)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JobCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one run did.
#[derive(Debug)]
pub(crate) struct Tally {
    totals: Arc<Totals>,
    started: Timestamp,
    copied: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    blobs: AtomicU64,
    blobs_there: AtomicU64,
    manifests: AtomicU64,
    bytes: AtomicU64,
    problems: Mutex<Problems>,
    /// Those of the run before it that are not settled yet.
    carried: Mutex<Problems>,
}

/// Problems, the first of them by name.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) listed: Vec<Problem>,
    pub(crate) unlisted: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, name: &RepositoryName, of: Option<&Reference>, reason: String) {
        if self.listed.len() >= PROBLEMS_LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        let (repository, reference) = (name.to_string(), of.map(ToString::to_string));
        self.listed.push(Problem { repository, reference, reason });
    }

    /// Forgets what went wrong with something.
    fn settle(&mut self, name: &RepositoryName, of: &Reference) {
        if self.listed.is_empty() {
            return;
        }
        let of = of.to_string();
        self.listed.retain(|problem| {
            problem.repository != name.as_str() || problem.reference.as_ref() != Some(&of)
        });
    }
}

impl Tally {
    pub(crate) fn new(totals: Arc<Totals>) -> Self {
        Self {
            totals,
            started: Timestamp::now(),
            copied: AtomicU64::default(),
            skipped: AtomicU64::default(),
            failed: AtomicU64::default(),
            retried: AtomicU64::default(),
            blobs: AtomicU64::default(),
            blobs_there: AtomicU64::default(),
            manifests: AtomicU64::default(),
            bytes: AtomicU64::default(),
            problems: Mutex::default(),
            carried: Mutex::default(),
        }
    }

    /// Of a pass that only works off what there is, after this run: what went wrong then is so still,
    /// unless the pass settles it.
    pub(crate) fn following(totals: Arc<Totals>, last: Option<&RunReport>) -> Self {
        let mut tally = Self::new(totals);
        if let Some(last) = last {
            let (listed, unlisted) = (last.problems.clone(), last.problems_unlisted);
            tally.carried = Mutex::new(Problems { listed, unlisted });
        }
        tally
    }

    pub(crate) fn copied(&self) {
        self.copied.fetch_add(1, Ordering::Relaxed);
        self.totals.change(|counts| counts.copied += 1);
    }

    pub(crate) fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        self.totals.change(|counts| counts.skipped += 1);
    }

    /// An attempt failed; there is another one if `is_retried`.
    pub(crate) fn failed(&self, is_retried: bool) {
        let counter = if is_retried { &self.retried } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.totals.change(|counts| counts.failed += 1);
    }

    pub(crate) fn blob(&self) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn blob_there(&self) {
        self.blobs_there.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn manifest(&self, bytes: usize) {
        self.manifests.fetch_add(1, Ordering::Relaxed);
        self.passed(bytes as u64);
        self.totals.change(|counts| counts.bytes += bytes as u64);
    }

    /// So much passed in this run, which the totals know already.
    pub(crate) fn passed(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Something was copied, or given up anew: what went wrong with it before is over.
    pub(crate) fn settled(&self, name: &RepositoryName, of: &Reference) {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).settle(name, of);
    }

    /// Puts in front of a report's problems those of before that are not settled.
    pub(crate) fn carry_over(&self, report: &mut RunReport) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let Problems { listed, unlisted } = std::mem::take(&mut *carried);
        report.problems.splice(0..0, listed);
        let too_many = report.problems.len().saturating_sub(PROBLEMS_LISTED_MAX);
        report.problems.truncate(PROBLEMS_LISTED_MAX);
        report.problems_unlisted += unlisted + too_many as u64;
    }

    pub(crate) fn problem(&self, name: &RepositoryName, of: Option<&Reference>, reason: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).add(name, of, reason);
    }

    /// Whether anything came of it.
    pub(crate) fn has_any(&self) -> bool {
        [&self.copied, &self.skipped, &self.failed, &self.retried]
            .iter()
            .any(|counter| counter.load(Ordering::Relaxed) > 0)
    }

    /// What it comes to. What is planned, left and deferred is for others to say.
    pub(crate) fn report(&self) -> RunReport {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let Problems { listed, unlisted } = std::mem::take(&mut *problems);
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RunReport {
            started: self.started,
            ended: Timestamp::now(),
            planned_at: None,
            plan_again: None,
            plans_broken_off: 0,
            planned: 0,
            copied: value(&self.copied),
            skipped: value(&self.skipped),
            failed: value(&self.failed),
            retried: value(&self.retried),
            left: 0,
            deferred: 0,
            blobs: value(&self.blobs),
            blobs_there: value(&self.blobs_there),
            manifests: value(&self.manifests),
            bytes: value(&self.bytes),
            stopped: false,
            problems: listed,
            problems_unlisted: unlisted,
        }
    }
}
