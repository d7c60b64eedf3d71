//! Putting a snapshot back into a registry.
//!
//! As when a registry is copied, content comes before what leads to it, and the tags last: what the
//! registry serves meanwhile is whole. What is there already is not written again, so that a restore
//! which was cut short goes on when it is started again.

mod repository;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::{Digest, RepositoryName};
use quick_cache::sync::Cache;
use registry::{Options, Registry, RepositoryPattern};
use storage::{Driver, found};
use tokio::sync::Semaphore;

use super::{Backup, BackupError, RestoreReport};
use crate::Meter;
use crate::content::{self, CopyError, file_size};
use crate::limits::{BLOB_LOCKS, CONCURRENCY, CONCURRENCY_MAX, SETTLED_BLOBS};

/// What is restored, and how.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The snapshot; the newest without a name.
    pub snapshot: Option<String>,
    /// Which repositories; all when there is none.
    pub repositories: Option<RepositoryPattern>,
    /// Let tags that name another manifest at the registry name that of the snapshot.
    pub overwrite: bool,
    /// Only count what would be done.
    pub dry_run: bool,
    /// How many things are copied at once; between 1 and [`CONCURRENCY_MAX`].
    pub concurrency: usize,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            snapshot: None,
            repositories: None,
            overwrite: false,
            dry_run: false,
            concurrency: CONCURRENCY,
        }
    }
}

impl Backup {
    /// Puts a snapshot back into the storage of a registry, whatever is in there.
    ///
    /// # Errors
    /// [`BackupError`]; [`BackupError::NothingFits`] when there is nothing to restore. What is
    /// missing or damaged in the backup is reported, and the rest goes on.
    pub async fn restore(
        &self,
        target: &Arc<dyn Driver>,
        options: &RestoreOptions,
        meter: &Meter,
    ) -> Result<RestoreReport, BackupError> {
        let snapshot = self.find_snapshot(options.snapshot.as_deref()).await?;
        let concurrency = options.concurrency.clamp(1, CONCURRENCY_MAX);
        let registry_options = Options { manifest_cache_entries: 0, ..Options::default() };
        let restoration = Restoration {
            backup: self,
            target,
            registry: Registry::new(Arc::clone(target), registry_options),
            options,
            meter,
            concurrency,
            turns: Semaphore::new(concurrency),
            settled: Cache::new(SETTLED_BLOBS),
            locks: (0..BLOB_LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
            report: Mutex::default(),
        };
        let records = self.records(&snapshot, meter).await?;
        let restored = records.map(async |record| {
            let record = record?;
            let Ok(name) = RepositoryName::parse(&record.name) else { return Ok(()) };
            match &options.repositories {
                Some(pattern) if !pattern.matches(&name) => Ok(()),
                _ => restoration.restore_repository(&name, &record).await,
            }
        });
        restored.buffer_unordered(concurrency).try_collect::<()>().await?;
        let mut report = restoration.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        if report.repositories == 0 {
            return Err(BackupError::NothingFits {
                name: snapshot.name,
                repositories: snapshot.repositories,
            });
        }
        report.snapshot = snapshot.name;
        report.dry_run = options.dry_run;
        Ok(report)
    }
}

/// A snapshot that is being put back.
struct Restoration<'a> {
    backup: &'a Backup,
    target: &'a Arc<dyn Driver>,
    registry: Registry,
    options: &'a RestoreOptions,
    meter: &'a Meter,
    concurrency: usize,
    /// A permit for each blob that may be copied at once.
    turns: Semaphore,
    /// Blobs that are known to be at the registry.
    settled: Cache<Digest, ()>,
    /// By the first byte of a digest: whoever copies a blob.
    locks: Vec<tokio::sync::Mutex<()>>,
    report: Mutex<RestoreReport>,
}

impl Restoration<'_> {
    fn report(&self) -> MutexGuard<'_, RestoreReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the registry hold a blob, and no collection take it before it is linked to. Returns what
    /// is wrong with it in the backup, if anything.
    async fn restore_blob(
        &self,
        digest: &Digest,
        size_bytes: u64,
    ) -> Result<Option<String>, BackupError> {
        let Ok(_turn) = self.turns.acquire().await else { return Err(BackupError::Stopped) };
        let _lock = self.locks[usize::from(digest.as_bytes()[0]) % self.locks.len()].lock().await;
        if self.settled.get(digest).is_some() {
            return Ok(None);
        }
        let mut was_copied = false;
        loop {
            if self.meter.is_stopped() {
                return Err(BackupError::Stopped);
            }
            if !self.is_there(digest, size_bytes).await? {
                if let Some(fault) = self.copy_blob(digest).await? {
                    return Ok(Some(fault));
                }
                was_copied = true;
            }
            // It may have been deleted just before it was pinned.
            let is_pinned = self.options.dry_run || !self.registry.promise_content(digest).await?;
            if is_pinned || self.is_there(digest, size_bytes).await? {
                break;
            }
        }
        self.settled.insert(*digest, ());
        self.meter.blob_done();
        let mut report = self.report();
        if was_copied {
            report.copied_blobs += 1;
            report.copied_bytes += size_bytes;
        } else {
            report.there_blobs += 1;
        }
        Ok(None)
    }

    /// Whether the registry has a blob of this size, in bytes, durably.
    async fn is_there(&self, digest: &Digest, size_bytes: u64) -> Result<bool, BackupError> {
        let target = &**self.target;
        let path = registry::layout::blob_data(digest);
        let there = file_size(target, &path).await.map_err(registry::Error::from)?;
        if there != Some(size_bytes) {
            return Ok(false);
        }
        if self.options.dry_run {
            return Ok(true);
        }
        let settled = found(target.settle(&path).await).map_err(registry::Error::from)?;
        Ok(settled.is_some())
    }

    /// Copies a blob into the registry. Returns what is wrong with it in the backup, if anything.
    async fn copy_blob(&self, digest: &Digest) -> Result<Option<String>, BackupError> {
        let kept = crate::layout::blob(digest);
        let Some(object) = found(self.backup.driver.open(&kept).await)? else {
            return Ok(Some("the backup does not have it".into()));
        };
        if self.options.dry_run {
            return Ok(None);
        }
        let path = registry::layout::blob_data(digest);
        let staged = || registry::layout::transferred(&registry::UploadId::random());
        match content::copy(object, digest, &**self.target, &path, staged, self.meter).await {
            Ok(_) => Ok(None),
            Err(CopyError::Stopped) => Err(BackupError::Stopped),
            Err(CopyError::Source(error)) => Err(error.into()),
            Err(CopyError::Target(error)) => Err(registry::Error::from(error).into()),
            Err(damage) => Ok(Some(damage.to_string())),
        }
    }
}
