//! A driver that fails on purpose, so that tests can stop the world at any operation and see what
//! is left.
//!
//! A test counts the operations of a scenario once, then plays it again for each of them, with
//! every [`Fault`] in turn, and looks through the inner driver at what a restart would find:
//!
//! ```
//! # use std::sync::Arc;
//! # use storage::{Driver, StoragePath, faulty::{Fault, Faulty}, memory::Memory};
//! # async fn scenario(driver: Arc<dyn Driver>) -> storage::Result<()> {
//! #     driver.put(&StoragePath::parse("/a").unwrap(), "x".into()).await
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let trial = Faulty::new(Arc::new(Memory::new()));
//! scenario(Arc::new(trial.clone())).await.unwrap();
//! for operation in 0..trial.operations() {
//!     for fault in Fault::ALL {
//!         let inner: Arc<dyn Driver> = Arc::new(Memory::new());
//!         let faulty = Faulty::new(Arc::clone(&inner));
//!         faulty.fail_at(operation, fault);
//!         let outcome = scenario(Arc::new(faulty.clone())).await;
//!         assert!(outcome.is_err(), "{:?} was swallowed", faulty.hit());
//!         // Here come the checks of `inner`.
//!     }
//! }
//! # });
//! ```
//!
//! Nothing in it is drawn by lot: the same scenario fails at the same place each time.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::watch::Watcher;
use crate::{
    Appender, ByteStream, Driver, Entry, EntryKind, Listing, ListingVersion, Object, Result, Space,
    Stat, StorageError, StoragePath,
};

/// What an operation does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It gets so far and then fails; the next one works again.
    Error(Failure, Progress),
    /// It gets so far and then fails, and so does every operation after it.
    Crash(Progress),
}

/// The error of a [`Fault::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// [`StorageError::NoSpace`].
    NoSpace,
    /// [`StorageError::Io`].
    Io,
}

/// How far an operation gets before it fails. Reads get nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing happens.
    Nothing,
    /// What a driver may leave half-done: of an append the first half, of opening for it the
    /// empty file, of a put a temporary file beside the target, of a publish the target's
    /// directory, of the deletion of a directory its first entries. Where there is no half,
    /// nothing happens.
    Half,
    /// It is done, and the caller doesn't learn of it.
    All,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 9] = [
        Self::Error(Failure::NoSpace, Progress::Nothing),
        Self::Error(Failure::NoSpace, Progress::Half),
        Self::Error(Failure::NoSpace, Progress::All),
        Self::Error(Failure::Io, Progress::Nothing),
        Self::Error(Failure::Io, Progress::Half),
        Self::Error(Failure::Io, Progress::All),
        Self::Crash(Progress::Nothing),
        Self::Crash(Progress::Half),
        Self::Crash(Progress::All),
    ];

    const fn progress(self) -> Progress {
        match self {
            Self::Error(_, progress) | Self::Crash(progress) => progress,
        }
    }

    fn error(self, operation: &'static str, path: &StoragePath) -> StorageError {
        match self {
            Self::Error(Failure::NoSpace, _) => StorageError::NoSpace { path: path.clone() },
            Self::Error(Failure::Io, _) => failure(operation, path, "failed on purpose"),
            Self::Crash(_) => failure(operation, path, "crashed on purpose"),
        }
    }
}

fn failure(operation: &'static str, path: &StoragePath, why: &str) -> StorageError {
    StorageError::Io { operation, path: path.clone(), source: io::Error::other(why) }
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<(u64, Fault)>,
    operations: u64,
    counts_reads: bool,
    has_crashed: bool,
    hit: Option<String>,
}

/// A driver in front of another one, which it makes fail. Clones share the plan.
#[derive(Debug, Clone)]
pub struct Faulty {
    inner: Arc<dyn Driver>,
    plan: Arc<Mutex<Plan>>,
    lists_late: bool,
}

