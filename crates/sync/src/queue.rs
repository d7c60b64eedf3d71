//! What a job has still to copy, on the storage: one small file for each item. Their names begin
//! with the time at which they were queued, so that a listing has them in that order.

mod item;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use registry::layout::SyncPaths;
use storage::{Change, Driver, EntryKind, Pages, StorageError, StoragePath, found};

use crate::limits::{FAILED_MAX, ITEM_BYTES_MAX, QUEUED_AT_ONCE};

pub(crate) use item::{Item, key_of};

type Result<T, E = StorageError> = std::result::Result<T, E>;

/// How many requests are made at once where each goes to another machine.
const REQUESTS_AT_ONCE: usize = 16;

/// The queue of a job.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    driver: Arc<dyn Driver>,
    paths: SyncPaths,
}

impl Queue {
    pub(crate) fn new(driver: Arc<dyn Driver>, paths: SyncPaths) -> Self {
        Self { driver, paths }
    }

    /// Queues items, durably.
    pub(crate) async fn add(&self, items: &[Item]) -> Result<()> {
        let mut changes = Vec::new();
        for item in items {
            changes.push(Change::put(self.path(item.id())?, item.content()));
        }
        if !self.driver.is_remote() {
            // They share their syncs.
            for part in changes.chunks(QUEUED_AT_ONCE) {
                self.driver.apply(vec![part.to_vec()]).await?;
            }
            return Ok(());
        }
        let puts = changes.into_iter().map(|change| self.driver.apply(vec![vec![change]]));
        stream::iter(puts).buffer_unordered(REQUESTS_AT_ONCE).try_collect().await
    }

    /// Writes an item anew, as it was tried.
    pub(crate) async fn put(&self, item: &Item) -> Result<()> {
        self.driver.put(&self.path(item.id())?, item.content()).await
    }

    /// The names of all items, the oldest first.
    pub(crate) async fn ids(&self) -> Result<Vec<Box<str>>> {
        self.names(&self.paths.queue()).await
    }

    /// An item; `None` when it is not there any more, or can't be understood, which is removed.
    pub(crate) async fn load(&self, id: &str) -> Result<Option<Item>> {
        let path = self.path(id)?;
        let Some(item) = self.read(&path, id).await? else { return Ok(None) };
        if item.is_none() {
            tracing::warn!(%path, "what is queued there can't be understood, and is removed");
            self.remove(id).await?;
        }
        Ok(item)
    }

    /// An item, which is left alone whatever it is.
    pub(crate) async fn peek(&self, id: &str) -> Result<Option<Item>> {
        Ok(self.read(&self.path(id)?, id).await?.flatten())
    }

    /// Removes an item.
    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        found(self.driver.delete(&self.path(id)?).await).map(drop)
    }

    /// Takes an item out of the queue, and keeps it as one that failed.
    pub(crate) async fn give_up(&self, item: &Item) -> Result<()> {
        let path = self.failed_path(item.key())?;
        let is_known = found(self.driver.stat(&path).await)?.is_some();
        if is_known || self.failed_keys().await?.len() < FAILED_MAX {
            self.driver.put(&path, item.content()).await?;
        }
        self.remove(item.id()).await
    }

    /// Forgets that something failed.
    pub(crate) async fn forgive(&self, key: &str) -> Result<()> {
        found(self.driver.delete(&self.failed_path(key)?).await).map(drop)
    }

    /// The keys of what was given up.
    pub(crate) async fn failed_keys(&self) -> Result<HashSet<Box<str>>> {
        Ok(self.names(&self.paths.failed()).await?.into_iter().collect())
    }

    /// Something that was given up.
    pub(crate) async fn failed(&self, key: &str) -> Result<Option<Item>> {
        Ok(self.read(&self.failed_path(key)?, key).await?.flatten())
    }

    async fn read(&self, path: &StoragePath, id: &str) -> Result<Option<Option<Item>>> {
        match self.driver.get(path, ITEM_BYTES_MAX).await {
            Ok(content) => Ok(Some(Item::parse(id, &content))),
            Err(StorageError::TooLarge { .. }) => Ok(Some(None)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files of a directory by name, sorted.
    async fn names(&self, directory: &StoragePath) -> Result<Vec<Box<str>>> {
        let mut names = Vec::new();
        let mut pages = Pages::of(directory.clone());
        while let Some(entries) = pages.next(&*self.driver).await? {
            let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
            names.extend(files.map(|entry| entry.name));
        }
        Ok(names)
    }

    fn path(&self, id: &str) -> Result<StoragePath> {
        self.paths.queued(id).map_err(|_| no_path(&self.paths.queue()))
    }

    fn failed_path(&self, key: &str) -> Result<StoragePath> {
        self.paths.given_up(key).map_err(|_| no_path(&self.paths.failed()))
    }
}

/// A name that is not a component of a path can't be there.
fn no_path(directory: &StoragePath) -> StorageError {
    StorageError::NotFound { path: directory.clone() }
}

/// What a note says, if there is one that can be understood.
pub(crate) async fn read_note<T: serde::de::DeserializeOwned>(
    driver: &dyn Driver,
    path: &StoragePath,
    limit_bytes: u64,
) -> Result<Option<T>> {
    match driver.get(path, limit_bytes).await {
        Ok(content) => Ok(serde_json::from_slice(&content).ok()),
        Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of a note.
pub(crate) fn note(value: &impl serde::Serialize) -> Bytes {
    // Texts and numbers: it never fails.
    serde_json::to_vec(value).unwrap_or_default().into()
}
