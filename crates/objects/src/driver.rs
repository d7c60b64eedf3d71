//! The driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use storage::{
    Appender, Change, Driver, Entry, EntryKind, Listing, ListingVersion, Object, Result, Stat,
    StorageError, StoragePath, delete_remains,
};
use tracing::warn;

use crate::client::{Client, Store};
use crate::failure::{broken, storage_error};
use crate::guard::{Guard, StoreHealth};
use crate::keys::Root;
use crate::limits::{OBJECT_BYTES_MAX, PART_BYTES_ASKED_MAX, PART_BYTES_MIN, REDIRECT_LIFETIME};
use crate::listing;
use crate::options::OpenOptions;
use crate::reading::{Remote, small};
use crate::staging::{self, Gathering, ObjectAppender, Open};

/// A bucket, or a container, as a storage.
#[derive(Debug)]
pub struct Objects {
    pub(crate) client: Arc<Client>,
    open: Arc<Open>,
    gathering: Gathering,
}

impl Objects {
    pub(crate) fn assemble(store: Store, open: &OpenOptions, guard: Arc<Guard>) -> Self {
        let client = Client {
            store,
            root: Root::new(&open.root_directory),
            part_bytes: part_bytes(open.part_bytes),
            is_conditional: Arc::new(AtomicBool::new(false)),
            lists_late: Arc::new(AtomicBool::new(false)),
            guard,
        };
        Self { client: Arc::new(client), open: Arc::default(), gathering: Gathering::new() }
    }

    /// How the store does.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.client.guard.health()
    }

    /// One change of [`Driver::apply`]. `gone` is the directory that was deleted before, if any.
    async fn change(&self, change: Change, gone: &mut Option<StoragePath>) -> Result<()> {
        match change {
            // To write what may be there already costs as much as to look.
            Change::Put { path, content, reuse } => {
                self.put(&path, content).await?;
                match reuse {
                    Some(reuse) if reuse.parent() != *gone => delete_remains(self, &reuse).await,
                    _ => {}
                }
                Ok(())
            }
            Change::Note { path, content } => self.put(&path, content).await,
            Change::Publish { from, to } => {
                let size_bytes = self.stat_staged(&from).await?.size_bytes;
                match self.client.stat(&to).await {
                    Ok(found) if found.size_bytes == size_bytes => {}
                    Ok(_) | Err(StorageError::NotFound { .. }) => self.publish(&from, &to).await?,
                    Err(error) => return Err(error),
                }
                *gone = from.parent();
                if let Some(directory) = &gone {
                    delete_remains(self, directory).await;
                }
                Ok(())
            }
        }
    }

    async fn appender(
        &self,
        path: &StoragePath,
        target: Option<&StoragePath>,
    ) -> Result<Box<dyn Appender>> {
        let (client, open, gathering) = (&self.client, &self.open, &self.gathering);
        Ok(Box::new(ObjectAppender::open(client, open, gathering, path, target).await?))
    }

    fn refuse_root(&self, operation: &'static str, path: &StoragePath) -> Result<()> {
        if path.is_root() {
            return Err(broken(operation, path, "it is the storage's root"));
        }
        Ok(())
    }
}

/// How large the parts of an upload are where `asked` bytes are asked for.
fn part_bytes(asked: usize) -> usize {
    if asked > PART_BYTES_ASKED_MAX {
        warn!(
            "`chunksize` is {asked}, and parts are gathered in memory: they have \
             {PART_BYTES_ASKED_MAX} bytes"
        );
    }
    asked.clamp(PART_BYTES_MIN, PART_BYTES_ASKED_MAX)
}

fn not_found<T>(path: &StoragePath) -> Result<T> {
    Err(StorageError::NotFound { path: path.clone() })
}