impl Faulty {
    /// Counts what changes the storage, and fails at nothing yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Driver>) -> Self {
        Self { inner, plan: Arc::default(), lists_late: false }
    }

    /// Counts reads as well, so that they can fail too. Of a stream only the beginning counts.
    #[must_use]
    pub fn counting_reads(self) -> Self {
        self.plan().counts_reads = true;
        self
    }

    /// Says of its lists that they may lack what was written just before.
    #[must_use]
    pub fn listing_late(self) -> Self {
        Self { lists_late: true, ..self }
    }

    /// Makes the operation with this number fail, the first one being 0. There is one fault at a
    /// time; it replaces the last one.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.plan().fault = Some((operation, fault));
    }

    /// How many operations have been counted so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan().operations
    }

    /// Which operation the fault has hit, as text for a test's message.
    #[must_use]
    pub fn hit(&self) -> Option<String> {
        self.plan().hit.clone()
    }

    /// Whether it has crashed.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.plan().has_crashed
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that an operation is to meet; an error when everything is over already.
    fn next(
        &self,
        changes: bool,
        operation: &'static str,
        path: &StoragePath,
    ) -> Result<Option<Fault>> {
        let mut plan = self.plan();
        if plan.has_crashed {
            return Err(failure(operation, path, "crashed on purpose, earlier on"));
        }
        if !changes && !plan.counts_reads {
            return Ok(None);
        }
        let number = plan.operations;
        plan.operations += 1;
        let Some((_, fault)) = plan.fault.filter(|&(at, _)| at == number) else {
            return Ok(None);
        };
        plan.hit = Some(format!("operation {number}: {operation} {path}: {fault:?}"));
        plan.has_crashed = matches!(fault, Fault::Crash(_));
        Ok(Some(fault))
    }

    /// For operations that change nothing.
    fn read(&self, operation: &'static str, path: &StoragePath) -> Result<()> {
        match self.next(false, operation, path)? {
            Some(fault) => Err(fault.error(operation, path)),
            None => Ok(()),
        }
    }

    /// Leaves a directory behind, as a publish does that ends before its rename.
    async fn make_directory_of(&self, path: &StoragePath) -> Result<()> {
        let marker = temporary_beside(path)?;
        self.inner.put(&marker, Bytes::new()).await?;
        self.inner.delete(&marker).await
    }

    async fn delete_half(&self, path: &StoragePath) -> Result<()> {
        if self.inner.stat(path).await?.kind == EntryKind::Directory {
            let entries = self.inner.list(path).await?.entries;
            for entry in &entries[..entries.len() / 2] {
                self.inner.delete(&path.join(&entry.name)?).await?;
            }
        }
        Ok(())
    }
}

fn temporary_beside(path: &StoragePath) -> Result<StoragePath> {
    let uuid = "0fa17000-0000-4000-8000-000000000000";
    Ok(StoragePath::parse(format!("{path}.{uuid}.tmp"))?)
}

