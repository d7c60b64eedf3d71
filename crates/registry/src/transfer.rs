//! Copying a registry from one storage to another, of whatever kinds.
//!
//! What is at the target is whole at any time, also when the transfer is killed. Content comes before
//! what leads to it: first all blobs, then the links of each repository, those of its tags last. A
//! link is written only once what it leads to is there.
//!
//! The source may be in use meanwhile. Of each repository the tags are read first and its blobs last,
//! as they are pushed the other way round: whatever a tag names was listed after it. What was pushed
//! behind the back of one pass is found by the next. Nothing is ever written to the source.
//!
//! There is no journal: what is at the target with the same size (blobs) or the same content (links)
//! is done, so that a transfer which was cut short goes on when it is started again.

mod blobs;
mod content;
mod deletions;
mod error;
mod links;
mod report;
mod repositories;
mod settled;
mod tally;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use storage::{Driver, Entry, EntryKind, StorageError, StoragePath, found};
use tokio::sync::Semaphore;

use crate::limits::{
    TRANSFER_CONCURRENCY, TRANSFER_CONCURRENCY_MAX, TRANSFER_FAILURES_IN_A_ROW_MAX, TRANSFER_PASSES,
};
use crate::{Options, Registry, UploadId, layout};

use error::Failure;
pub use error::TransferError;
pub use report::{Counts, End, Finding, Findings, Phase, Report, Snapshot};
use settled::SettledBlobs;
use tally::Tally;

/// How a registry is copied.
#[derive(Debug, Clone)]
pub struct TransferOptions {
    /// Passes are made until one finds nothing new, but at most so many.
    pub passes_max: u32,
    /// How many things are copied at once; between 1 and [`TRANSFER_CONCURRENCY_MAX`].
    pub concurrency: usize,
    /// Read what the target has already, and copy it again if it does not have its digest.
    pub verify: bool,
    /// Remove tags, manifests and layers of repositories at the target that the source does not have
    /// any more.
    pub delete: bool,
    /// Only count what would be done. Nothing is written to the target either.
    pub dry_run: bool,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            passes_max: TRANSFER_PASSES,
            concurrency: TRANSFER_CONCURRENCY,
            verify: false,
            delete: false,
            dry_run: false,
        }
    }
}

/// A registry that is being copied.
pub struct Transfer {
    source: Arc<dyn Driver>,
    target: Arc<dyn Driver>,
    options: TransferOptions,
    tally: Tally,
    settled: SettledBlobs,
    /// A permit for each thing that may be worked on at once.
    turns: Semaphore,
    is_stopped: AtomicBool,
    has_given_up: AtomicBool,
}

impl Transfer {
    /// A transfer that has not begun yet.
    #[must_use]
    pub fn new(
        source: Arc<dyn Driver>,
        target: Arc<dyn Driver>,
        mut options: TransferOptions,
    ) -> Arc<Self> {
        options.concurrency = options.concurrency.clamp(1, TRANSFER_CONCURRENCY_MAX);
        options.passes_max = options.passes_max.max(1);
        Arc::new(Self {
            source,
            target,
            tally: Tally::new(),
            settled: SettledBlobs::new(),
            turns: Semaphore::new(options.concurrency),
            is_stopped: AtomicBool::new(false),
            has_given_up: AtomicBool::new(false),
            options,
        })
    }

