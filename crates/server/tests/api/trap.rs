//! A driver that panics or fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use storage::memory::Memory;
use storage::{
    Appender, Driver, Listing, ListingVersion, Object, Result, Space, Stat, StorageError,
    StoragePath,
};

/// What the next operations do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trap {
    /// What they should.
    Off,
    /// They panic.
    Panic,
    /// They fail with an I/O error.
    Fail,
    /// Writes fail for want of space.
    Full,
}

/// The in-memory driver with a [`Trap`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Trapped {
    inner: Memory,
    trap: Arc<AtomicU8>,
    /// Bytes that are free of [`TOTAL_BYTES`]; not known when it is none of them.
    free_bytes: Arc<AtomicU64>,
}

/// What the driver has room for.
pub(crate) const TOTAL_BYTES: u64 = 1 << 30;

impl Trapped {
    pub(crate) fn set(&self, trap: Trap) {
        self.trap.store(trap as u8, Ordering::SeqCst);
    }

    /// Has so much free.
    pub(crate) fn set_free(&self, bytes: u64) {
        self.free_bytes.store(bytes, Ordering::SeqCst);
    }

    fn spring(&self, path: &StoragePath, is_write: bool) -> Result<()> {
        let path = path.clone();
        match self.trap.load(Ordering::SeqCst) {
            trap if trap == Trap::Panic as u8 => panic!("the trap has sprung"),
            trap if trap == Trap::Fail as u8 => {
                let source = std::io::Error::other("trapped");
                Err(StorageError::Io { operation: "use", path, source })
            }
            trap if trap == Trap::Full as u8 && is_write => Err(StorageError::NoSpace { path }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Driver for Trapped {
    fn name(&self) -> &'static str {
        "trapped"
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        self.spring(path, false)?;
        self.inner.get(path, limit_bytes).await
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.spring(path, true)?;
        self.inner.put(path, content).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        self.spring(path, false)?;
        self.inner.stat(path).await
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        self.spring(path, false)?;
        self.inner.open(path).await
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        self.spring(path, true)?;
        self.inner.append(path).await
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        self.spring(to, true)?;
        self.inner.publish(from, to).await
    }

    async fn settle(&self, path: &StoragePath) -> Result<()> {
        self.spring(path, true)?;
        self.inner.settle(path).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.spring(path, true)?;
        self.inner.delete(path).await
    }

    async fn delete_empty(&self, path: &StoragePath) -> Result<()> {
        self.spring(path, true)?;
        self.inner.delete_empty(path).await
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        self.spring(path, false)?;
        self.inner.list(path).await
    }

    async fn space(&self) -> Result<Option<Space>> {
        let free_bytes = self.free_bytes.load(Ordering::SeqCst);
        Ok((free_bytes > 0).then_some(Space { free_bytes, total_bytes: TOTAL_BYTES }))
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        self.spring(path, false)?;
        self.inner.listing_version(path).await
    }
}
