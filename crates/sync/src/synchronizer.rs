//! One job, and everything that is done for it.

mod pushes;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use oci::{Reference, RepositoryName};
use registry::Registry;
use registry::layout::SyncPaths;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::holding::{holder, under_lease};
use crate::limits::{FAILED_LISTED_MAX, QUEUE_ITEMS_MAX, REPORT_BYTES_MAX};
use crate::planning::PlanEnd;
use crate::queue::{Item, Queue, key_of, note, read_note};
use crate::tally::Tally;
use crate::working::Worker;
use crate::{Gate, Job, JobCounts, JobStatus, Plan, RunReport, SyncError};

/// Does one job. It may be shared, and everything may be called at any time.
pub struct Synchronizer {
    engine: Engine,
    /// Told when something is queued here.
    queued: Notify,
}

impl Synchronizer {
    /// What does a job. Repositories here that `protected` names are never written to. Asks nobody.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        job: Job,
        protected: Option<registry::collection::Selection>,
    ) -> Self {
        Self { engine: Engine::new(registry, job, protected), queued: Notify::new() }
    }

    /// Has it ask whether this registry can be written to.
    #[must_use]
    pub fn with_gate(mut self, gate: Arc<dyn Gate>) -> Self {
        self.engine.gate = Some(gate);
        self
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.engine.job
    }

    /// What a run would copy. Writes nothing, and takes no lease.
    ///
    /// # Errors
    /// [`SyncError::Source`] when it can't even be listed; what else can't be looked at is in the
    /// plan.
    pub async fn plan(&self) -> Result<Plan, SyncError> {
        let (paths, _) = self.queue()?;
        let planned = self.planned(&paths, QUEUE_ITEMS_MAX, &CancellationToken::new()).await?;
        Ok(planned.0)
    }

    async fn planned(
        &self,
        paths: &SyncPaths,
        items_max: usize,
        stop: &CancellationToken,
    ) -> Result<(Plan, PlanEnd), SyncError> {
        let driver = &**self.engine.registry.driver();
        self.engine.ages.load(driver, &paths.ages()).await?;
        self.engine.plan(items_max, stop).await
    }

    /// Plans, queues, and works off what is queued and due.
    ///
    /// # Errors
    /// [`SyncError`]; `Paused` while the remote wants to be left alone, by what this process has heard
    /// from it.
    pub async fn run(&self, stop: &CancellationToken) -> Result<RunReport, SyncError> {
        if let Some(until) = self.engine.health.paused_until() {
            return Err(SyncError::Paused { until });
        }
        let (paths, queue) = self.queue()?;
        let work = async {
            let tally = Tally::new(Arc::clone(&self.engine.totals));
            let planned = self.enqueue(&paths, &queue, stop).await;
            self.engine.health.note_planned(planned.is_ok());
            let (plan, end) = planned?;
            let left = Worker::new(&self.engine, &queue, &tally, &self.queued).run(stop).await?;
            let mut report = tally.report();
            report.planned = plan.items.len() as u64;
            report.deferred = plan.deferred;
            report.problems.splice(0..0, plan.problems);
            report.problems_unlisted += plan.problems_unlisted;
            (report.left, report.stopped) = (left.items, left.stopped);
            report.note_plan(end, self.last(&paths).await?.as_ref());
            self.keep(&paths, &report).await?;
            Ok(report)
        };
        under_lease(&self.engine.registry, &paths, work.boxed()).await
    }

    /// Works off what is queued and due; nothing while the remote wants to be left alone. What went
    /// wrong with the last run stays in what is kept of it until it is settled.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn work(&self, stop: &CancellationToken) -> Result<RunReport, SyncError> {
        let (paths, queue) = self.queue()?;
        let work = async {
            let last = self.last(&paths).await?;
            let tally = Tally::following(Arc::clone(&self.engine.totals), last.as_ref());
            let left = Worker::new(&self.engine, &queue, &tally, &self.queued).run(stop).await?;
            let mut report = tally.report();
            (report.left, report.stopped) = (left.items, left.stopped);
            report.planned_as(last.as_ref());
            if tally.has_any() {
                let mut kept = report.clone();
                kept.deferred = last.map_or(0, |last| last.deferred);
                tally.carry_over(&mut kept);
                self.keep(&paths, &kept).await?;
            }
            Ok(report)
        };
        under_lease(&self.engine.registry, &paths, work.boxed()).await
    }

    /// Plans, and queues what is not queued already.
    async fn enqueue(
        &self,
        paths: &SyncPaths,
        queue: &Queue,
        stop: &CancellationToken,
    ) -> Result<(Plan, PlanEnd), SyncError> {
        let known = queue.ids().await?;
        let room = QUEUE_ITEMS_MAX.saturating_sub(known.len());
        let (plan, end) = self.planned(paths, room, stop).await?;
        // Also of a plan that has gaps, so that the next one goes further.
        self.engine.ages.save(&**self.engine.registry.driver(), &paths.ages()).await?;
        let known: HashSet<_> = known.iter().map(|id| key_of(id)).collect();
        let mut failed = queue.failed_keys().await?;
        let mut items = Vec::new();
        for planned in &plan.items {
            let (Ok(repository), Ok(reference)) =
                (RepositoryName::parse(&planned.repository), Reference::parse(&planned.reference))
            else {
                continue;
            };
            let item = Item::new(repository, reference, planned.reason);
            if !known.contains(item.key()) {
                items.push(item);
            }
        }
        queue.add(&items).await?;
        // What is queued is tried anew, and not given up any more. What a whole plan does not name is
        // at the target by now, or is not to be copied any more.
        let is_whole = end == PlanEnd::Whole && plan.is_whole();
        let queued: HashSet<_> = items.iter().map(Item::key).collect();
        failed.retain(|key| queued.contains(&**key) || (is_whole && !known.contains(&**key)));
        for key in &failed {
            queue.forgive(key).await?;
        }
        Ok((plan, end))
    }

    /// How the job stands, by what is on the storage.
    ///
    /// # Errors
    /// [`SyncError::Storage`].
    pub async fn status(&self) -> Result<JobStatus, SyncError> {
        let (paths, queue) = self.queue()?;
        let driver = &**self.engine.registry.driver();
        let ids = queue.ids().await?;
        let oldest = match ids.first() {
            Some(id) => queue.peek(id).await?.map(|item| item.told(false)),
            None => None,
        };
        let mut keys: Vec<_> = queue.failed_keys().await?.into_iter().collect();
        keys.sort_unstable();
        let mut failed = Vec::new();
        for key in keys.iter().take(FAILED_LISTED_MAX) {
            failed.extend(queue.failed(key).await?.map(|item| item.told(true)));
        }
        Ok(JobStatus {
            last: self.last(&paths).await?,
            queued: ids.len() as u64,
            oldest,
            failed,
            failed_total: keys.len() as u64,
            holder: holder(driver, &paths).await?,
        })
    }

    /// What was done here, for metrics.
    #[must_use]
    pub fn counts(&self) -> JobCounts {
        self.engine.totals.counts()
    }

    fn queue(&self) -> Result<(SyncPaths, Queue), SyncError> {
        let paths = SyncPaths::of(&self.engine.job.name)
            .map_err(|_| SyncError::Name(self.engine.job.name.clone()))?;
        let driver = Arc::clone(self.engine.registry.driver());
        Ok((paths.clone(), Queue::new(driver, paths)))
    }

    /// What the last run did, as it is kept.
    async fn last(&self, paths: &SyncPaths) -> Result<Option<RunReport>, SyncError> {
        let driver = &**self.engine.registry.driver();
        Ok(read_note(driver, &paths.last(), REPORT_BYTES_MAX).await?)
    }

    /// Keeps what a run did.
    async fn keep(&self, paths: &SyncPaths, report: &RunReport) -> Result<(), SyncError> {
        if report.is_success() && self.engine.health.is_planned() {
            self.engine.totals.change(|counts| counts.succeeded = Some(Timestamp::now()));
        }
        Ok(self.engine.registry.driver().put(&paths.last(), note(report)).await?)
    }
}

impl fmt::Debug for Synchronizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synchronizer").field("job", &self.engine.job).finish_non_exhaustive()
    }
}

/// Whoever calls it may do so in a task of its own.
#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;

    fn is_send<T: Send>(future: T) -> T {
        future
    }

    #[expect(dead_code, reason = "it only has to compile")]
    fn all_futures_are_send(job: &Synchronizer, stop: &CancellationToken, name: &RepositoryName) {
        drop(is_send(job.plan()));
        drop(is_send(job.run(stop)));
        drop(is_send(job.work(stop)));
        drop(is_send(job.status()));
        let reference = Reference::Digest(Digest::of(oci::Algorithm::Sha256, b""));
        drop(is_send(job.pushed(name, &reference, Digest::of(oci::Algorithm::Sha256, b""))));
    }
}
