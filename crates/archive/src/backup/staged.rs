//! A file of the backup that is written piece by piece and seen as a whole.

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use storage::{Appender, Driver, Result, StoragePath, delete_remains};

use crate::layout;
use crate::limits::BATCH_BYTES;

pub(super) struct StagedFile<'a> {
    driver: &'a dyn Driver,
    path: StoragePath,
    appender: Box<dyn Appender>,
    hasher: Hasher,
    size_bytes: u64,
    buffer: Vec<u8>,
}

impl<'a> StagedFile<'a> {
    pub(super) async fn create(driver: &'a dyn Driver) -> Result<Self> {
        let path = layout::staged();
        let appender = driver.append(&path).await?;
        let hasher = Algorithm::Sha256.hasher();
        Ok(Self { driver, path, appender, hasher, size_bytes: 0, buffer: Vec::new() })
    }

    pub(super) async fn write(&mut self, content: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(content);
        if self.buffer.len() >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.hasher.update(&piece);
        self.size_bytes += piece.len() as u64;
        self.appender.append(vec![piece]).await
    }

    /// Publishes it where its digest leads; returns digest and size in bytes.
    pub(super) async fn finish(
        mut self,
        path_of: impl FnOnce(&Digest) -> StoragePath,
    ) -> Result<(Digest, u64)> {
        self.flush().await?;
        let digest = self.hasher.finish();
        self.driver.publish(&self.path, &path_of(&digest)).await?;
        Ok((digest, self.size_bytes))
    }

    /// Gives it up.
    pub(super) async fn discard(self) {
        drop(self.appender);
        delete_remains(self.driver, &self.path).await;
    }
}
