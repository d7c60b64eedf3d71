//! The blobs of a snapshot, each copied once.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use registry::Error;
use storage::Object;

use super::Creation;
use crate::backup::BackupError;
use crate::backup::record::Item;
use crate::content::{self, CopyError, file_size};
use crate::layout;

/// What became of a blob.
pub(super) enum Found {
    /// It is in the backup, under each of these digests.
    Kept(Vec<Item>),
    /// The repository does not have it.
    Nothing,
    /// Its content is damaged.
    Damaged(String),
}

impl Creation<'_> {
    /// Has the backup hold a blob of a repository, under its SHA-256 and under the digest by which it
    /// is asked for: tools that read OCI layouts look for that one.
    pub(super) async fn keep_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Found, BackupError> {
        let stat = match self.registry.stat_blob(name, digest).await {
            Ok(stat) => stat,
            Err(Error::BlobUnknown { .. }) => return Ok(Found::Nothing),
            Err(error) => return Err(error.into()),
        };
        let mut items = vec![Item::new(stat.digest, stat.digest, stat.size_bytes)];
        if *digest != stat.digest {
            items.push(Item::new(*digest, stat.digest, stat.size_bytes));
        }
        for item in &items {
            if self.settled.get(&item.digest).is_some() {
                continue;
            }
            let _lock = self.lock(&item.digest).await;
            if self.is_kept(&item.digest, item.size).await? {
                continue;
            }
            let object = match self.registry.open_blob(name, digest).await {
                Ok(blob) => blob.object,
                Err(Error::BlobUnknown { .. }) => return Ok(Found::Nothing),
                Err(error) => return Err(error.into()),
            };
            if let Err(damage) = self.copy(object, &item.digest).await? {
                return Ok(Found::Damaged(format!("{}: {damage}", item.digest)));
            }
        }
        Ok(Found::Kept(items))
    }

    /// Has the backup hold these bytes, which have this digest.
    pub(super) async fn keep_bytes(
        &self,
        digest: &Digest,
        content: &Bytes,
    ) -> Result<(), BackupError> {
        if self.settled.get(digest).is_some() {
            return Ok(());
        }
        let _lock = self.lock(digest).await;
        if !self.is_kept(digest, content.len() as u64).await? {
            self.backup.driver.put(&layout::blob(digest), content.clone()).await?;
            self.copied(digest, content.len() as u64);
        }
        Ok(())
    }

    async fn lock(&self, digest: &Digest) -> tokio::sync::MutexGuard<'_, ()> {
        self.locks[usize::from(digest.as_bytes()[0]) % self.locks.len()].lock().await
    }

    /// Whether the backup has a blob of this size, in bytes, durably.
    async fn is_kept(&self, digest: &Digest, size_bytes: u64) -> Result<bool, BackupError> {
        if self.settled.get(digest).is_some() {
            return Ok(true);
        }
        let path = layout::blob(digest);
        let driver = &self.backup.driver;
        if file_size(&**driver, &path).await? != Some(size_bytes) {
            return Ok(false);
        }
        driver.settle(&path).await?;
        self.settled.insert(*digest, ());
        self.meter.blob_done();
        self.report().there_blobs += 1;
        Ok(true)
    }

    /// Copies a blob. The inner error is that of its content.
    async fn copy(
        &self,
        object: Arc<dyn Object>,
        digest: &Digest,
    ) -> Result<Result<(), CopyError>, BackupError> {
        let driver = &*self.backup.driver;
        let path = layout::blob(digest);
        match content::copy(object, digest, driver, &path, layout::staged, self.meter).await {
            Ok(size_bytes) => {
                self.copied(digest, size_bytes);
                Ok(Ok(()))
            }
            Err(CopyError::Stopped) => Err(BackupError::Stopped),
            Err(CopyError::Source(error)) => Err(Error::Storage(error).into()),
            Err(CopyError::Target(error)) => Err(error.into()),
            Err(damage @ CopyError::Corrupt { .. }) => Ok(Err(damage)),
        }
    }

    fn copied(&self, digest: &Digest, size_bytes: u64) {
        self.settled.insert(*digest, ());
        self.meter.blob_done();
        let mut report = self.report();
        report.copied_blobs += 1;
        report.copied_bytes += size_bytes;
    }
}