#[async_trait]
impl Driver for Objects {
    fn name(&self) -> &'static str {
        self.client.store.name
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        if path.is_root() {
            return not_found(path);
        }
        small(&self.client, path, limit_bytes).await
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.refuse_root("write", path)?;
        let key = self.client.root.key("write", path)?;
        self.client.put(path, &key, content.into()).await.map(|_| ())
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        if !path.is_root() {
            match self.client.stat(path).await {
                Err(StorageError::NotFound { .. }) => {}
                found => return found,
            }
        }
        let first = listing::first_below(&self.client, path).await?;
        if first.is_none() && !path.is_root() {
            return not_found(path);
        }
        let modified = first.map_or(std::time::SystemTime::UNIX_EPOCH, |o| o.last_modified.into());
        Ok(Stat { kind: EntryKind::Directory, size_bytes: 0, modified })
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        if path.is_root() {
            return not_found(path);
        }
        Ok(Arc::new(Remote::open(&self.client, path).await?))
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        self.appender(path, None).await
    }

    async fn append_toward(
        &self,
        path: &StoragePath,
        target: &StoragePath,
    ) -> Result<Box<dyn Appender>> {
        self.appender(path, Some(target)).await
    }

    async fn stat_staged(&self, path: &StoragePath) -> Result<Stat> {
        staging::stat(&self.client, &self.open, path).await
    }

    async fn open_staged(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        staging::open(&self.client, &self.open, &self.gathering, path).await
    }

    async fn abandon(&self, older_than: Duration, dry_run: bool) -> Result<Vec<String>> {
        let prefix = self.client.root.below(&StoragePath::root());
        self.client.store.copier.abandon(&prefix, older_than, dry_run).await
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        staging::publish(&self.client, &self.open, &self.gathering, from, to).await
    }

    async fn apply(&self, stages: Vec<Vec<Change>>) -> Result<()> {
        let mut gone = None;
        for change in stages.into_iter().flatten() {
            self.change(change, &mut gone).await?;
        }
        Ok(())
    }

    /// What the store has acknowledged is durable.
    async fn settle(&self, path: &StoragePath) -> Result<()> {
        self.client.stat(path).await.map(|_| ())
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.refuse_root("delete", path)?;
        let key = self.client.root.key("delete", path)?;
        let is_file = match self.client.head(path, &key).await {
            Ok(_) => true,
            Err(StorageError::NotFound { .. }) => false,
            Err(error) => return Err(error),
        };
        if is_file {
            self.client.delete(path, &key).await?;
        }
        if !listing::delete_below(&self.client, path).await? && !is_file {
            return not_found(path);
        }
        Ok(())
    }

    /// There are no empty directories.
    async fn delete_empty(&self, _: &StoragePath) -> Result<()> {
        Ok(())
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        Ok(Listing { entries: listing::all(&self.client, path).await?, version: None })
    }

    async fn list_page(
        &self,
        path: &StoragePath,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        listing::some(&self.client, path, after, limit).await
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        if !path.is_root() && listing::first_below(&self.client, path).await?.is_none() {
            return not_found(path);
        }
        Ok(None)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn lists_late(&self) -> bool {
        self.client.lists_late.load(Ordering::Relaxed)
    }

    fn file_bytes_max(&self) -> u64 {
        OBJECT_BYTES_MAX
    }

    async fn redirect(&self, path: &StoragePath) -> Result<Option<String>> {
        let Some(signer) = &self.client.store.redirects else { return Ok(None) };
        let key = self.client.root.key("sign a URL of", path)?;
        let url = signer.signed_url(Method::GET, &key, REDIRECT_LIFETIME).await;
        let url = url.map_err(|error| storage_error("sign a URL of", path, error))?;
        Ok(Some(url.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::Gathering;

    #[test]
    fn a_chunksize_that_is_too_large_is_as_large_as_may_be() {
        for (asked, expected) in [(1, 5 << 20), (20 << 20, 20 << 20), (33 << 20, 32 << 20)] {
            assert_eq!(part_bytes(asked), expected);
            let gathering = Gathering::new();
            assert_eq!(gathering.part_bytes(expected), expected, "{asked}");
        }
    }
}