    /// Has it end soon, in order. What is begun is given up, and nothing of it is seen.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.tally.snapshot()
    }

    /// Copies everything. What can't be copied is in the report, and the rest goes on. To be called
    /// once.
    ///
    /// # Errors
    /// [`TransferError`] when it can't even begin.
    pub async fn run(self: &Arc<Self>) -> Result<Report, TransferError> {
        self.check().await?;
        let mut end = End::PassesUsedUp;
        for pass in 1..=self.options.passes_max {
            self.tally.begin_pass(pass);
            self.copy_blobs().await;
            self.copy_aliases().await;
            self.copy_repositories().await;
            if self.is_ending() || self.options.dry_run {
                break;
            }
            if !self.tally.has_copied() {
                end = End::Settled;
                break;
            }
        }
        if self.options.delete && !self.is_ending() {
            self.delete_what_is_gone().await;
        }
        self.clean_up().await;
        if self.options.dry_run {
            end = End::DryRun;
        }
        if self.has_given_up.load(Ordering::Relaxed) {
            end = End::GaveUp;
        }
        if self.is_stopped.load(Ordering::Relaxed) {
            end = End::Stopped;
        }
        Ok(self.tally.report(end))
    }

    /// Looks whether there is anything to copy, and writes something at the target to see whether it
    /// appears in the source.
    async fn check(&self) -> Result<(), TransferError> {
        let path = layout::registry();
        if found(self.source.stat(&path).await).map_err(TransferError::Source)?.is_none() {
            return Err(TransferError::NothingThere { path });
        }
        if self.options.dry_run {
            return Ok(());
        }
        // What a transfer that was killed has left.
        found(self.target.delete(&layout::transfer()).await).map_err(TransferError::Target)?;
        let mark = layout::transferred(&UploadId::random());
        let content = Bytes::from_static(b"is this the same storage?");
        self.target.put(&mark, content).await.map_err(TransferError::Target)?;
        let seen = found(self.source.stat(&mark).await);
        self.clean_up().await;
        match seen {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(TransferError::SameStorage),
            Err(error) => Err(TransferError::Source(error)),
        }
    }

    /// Removes what only costs space.
    async fn clean_up(&self) {
        if self.options.dry_run {
            return;
        }
        let path = layout::transfer();
        if let Err(error) = found(self.target.delete(&path).await) {
            tracing::warn!(%path, %error, "what is not needed any more could not be deleted");
        }
    }

    /// Whether nothing new shall be begun.
    fn is_ending(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed) || self.has_given_up.load(Ordering::Relaxed)
    }

    /// Notes a failure, and gives up when there have been too many.
    fn failed(&self, path: impl ToString, failure: &Failure) {
        if matches!(failure, Failure::Stopped) {
            return;
        }
        let in_a_row = self.tally.failed(path, failure, failure.is_storage());
        if failure.is_storage() && in_a_row >= TRANSFER_FAILURES_IN_A_ROW_MAX {
            self.has_given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Whether what is there already has to be read: once is enough.
    fn is_verifying(&self) -> bool {
        self.options.verify && self.tally.pass() == 1
    }

    /// Where to look for what a link leads to. In a dry run it would have been copied by then.
    fn copied_to(&self) -> &dyn Driver {
        if self.options.dry_run { &*self.source } else { &*self.target }
    }

    /// A walk over the repositories of a storage.
    fn registry_of(driver: &Arc<dyn Driver>) -> Registry {
        let options = Options { manifest_cache_entries: 0, ..Options::default() };
        Registry::new(Arc::clone(driver), options)
    }

    /// The directories within a directory of the source; none when it is not there, or can't be read,
    /// which is noted.
    async fn source_directories(&self, path: &StoragePath) -> Option<Vec<Box<str>>> {
        match directories(&*self.source, path).await {
            Ok(names) => Some(names),
            Err(error) => {
                self.failed(path, &Failure::Source(error));
                None
            }
        }
    }

    /// The same at the target.
    async fn target_directories(&self, path: &StoragePath) -> Option<Vec<Box<str>>> {
        match directories(&*self.target, path).await {
            Ok(names) => Some(names),
            Err(error) => {
                self.failed(path, &Failure::Target(error));
                None
            }
        }
    }
}

/// The names of the directories within a directory, sorted; none when it is not there.
async fn directories(
    driver: &dyn Driver,
    path: &StoragePath,
) -> Result<Vec<Box<str>>, StorageError> {
    let Some(listing) = found(driver.list(path).await)? else { return Ok(Vec::new()) };
    let is_directory = |entry: &Entry| entry.kind == EntryKind::Directory;
    Ok(listing.entries.into_iter().filter(is_directory).map(|entry| entry.name).collect())
}

/// Whether a sorted list has a name.
fn has(names: &[Box<str>], name: &str) -> bool {
    names.binary_search_by(|other| (**other).cmp(name)).is_ok()
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("source", &self.source)
            .field("target", &self.target)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
