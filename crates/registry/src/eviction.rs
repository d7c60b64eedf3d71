//! Eviction: what of the cached content of other registries goes, by its age and by its size.
//!
//! A *cached* repository has what was fetched for clients from another registry, and nothing that
//! could not be fetched again. A unit of it is a manifest with its tags, or the link to a blob that
//! no manifest there names. It was last *used* when it was last pulled or fetched; what an index or
//! a subject is used for, its children and referrers are used for as well.
//!
//! What was not used for longer than its repository allows goes; and when all cached blobs together
//! are larger than they may be, the least recently used of it goes until they are smaller by a
//! margin. A blob is counted once, and goes with the last unit that has it. The links are taken, and
//! the data that nothing else leads to is deleted, by a [collection](crate::collection) that does
//! just that, with everything that keeps it from harming pushes: data that a local repository has a
//! link to stays, however old the link.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use oci::RepositoryName;
use tokio::time::Instant;

use crate::claims::Claim;
use crate::collection::{Observer, pinned_claims};
use crate::limits::{COLLECTION_LIST_CLAIMS_MAX, EVICTION_IN_USE, EVICTION_LOW_WATER_PERCENT};
use crate::{
    Collection, CollectionError, CollectionOptions, Lease, Registry, RepositoryPattern, layout,
};

mod choose;
mod history;
mod pending;
mod plan;
mod report;
mod scheduler;
mod survey;
mod table;
mod uses;

pub use history::EvictionTotals;
pub(crate) use history::History;
pub(crate) use pending::write as write_pending;
pub(crate) use plan::{Going, Plan};
pub use report::{Evicted, EvictionReason, EvictionReport, Taken, UnitKind};

use survey::Survey;
use table::Table;

/// How long what a repository has may go unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The repository is not cached: nothing of it ever goes.
    Local,
    /// It is cached, and goes only when there is no room for it.
    Unlimited,
    /// It is cached, and goes when it was not used for longer than this.
    Unused(Duration),
}

/// Which repositories are cached, and for how long.
pub type Lifetimes = Arc<dyn Fn(&RepositoryName) -> Lifetime + Send + Sync>;

/// What is evicted.
#[derive(Clone)]
pub struct EvictionOptions {
    /// Which repositories are cached, and for how long.
    pub lifetimes: Lifetimes,
    /// How large all cached blobs together may be, in bytes; as large as they are when there is no
    /// such bound.
    pub max_bytes: Option<u64>,
    /// To how much of that they are brought down once they are larger, in percent.
    pub low_water_percent: u8,
    /// The repositories of which nothing is ever taken. What they have counts.
    pub keep: Vec<RepositoryPattern>,
    /// What was used or written within this time is never taken.
    pub used_within: Duration,
    /// How many operations of the storage are made in a second; as many as it takes when there is
    /// none.
    pub rate: Option<u32>,
    /// Only say what would be taken.
    pub dry_run: bool,
}

impl EvictionOptions {
    /// Nothing but to find out how large the cache is, with everything else as it is unless
    /// configured.
    #[must_use]
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self {
            lifetimes,
            max_bytes: None,
            low_water_percent: EVICTION_LOW_WATER_PERCENT,
            keep: Vec::new(),
            used_within: EVICTION_IN_USE,
            rate: None,
            dry_run: false,
        }
    }

    fn lifetime(&self, name: &RepositoryName) -> Lifetime {
        (self.lifetimes)(name)
    }

    fn keeps(&self, name: &RepositoryName) -> bool {
        self.keep.iter().any(|pattern| pattern.matches(name))
    }

    /// What a collection is told, that does it.
    fn collection(&self) -> CollectionOptions {
        let lifetimes = Arc::clone(&self.lifetimes);
        CollectionOptions {
            older_than: self.used_within,
            referrers: false,
            rate: self.rate,
            cached: Some(Arc::new(move |name| lifetimes(name) != Lifetime::Local)),
            ..CollectionOptions::default()
        }
    }
}

impl fmt::Debug for EvictionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictionOptions")
            .field("max_bytes", &self.max_bytes)
            .field("low_water_percent", &self.low_water_percent)
            .field("keep", &self.keep)
            .field("used_within", &self.used_within)
            .field("rate", &self.rate)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// An eviction. It can be run again and again, and gets by with fewer requests then: it remembers
