//! Online garbage collection: finds what nothing refers to, and deletes it while everything else
//! goes on.
//!
//! Nothing is kept in a database, and nothing has to be scanned before the first run: every
//! manifest of every repository is read, and what they name is *marked*. What is neither marked,
//! nor young, nor pinned is garbage. How it is deleted without taking anything away from a push that
//! is under way is told in `claims.rs`.
//!
//! A manifest or link that can't be read is reported, and keeps all of its repository. Whatever a
//! collector leaves when it is killed is harmless, and cleared away by the next.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use oci::RepositoryName;
use tokio::time::Instant;

use crate::claims::Claim;
use crate::eviction::Plan;
use crate::limits::{COLLECTION_GRACE, ENTRIES_BETWEEN_YIELDS};
use crate::pace::Pace;
use crate::{Error, Lease, Registry, RetentionRules, layout};

mod blobs;
mod cached;
mod freed;
mod garbage;
mod history;
mod links;
mod mark;
mod pinned;
mod remains;
mod report;
mod repository;
mod retained;
mod round;
mod sweep;

#[cfg(test)]
pub(crate) mod model;

pub(crate) use cached::Contents;
pub use garbage::{Garbage, Reason};
pub(crate) use history::History;
pub use history::Totals;
pub(crate) use pinned::claims as pinned_claims;
pub use report::{Counts, Event, Problem, Report, Retained, RetentionReport};
pub(crate) use repository::{Node, Repository};

use freed::Evicting;
use mark::Marks;
use report::Tally;

/// Which repositories are meant.
pub type Selection = Arc<dyn Fn(&RepositoryName) -> bool + Send + Sync>;

/// Who is told what a collection does, as it does it.
pub type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Says for how long the servers that use the storage at this moment keep what they told their clients
/// is there; zero if there are none.
pub type Promises =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Duration, storage::StorageError>> + Send + Sync>;

/// What is collected.
#[derive(Clone)]
pub struct CollectionOptions {
    /// How long something is left alone after it was written, or a client was told of it.
    pub older_than: Duration,
    /// Asked before anything is deleted, should servers have come to use the storage since
    /// `older_than` was chosen: what is younger than they promise stays as well.
    pub promises: Option<Promises>,
    /// Whether manifests go that have no tag, and are no part of one that has.
    pub untagged: bool,
    /// Whether untagged manifests go whose subject is not in the repository any more.
    pub referrers: bool,
    /// The repositories whose tags, manifests and links may go; all when there is none. Blobs are
    /// looked at as to all repositories in any case.
    pub repositories: Option<Selection>,
    /// How many operations of the storage are made in a second; as many as it takes when there is
    /// none.
    pub rate: Option<u32>,
    /// Only say what would be deleted.
    pub dry_run: bool,
    /// Whether the observer is told of each part of a manifest that is marked, which takes memory.
    pub tells_parts: bool,
    /// Uploads that nothing happened to for so long go as well.
    pub uploads_older_than: Option<Duration>,
    /// Only say which uploads those are, also where everything else is deleted.
    pub uploads_dry_run: bool,
    /// The rules by which tags go; none does when there are none.
    pub retention: Option<Arc<RetentionRules>>,
    /// The repositories whose content is cached from elsewhere, if there are any: of a manifest there
    /// only those parts need to be there that were asked for, and none goes for having no tag or no
    /// subject, which is for an [eviction](crate::eviction) to say.
    pub cached: Option<Selection>,
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self {
            older_than: COLLECTION_GRACE,
            promises: None,
            untagged: false,
            referrers: true,
            repositories: None,
            rate: None,
            dry_run: false,
            tells_parts: false,
            uploads_older_than: None,
            uploads_dry_run: false,
            retention: None,
            cached: None,
        }
    }
}

impl CollectionOptions {
    fn selects(&self, name: &RepositoryName) -> bool {
        self.repositories.as_ref().is_none_or(|selects| selects(name))
    }

    pub(crate) fn is_cached(&self, name: &RepositoryName) -> bool {
        self.cached.as_ref().is_some_and(|is_cached| is_cached(name))
    }
}

impl fmt::Debug for CollectionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectionOptions")
            .field("older_than", &self.older_than)
            .field("untagged", &self.untagged)
            .field("referrers", &self.referrers)
            .field("rate", &self.rate)
            .field("dry_run", &self.dry_run)
            .field("uploads_older_than", &self.uploads_older_than)
            .field("uploads_dry_run", &self.uploads_dry_run)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// Why a collection ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// Another collector is at work on this storage.
    #[error("another collection is running on this storage; wait until it has ended")]
    Running,
    /// Another collector took over, since this one was not heard of for too long.
    #[error("another collection has taken over, as this one had stood still; nothing is lost")]
    Overtaken,
    /// What pushes note is not listed at once.
    #[error(
        "the storage does not list at once what was written to it, so that a push that is under way \
         could be overlooked: nothing is deleted there"
    )]
    ListsLate,
    /// The storage failed, so that it can't be known what is referred to.
    #[error("the storage can't be read to its end, so nothing more was deleted: {0}")]
    Storage(#[from] Error),
    /// It failed to delete one thing after the other.
    #[error("the storage failed to delete {failures} things in a row, the last: {last}")]
    Failing {
        /// How many.
        failures: u32,
        /// What it said of the last.
        last: String,
    },
}

