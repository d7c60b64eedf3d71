//! The `filesystem` driver: a directory tree laid out as Distribution lays it out.
//!
//! *Reading* does not leave the async worker as long as the kernel has what is asked for in
//! memory: `inline` opens and reads without ever waiting for the disk, and only where that is
//! impossible does the work move to the blocking pool.
//!
//! *Writing* always happens on the blocking pool, in one hop per operation, in the order that
//! survives a loss of power: content, sync, rename, sync of the directory, sync of the
//! directories above it that are new (`write`, `durable`).
//!
//! *Changes* are told of by the kernel, where it knows of all of them (`watching`).
//!
//! Symbolic links within the tree are followed, since people put parts of a registry on other
//! disks that way, and Distribution follows them too.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::limits::MAX_THREADS_DEFAULT;
use crate::watch::Watcher;
use crate::{
    Appender, Change, Driver, Listing, ListingVersion, Object, Result, Space, Stat, StoragePath,
};

mod appender;
mod apply;
mod close;
mod directory;
mod disk;
mod durable;
mod feeders;
mod inline;
mod moved;
mod parents;
mod read;
mod retries;
mod start;
mod stream;
mod volume;
mod watching;
mod write;
mod writers;

#[cfg(test)]
pub(crate) mod tests;

pub use start::{OpenError, feeders_max};
use volume::Volume;
use write::Sync;

/// Where a filesystem driver keeps its files, and how it works on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesystemOptions {
    /// The directory that holds everything; made when absent. Distribution's `rootdirectory`.
    pub root: PathBuf,
    /// How many blocking operations run at once; raised to
    /// [`MAX_THREADS_MIN`](crate::limits::MAX_THREADS_MIN). Distribution's `maxthreads`.
    pub max_threads: usize,
    /// The root is only read from, so don't check at the start that it can be written to. Writing
    /// is not prevented.
    pub read_only: bool,
    /// Read on the async worker what the kernel has in memory. It is a matter of speed only, and
    /// turned off by itself where the kernel or the filesystem doesn't support it.
    pub inline_reads: bool,
    /// Have the kernel tell of changes, so that what is remembered of a listing need not be
    /// compared with it. It is a matter of speed only, and turned off by itself where it would not
    /// hear of everything.
    pub watch_changes: bool,
}

impl FilesystemOptions {
    /// The defaults, at a root.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            max_threads: MAX_THREADS_DEFAULT,
            read_only: false,
            inline_reads: true,
            watch_changes: true,
        }
    }
}

/// A directory tree on a local or network filesystem. Clones share it.
///
/// Its futures may be dropped at any time: what runs on the blocking pool runs to its end, and an
/// appender's lock is held until then.
#[derive(Debug, Clone)]
pub struct Filesystem {
    volume: Arc<Volume>,
}

impl Filesystem {
    /// Makes sure that the root is there and can be used. Blocks on the disk: call it at the
    /// start.
    ///
    /// # Errors
    /// [`OpenError`], which names the root and what to change. A full disk is only warned of, so
    /// that what it holds can still be read.
    pub fn open(options: FilesystemOptions) -> Result<Self, OpenError> {
        Self::open_on(options, Box::new(disk::RealDisk))
    }

    fn open_on(options: FilesystemOptions, disk: Box<dyn disk::Disk>) -> Result<Self, OpenError> {
        Ok(Self { volume: Arc::new(start::open(options, disk)?) })
    }
}

#[async_trait]
impl Driver for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        read::get(&self.volume, path, limit_bytes).await
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let at = path.clone();
        let work = move |volume: &Volume| write::put(volume, &at, &content, Sync::Now);
        self.volume.blocking("write", path, work).await
    }

    async fn put_unsynced(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let at = path.clone();
        let work = move |volume: &Volume| write::put(volume, &at, &content, Sync::Later);
        self.volume.blocking("write", path, work).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        read::stat(&self.volume, path).await
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        Ok(Arc::new(read::open(&self.volume, path).await?))
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        Ok(Box::new(appender::open(&self.volume, path).await?))
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        let (source, target) = (from.clone(), to.clone());
        self.volume
            .blocking("publish", to, move |volume| write::publish(volume, &source, &target))
            .await
    }

    async fn apply(&self, stages: Vec<Vec<Change>>) -> Result<()> {
        let Some(path) = stages.iter().flatten().next().map(|change| change.path().clone()) else {
            return Ok(());
        };
        let work = move |volume: &Volume| apply::apply(volume, &stages);
        self.volume.blocking("write", &path, work).await
    }

    async fn settle(&self, path: &StoragePath) -> Result<()> {
        if read::is_settled(&self.volume, path).await? {
            return Ok(());
        }
        let at = path.clone();
        self.volume.blocking("sync", path, move |volume| write::settle(volume, &at)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let at = path.clone();
        self.volume.blocking("delete", path, move |volume| directory::delete(volume, &at)).await
    }

    async fn delete_empty(&self, path: &StoragePath) -> Result<()> {
        let at = path.clone();
        self.volume
            .blocking("delete", path, move |volume| directory::delete_empty(volume, &at))
            .await
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        let at = path.clone();
        self.volume.blocking("list", path, move |volume| directory::list(volume, &at)).await
    }

    async fn leftovers(&self, path: &StoragePath) -> Result<Vec<(Box<str>, Stat)>> {
        let at = path.clone();
        self.volume.blocking("list", path, move |volume| directory::leftovers(volume, &at)).await
    }

    async fn space(&self) -> Result<Option<Space>> {
        self.volume.blocking("look at", &StoragePath::root(), Volume::space).await.map(Some)
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        read::listing_version(&self.volume, path).await
    }

    fn watcher(&self) -> Option<&dyn Watcher> {
        self.volume.watching().map(|_| self as &dyn Watcher)
    }
}
