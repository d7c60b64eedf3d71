//! What a job did, and how it stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Reason;
use crate::planning::PlanEnd;
use crate::retries::{after, plan_backoff};

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The repository at the source.
    pub repository: String,
    /// Tag or digest, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What went wrong.
    pub reason: String,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// When it began.
    #[serde(with = "crate::times")]
    pub started: Timestamp,
    /// When it ended.
    #[serde(with = "crate::times")]
    pub ended: Timestamp,
    /// When the job was planned last, by this run or by one before it: to its end, and the queue worked
    /// off as far as it was due. `None` when it never was.
    #[serde(default, with = "crate::times::option")]
    pub planned_at: Option<Timestamp>,
    /// When it is to be planned again, out of turn: the last plan broke off as a side did not work.
    #[serde(default, with = "crate::times::option")]
    pub plan_again: Option<Timestamp>,
    /// How many plans in a row have broken off.
    #[serde(default)]
    pub plans_broken_off: u32,
    /// How many items it planned; 0 when it only worked off the queue.
    pub planned: u64,
    /// Items that were copied.
    pub copied: u64,
    /// Items of which everything was there by then.
    pub skipped: u64,
    /// Items that failed and are not tried any more before the next run.
    pub failed: u64,
    /// Items that failed and are tried again.
    pub retried: u64,
    /// Items that are left in the queue.
    pub left: u64,
    /// How many more there are at the source than one run takes on.
    pub deferred: u64,
    /// Blobs that were sent.
    pub blobs: u64,
    /// Blobs that the target had already.
    pub blobs_there: u64,
    /// Manifests that were sent.
    pub manifests: u64,
    /// Bytes of blobs and manifests that were sent.
    pub bytes: u64,
    /// Whether it was told to stop before its end.
    pub stopped: bool,
    /// What went wrong, the first of it.
    pub problems: Vec<Problem>,
    /// How many problems are not listed.
    pub problems_unlisted: u64,
}

impl RunReport {
    /// Takes over from the report before it what is known of planning.
    pub(crate) fn planned_as(&mut self, last: Option<&Self>) {
        self.planned_at = last.and_then(|last| last.planned_at);
        self.plan_again = last.and_then(|last| last.plan_again);
        self.plans_broken_off = last.map_or(0, |last| last.plans_broken_off);
    }

    /// Takes note of how its plan ended.
    pub(crate) fn note_plan(&mut self, end: PlanEnd, last: Option<&Self>) {
        self.planned_as(last);
        match end {
            PlanEnd::Whole if !self.stopped => {
                self.planned_at = Some(self.ended);
                (self.plan_again, self.plans_broken_off) = (None, 0);
            }
            PlanEnd::Whole | PlanEnd::Stopped => {}
            PlanEnd::BrokenOff { wait } => {
                self.plans_broken_off = self.plans_broken_off.saturating_add(1);
                let backoff = plan_backoff(self.plans_broken_off);
                let wait = wait.map_or(backoff, |wait| wait.max(backoff));
                self.plan_again = Some(after(self.ended, wait));
            }
        }
    }

    /// Whether all went well: nothing is left, nor left out, and nothing went wrong.
    #[must_use]
    pub fn is_success(&self) -> bool {
        let is_all = !self.stopped && self.left == 0 && self.deferred == 0;
        is_all && self.failed == 0 && self.problems.is_empty() && self.problems_unlisted == 0
    }
}

/// The last run, as it is kept on the storage.
pub type LastRun = RunReport;

/// Something in a queue, or that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueuedItem {
    /// The repository at the source.
    pub repository: String,
    /// Its tag or digest.
    pub reference: String,
    /// Why it is copied.
    pub reason: Reason,
    /// Since when it is queued.
    #[serde(with = "crate::times")]
    pub queued: Timestamp,
    /// How often it was tried, and failed of itself: that a side did not work does not count.
    pub attempts: u32,
    /// When it is tried next; `None` when it was given up.
    #[serde(with = "crate::times::option")]
    pub due: Option<Timestamp>,
    /// Why the last attempt failed; `None` when there was none.
    pub error: Option<String>,
}

/// Who is working on a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The name of its machine.
    pub host: String,
    /// The number of its process.
    pub process: u32,
    /// Since when.
    #[serde(with = "crate::times")]
    pub since: Timestamp,
}

/// How a job stands, by what is on the storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// The last run; `None` when there was none.
    pub last: Option<LastRun>,
    /// How many items are queued.
    pub queued: u64,
    /// The one that has been queued for longest.
    pub oldest: Option<QueuedItem>,
    /// What was given up, the first of it.
    pub failed: Vec<QueuedItem>,
    /// How many were given up, those that are not listed among them.
    pub failed_total: u64,
    /// Who is working on it just now; `None` when nobody is.
    pub holder: Option<Holder>,
}

/// What this process did for a job since it was started, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Items that were copied.
    pub copied: u64,
    /// Items of which everything was there already.
    pub skipped: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Items that could not be queued at a push.
    pub unqueued: u64,
    /// Bytes of blobs and manifests that were sent.
    pub bytes: u64,
    /// How many items were queued when somebody looked last.
    pub queued: u64,
    /// When a run ended well last; `None` when none did.
    pub succeeded: Option<Timestamp>,
    /// When something in the queue is due next; `None` when there is nothing in it.
    pub next_due: Option<Timestamp>,
}