/// how large blobs are, about 50 bytes for each.
pub struct Eviction {
    registry: Arc<Registry>,
    options: EvictionOptions,
    /// What deletes.
    collection: Collection,
    sizes: Mutex<HashMap<Claim, u64>>,
}

impl Eviction {
    /// An eviction from the storage of `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>, options: EvictionOptions) -> Self {
        let collection = Collection::new(Arc::clone(&registry), options.collection());
        Self { registry, options, collection, sizes: Mutex::default() }
    }

    /// Tells somebody of everything that is deleted, and of what can't be.
    #[must_use]
    pub fn with_observer(mut self, observer: Observer) -> Self {
        self.collection = self.collection.with_observer(observer);
        self
    }

    /// Has it end after what it is just doing.
    pub fn stop(&self) {
        self.collection.stop();
    }

    /// Looks what is cached, and takes what has to go. One at a time on a storage, of all processes
    /// and collections.
    ///
    /// # Errors
    /// [`CollectionError`]; [`CollectionError::Running`] when a collection or another eviction is
    /// at work. What was taken until then could go, and nothing leads to what is gone.
    pub fn run(&self) -> BoxFuture<'_, Result<EvictionReport, CollectionError>> {
        Box::pin(self.run_once())
    }

    async fn run_once(&self) -> Result<EvictionReport, CollectionError> {
        let began = Instant::now();
        let outcome = self.evict().await;
        let outcome = outcome.map(|report| EvictionReport {
            seconds: began.elapsed().as_secs_f64(),
            stopped: self.collection.is_stopped(),
            above_max: report.max_bytes.is_some_and(|max| report.bytes_after > max),
            ..report
        });
        self.registry.remember_eviction(outcome.as_ref().ok()).await;
        outcome
    }

    async fn evict(&self) -> Result<EvictionReport, CollectionError> {
        let mut lease = match self.options.dry_run {
            true => None,
            false => Some(
                Lease::acquire(&self.registry, layout::collection_lease())
                    .await?
                    .ok_or(CollectionError::Running)?,
            ),
        };
        let looked = self.look(&mut lease).await;
        let release = async |lease: Option<Lease>| {
            if let Some(lease) = lease {
                lease.release(&self.registry).await;
            }
        };
        let (plan, mut table, mut report) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                release(lease).await;
                return Err(error);
            }
        };
        match lease {
            Some(lease) if !plan.is_empty() => {
                let (done, gone) = self.collection.evict(plan, lease).await?;
                for (claim, links) in gone {
                    table.unlink(&claim, links);
                }
                report.bytes_after = table.bytes();
                report.take_in(done);
                report.pending_blobs = pending::read(&self.registry).await?.len() as u64;
            }
            lease => release(lease).await,
        }
        *self.sizes() = table.into_sizes();
        Ok(report)
    }

    /// Looks what is cached, and decides what goes.
    async fn look(
        &self,
        lease: &mut Option<Lease>,
    ) -> Result<(Plan, Table, EvictionReport), CollectionError> {
        let pending = pending::read(&self.registry).await?;
        let sizes = std::mem::take(&mut *self.sizes());
        let mut survey = Survey::new(&self.registry, &self.options, sizes);
        if !self.options.dry_run {
            self.registry.flush_pulls().await?;
        }
        survey.take_in_all(lease, &|| self.collection.is_stopped()).await?;
        let mut report = EvictionReport::of(&survey, &self.options);
        report.pending_blobs = pending.len() as u64;
        let mut plan = Plan::new(self.options.used_within);
        if self.collection.is_stopped() {
            return Ok((plan, survey.table, report));
        }
        // First the data of what was taken before.
        if pending.len() <= COLLECTION_LIST_CLAIMS_MAX {
            let now = self.registry.claims.clock().now();
            choose::choose(&survey, &self.options, now, &mut plan, &mut report);
        }
        plan.pending = pending;
        if plan.takes_nothing() && self.is_all_pinned(&plan).await? {
            plan.pending.clear();
        }
        Ok((plan, survey.table, report))
    }

    /// Whether clients were told of all that is left of earlier evictions.
    async fn is_all_pinned(&self, plan: &Plan) -> Result<bool, CollectionError> {
        if plan.pending.is_empty() {
            return Ok(true);
        }
        let pinned = pinned_claims(&self.registry).await?;
        Ok(plan.pending.iter().all(|digest| pinned.contains(&Claim::content(digest))))
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<Claim, u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eviction").field("options", &self.options).finish_non_exhaustive()
    }
}