impl From<storage::StorageError> for CollectionError {
    fn from(error: storage::StorageError) -> Self {
        Self::Storage(error.into())
    }
}

/// A collection. It can be run again and again.
pub struct Collection {
    registry: Arc<Registry>,
    options: CollectionOptions,
    observer: Option<Observer>,
    stopped: AtomicBool,
}

impl Collection {
    /// A collection on the storage of `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>, options: CollectionOptions) -> Self {
        Self { registry, options, observer: None, stopped: AtomicBool::new(false) }
    }

    /// Tells somebody of everything that it does.
    #[must_use]
    pub fn with_observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Has it end after what it is just doing.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    /// Collects once.
    ///
    /// # Errors
    /// [`CollectionError`]. What was deleted until then was garbage.
    pub fn run(&self) -> BoxFuture<'_, Result<Report, CollectionError>> {
        Box::pin(self.run_once())
    }

    /// Deletes what an eviction takes, and nothing else. Returns also how many links to which content
    /// have gone.
    pub(crate) async fn evict(
        &self,
        plan: Plan,
        lease: Lease,
    ) -> Result<(Report, HashMap<Claim, u32>), CollectionError> {
        let began = Instant::now();
        let mut run = self.begin();
        run.sees_what_is_written()?;
        (run.evicting, run.lease) = (Some(Evicting::new(plan)), Some(lease));
        let outcome = match run.clear_remains().await {
            Ok(()) => run.collect().await,
            Err(error) => Err(error),
        };
        run.release().await;
        outcome?;
        let unlinked = run.evicting.map(|evicting| evicting.unlinked).unwrap_or_default();
        Ok((run.tally.report(began.elapsed(), false, self.is_stopped()), unlinked))
    }

    fn begin(&self) -> Run<'_> {
        Run {
            collection: self,
            registry: &self.registry,
            options: &self.options,
            marks: Marks::default(),
            tally: Tally::default(),
            pace: Pace::new(self.options.rate.and_then(|rate| NonZeroU64::new(rate.max(1).into()))),
            operations: 0,
            lease: None,
            evicting: None,
        }
    }

    async fn run_once(&self) -> Result<Report, CollectionError> {
        let mut run = self.begin();
        let began = Instant::now();
        let outcome = run.run().await;
        let report = run.tally.report(began.elapsed(), self.options.dry_run, self.is_stopped());
        self.registry.remember_collection(&report, outcome.is_ok()).await;
        outcome.map(|()| report)
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("options", &self.options).finish_non_exhaustive()
    }
}

/// One run of a collection.
struct Run<'a> {
    collection: &'a Collection,
    registry: &'a Arc<Registry>,
    options: &'a CollectionOptions,
    marks: Marks,
    tally: Tally,
    /// In operations of the storage.
    pace: Pace,
    operations: u64,
    /// None in a dry run, which writes nothing.
    lease: Option<Lease>,
    /// What is there if this deletes what is cached, and nothing else.
    evicting: Option<Evicting>,
}

impl Run<'_> {
    async fn run(&mut self) -> Result<(), CollectionError> {
        if !self.options.dry_run {
            self.sees_what_is_written()?;
            let lease = Lease::acquire(self.registry, layout::collection_lease()).await?;
            self.lease = Some(lease.ok_or(CollectionError::Running)?);
            self.clear_remains().await?;
        }
        let outcome = self.collect().await;
        self.release().await;
        outcome
    }

    /// Deleting is safe where the pins of pushes are listed as soon as they are written.
    fn sees_what_is_written(&self) -> Result<(), CollectionError> {
        match self.registry.driver.lists_late() {
            true => Err(CollectionError::ListsLate),
            false => Ok(()),
        }
    }

    async fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release(self.registry).await;
        }
    }

    async fn collect(&mut self) -> Result<(), CollectionError> {
        self.pin_down().await?;
        self.flush_pulls().await?;
        let garbage = self.mark().await?;
        self.sweep_all(garbage).await?;
        if !self.collection.is_stopped() {
            self.purge_uploads().await?;
            self.prune().await?;
        }
        Ok(())
    }

    fn tell(&self, event: &Event<'_>) {
        self.collection.tell(event);
    }

    /// Counts operations that were made: waits if there may be no more of them yet, and lets other
    /// tasks run now and then.
    async fn spend(&mut self, operations: u64) {
        const BETWEEN_YIELDS: u64 = ENTRIES_BETWEEN_YIELDS as u64;
        let before = self.operations / BETWEEN_YIELDS;
        self.operations += operations;
        if self.operations / BETWEEN_YIELDS != before {
            tokio::task::yield_now().await;
            // Others are to see that this one is alive while it marks, too. Whether they took over
            // it looks before it deletes anything.
            if let Some(lease) = &mut self.lease {
                let _ = lease.holds(self.registry).await;
            }
        }
        self.pace.passed(operations).await;
    }

    fn plan(&self) -> Option<&Plan> {
        self.evicting.as_ref().map(|evicting| &evicting.plan)
    }

    fn selects(&self, name: &RepositoryName) -> bool {
        match self.plan() {
            Some(plan) => plan.takes_from(name),
            None => self.options.selects(name),
        }
    }
}
