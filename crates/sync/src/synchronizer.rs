//! One job, and everything that is done for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use oci::{Digest, Manifest, Reference, RepositoryName};
use registry::Registry;
use registry::layout::SyncPaths;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::companions::{Belonging, belonging};
use crate::engine::Engine;
use crate::holding::{holder, under_lease};
use crate::limits::{FAILED_LISTED_MAX, QUEUE_ITEMS_MAX, REPORT_BYTES_MAX};
use crate::queue::{Item, Queue, key_of, note, read_note};
use crate::tally::Tally;
use crate::working::Worker;
use crate::{Gate, Job, JobCounts, JobStatus, Plan, Reason, RunReport, SyncError};

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
        self.planned(&paths, QUEUE_ITEMS_MAX, &CancellationToken::new()).await
    }

    async fn planned(
        &self,
        paths: &SyncPaths,
        items_max: usize,
        stop: &CancellationToken,
    ) -> Result<Plan, SyncError> {
        let driver = &**self.engine.registry.driver();
        self.engine.ages.load(driver, &paths.ages()).await?;
        self.engine.plan(items_max, stop).await
    }

    /// Plans, queues, and works off what is queued and due.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn run(&self, stop: &CancellationToken) -> Result<RunReport, SyncError> {
        let (paths, queue) = self.queue()?;
        let work = async {
            let tally = Tally::new(Arc::clone(&self.engine.totals));
            let plan = self.enqueue(&paths, &queue, stop).await?;
            let left = Worker::new(&self.engine, &queue, &tally, &self.queued).run(stop).await?;
            let mut report = tally.report();
            report.planned = plan.items.len() as u64;
            report.deferred = plan.deferred;
            report.problems.splice(0..0, plan.problems);
            report.problems_unlisted += plan.problems_unlisted;
            (report.left, report.stopped) = (left.items, left.stopped);
            report.planned_at = match left.stopped {
                false => Some(report.ended),
                true => self.planned_at(&paths).await?,
            };
            self.keep(&paths, &report).await?;
            Ok(report)
        };
        under_lease(&self.engine.registry, &paths, work.boxed()).await
    }

    /// Works off what is queued and due.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn work(&self, stop: &CancellationToken) -> Result<RunReport, SyncError> {
        let (paths, queue) = self.queue()?;
        let work = async {
            let tally = Tally::new(Arc::clone(&self.engine.totals));
            let left = Worker::new(&self.engine, &queue, &tally, &self.queued).run(stop).await?;
            let mut report = tally.report();
            (report.left, report.stopped) = (left.items, left.stopped);
            if tally.has_any() {
                report.planned_at = self.planned_at(&paths).await?;
                self.keep(&paths, &report).await?;
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
    ) -> Result<Plan, SyncError> {
        let known = queue.ids().await?;
        let room = QUEUE_ITEMS_MAX.saturating_sub(known.len());
        let plan = self.planned(paths, room, stop).await?;
        // Also of a plan that has gaps, so that the next one goes further.
        self.engine.ages.save(&**self.engine.registry.driver(), &paths.ages()).await?;
        let known: std::collections::HashSet<_> = known.iter().map(|id| key_of(id)).collect();
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
        // It is tried anew, and not given up any more.
        for item in items.iter().filter(|item| failed.remove(item.key())) {
            queue.forgive(item.key()).await?;
        }
        Ok(plan)
    }

    /// Queues what was pushed here, if the job copies to a remote and its selection covers it
    /// (`newest` aside). It is on stable storage when this returns. Returns whether it was queued.
    ///
    /// What was pushed without a tag is part of what gets one, and goes along with that; it is queued
    /// only if it refers to something, and the job copies that.
    ///
    /// # Errors
    /// [`SyncError::QueueFull`], [`SyncError::Storage`].
    pub async fn pushed(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: Digest,
    ) -> Result<bool, SyncError> {
        let outcome = self.queue_pushed(repository, reference, &digest).await;
        if outcome.is_err() {
            self.engine.totals.change(|counts| counts.unqueued += 1);
        }
        outcome
    }

    async fn queue_pushed(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, SyncError> {
        let job = &self.engine.job;
        if self.engine.writes_here()
            || !job.selection.selects_repository(repository)
            || !self.goes(repository, reference, digest).await?
        {
            return Ok(false);
        }
        let items = self.engine.queued.load(Ordering::Relaxed);
        if items >= QUEUE_ITEMS_MAX {
            return Err(SyncError::QueueFull { items });
        }
        let (_, queue) = self.queue()?;
        let item = Item::new(repository.clone(), reference.clone(), Reason::Pushed);
        queue.add(std::slice::from_ref(&item)).await?;
        self.engine.queued.fetch_add(1, Ordering::Relaxed);
        self.engine.totals.change(|counts| {
            counts.queued += 1;
            counts.next_due = Some(counts.next_due.map_or(item.queued, |due| due.min(item.queued)));
        });
        self.queued.notify_one();
        Ok(true)
    }

    /// Whether what was pushed is copied by itself.
    async fn goes(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, SyncError> {
        let job = &self.engine.job;
        match reference {
            Reference::Tag(tag) if !job.referrers => Ok(job.selection.selects_tag(tag)),
            Reference::Tag(tag) => Ok(match belonging(tag) {
                None => job.selection.selects_tag(tag),
                Some(Belonging::Companion(_)) => true,
                // The target's own list is added to.
                Some(Belonging::Referrers) => false,
            }),
            Reference::Digest(_) if !job.referrers => Ok(false),
            Reference::Digest(_) => {
                let by_digest = Reference::Digest(*digest);
                let stored = self.engine.registry.get_manifest(repository, &by_digest).await?;
                let manifest = Manifest::parse_stored(&stored.content);
                Ok(manifest.is_ok_and(|manifest| manifest.subject_digest().is_some()))
            }
        }
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
            last: read_note(driver, &paths.last(), REPORT_BYTES_MAX).await?,
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

    /// When the job was planned last, as it is kept.
    async fn planned_at(&self, paths: &SyncPaths) -> Result<Option<Timestamp>, SyncError> {
        let driver = &**self.engine.registry.driver();
        let last: Option<RunReport> = read_note(driver, &paths.last(), REPORT_BYTES_MAX).await?;
        Ok(last.and_then(|last| last.planned_at))
    }

    /// Keeps what a run did.
    async fn keep(&self, paths: &SyncPaths, report: &RunReport) -> Result<(), SyncError> {
        if report.is_success() {
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