#[async_trait]
impl Driver for Faulty {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        self.read("read", path)?;
        self.inner.get(path, limit_bytes).await
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let Some(fault) = self.next(true, "write", path)? else {
            return self.inner.put(path, content).await;
        };
        match fault.progress() {
            Progress::Nothing => {}
            Progress::Half => {
                let half = content.slice(..content.len() / 2);
                self.inner.put(&temporary_beside(path)?, half).await?;
            }
            Progress::All => self.inner.put(path, content).await?,
        }
        Err(fault.error("write", path))
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        self.read("look at", path)?;
        self.inner.stat(path).await
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        self.read("open", path)?;
        let inner = self.inner.open(path).await?;
        Ok(Arc::new(FaultyObject { path: path.clone(), inner, faulty: self.clone() }))
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        let operation = "open for appending";
        let Some(fault) = self.next(true, operation, path)? else {
            let inner = self.inner.append(path).await?;
            let (path, faulty) = (path.clone(), self.clone());
            return Ok(Box::new(FaultyAppender { path, inner, faulty }));
        };
        if fault.progress() != Progress::Nothing {
            drop(self.inner.append(path).await?);
        }
        Err(fault.error(operation, path))
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        let Some(fault) = self.next(true, "publish", to)? else {
            return self.inner.publish(from, to).await;
        };
        match fault.progress() {
            Progress::Nothing => {}
            Progress::Half => self.make_directory_of(to).await?,
            Progress::All => self.inner.publish(from, to).await?,
        }
        Err(fault.error("publish", to))
    }

    async fn settle(&self, path: &StoragePath) -> Result<()> {
        let Some(fault) = self.next(true, "sync", path)? else {
            return self.inner.settle(path).await;
        };
        if fault.progress() == Progress::All {
            self.inner.settle(path).await?;
        }
        Err(fault.error("sync", path))
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let Some(fault) = self.next(true, "delete", path)? else {
            return self.inner.delete(path).await;
        };
        match fault.progress() {
            Progress::Nothing => {}
            Progress::Half => self.delete_half(path).await?,
            Progress::All => self.inner.delete(path).await?,
        }
        Err(fault.error("delete", path))
    }

    async fn delete_empty(&self, path: &StoragePath) -> Result<()> {
        let Some(fault) = self.next(true, "delete if empty", path)? else {
            return self.inner.delete_empty(path).await;
        };
        if fault.progress() == Progress::All {
            self.inner.delete_empty(path).await?;
        }
        Err(fault.error("delete if empty", path))
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        self.read("list", path)?;
        self.inner.list(path).await
    }

    async fn leftovers(&self, path: &StoragePath) -> Result<Vec<(Box<str>, Stat)>> {
        self.read("list", path)?;
        self.inner.leftovers(path).await
    }

    async fn space(&self) -> Result<Option<Space>> {
        self.inner.space().await
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        self.read("look at", path)?;
        self.inner.listing_version(path).await
    }

    async fn list_page(
        &self,
        path: &StoragePath,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        self.read("list", path)?;
        self.inner.list_page(path, after, limit).await
    }

    async fn stat_staged(&self, path: &StoragePath) -> Result<Stat> {
        self.read("look at", path)?;
        self.inner.stat_staged(path).await
    }

    async fn open_staged(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        self.read("open", path)?;
        let inner = self.inner.open_staged(path).await?;
        Ok(Arc::new(FaultyObject { path: path.clone(), inner, faulty: self.clone() }))
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }

    fn lists_late(&self) -> bool {
        self.lists_late || self.inner.lists_late()
    }

    /// None: what is remembered is not read, and what is not read can't fail.
    fn watcher(&self) -> Option<&dyn Watcher> {
        None
    }
}

#[derive(Debug)]
struct FaultyObject {
    path: StoragePath,
    inner: Arc<dyn Object>,
    faulty: Faulty,
}

impl Object for FaultyObject {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        match self.faulty.read("stream", &self.path) {
            Ok(()) => Arc::clone(&self.inner).stream(range),
            Err(error) => Box::pin(futures_util::stream::iter([Err(error)])),
        }
    }
}

#[derive(Debug)]
struct FaultyAppender {
    path: StoragePath,
    inner: Box<dyn Appender>,
    faulty: Faulty,
}

#[async_trait]
impl Appender for FaultyAppender {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn generation(&self) -> Option<Uuid> {
        self.inner.generation()
    }

    async fn append(&mut self, mut pieces: Vec<Bytes>) -> Result<()> {
        let Some(fault) = self.faulty.next(true, "append to", &self.path)? else {
            return self.inner.append(pieces).await;
        };
        let all: usize = pieces.iter().map(Bytes::len).sum();
        let mut room = match fault.progress() {
            Progress::Nothing => 0,
            Progress::Half => all / 2,
            Progress::All => all,
        };
        for piece in &mut pieces {
            piece.truncate(room);
            room -= piece.len();
        }
        self.inner.append(pieces).await?;
        Err(fault.error("append to", &self.path))
    }

    async fn truncate(&mut self, size_bytes: u64) -> Result<()> {
        let Some(fault) = self.faulty.next(true, "truncate", &self.path)? else {
            return self.inner.truncate(size_bytes).await;
        };
        if fault.progress() == Progress::All {
            self.inner.truncate(size_bytes).await?;
        }
        Err(fault.error("truncate", &self.path))
    }

    async fn sync(&mut self) -> Result<()> {
        let Some(fault) = self.faulty.next(true, "sync", &self.path)? else {
            return self.inner.sync().await;
        };
        if fault.progress() == Progress::All {
            self.inner.sync().await?;
        }
        Err(fault.error("sync", &self.path))
    }

    async fn keep(&mut self) -> Result<()> {
        let Some(fault) = self.faulty.next(true, "keep", &self.path)? else {
            return self.inner.keep().await;
        };
        if fault.progress() == Progress::All {
            self.inner.keep().await?;
        }
        Err(fault.error("keep", &self.path))
    }
}

#[cfg(test)]
mod tests;
