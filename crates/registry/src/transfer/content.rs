//! The bytes of a blob, which are checked on their way.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci::{Digest, Hasher};
use storage::{Appender, ByteStream, StorageError, StoragePath, found};

use super::Transfer;
use super::error::Failure;
use crate::limits::{TRANSFER_BATCH_BYTES, TRANSFER_PUT_BYTES_MAX};
use crate::{UploadId, layout};

/// Content that is read batch by batch and hashed.
struct Reader {
    stream: ByteStream,
    hasher: Hasher,
}

impl Reader {
    /// The next pieces; none at the end.
    async fn batch(&mut self, transfer: &Transfer) -> Result<Vec<Bytes>, StorageError> {
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        while bytes < TRANSFER_BATCH_BYTES {
            let Some(piece) = self.stream.next().await.transpose()? else { break };
            self.hasher.update(&piece);
            transfer.tally.read(piece.len() as u64);
            bytes += piece.len();
            pieces.push(piece);
        }
        Ok(pieces)
    }
}

impl Transfer {
    /// Copies a blob of about this size, in bytes, to its place. It is there when it is whole, and
    /// durable by then. Returns its size, in bytes.
    pub(super) async fn copy_content(
        &self,
        digest: &Digest,
        path: &StoragePath,
        size_bytes: u64,
    ) -> Result<u64, Failure> {
        if size_bytes <= TRANSFER_PUT_BYTES_MAX {
            return self.put_content(digest, path).await;
        }
        let staged = layout::transferred(&UploadId::random());
        let copied = match self.stage_content(digest, path, &staged).await {
            // The file stays open: what was gathered for it need not be written down in between.
            Ok((size_bytes, _appender)) => {
                let published = self.target.publish(&staged, path).await;
                published.map(|()| size_bytes).map_err(Failure::Target)
            }
            Err(failure) => Err(failure),
        };
        if copied.is_err()
            && let Err(error) = found(self.target.delete(&staged).await)
        {
            // It is tried once more at the end.
            tracing::debug!(path = %staged, %error, "what could not be copied is left for now");
        }
        copied
    }

    async fn put_content(&self, digest: &Digest, path: &StoragePath) -> Result<u64, Failure> {
        let content = self.source.get(path, TRANSFER_PUT_BYTES_MAX).await;
        let content = content.map_err(Failure::Source)?;
        let size_bytes = content.len() as u64;
        self.tally.read(size_bytes);
        check(digest, Digest::of(digest.algorithm(), &content))?;
        self.target.put(path, content).await.map_err(Failure::Target)?;
        Ok(size_bytes)
    }

    /// Copies a blob to where nobody looks for it.
    async fn stage_content(
        &self,
        digest: &Digest,
        path: &StoragePath,
        staged: &StoragePath,
    ) -> Result<(u64, Box<dyn Appender>), Failure> {
        let object = self.source.open(path).await.map_err(Failure::Source)?;
        let size_bytes = object.size_bytes();
        let stream = Arc::clone(&object).stream(0..size_bytes);
        let mut reader = Reader { stream, hasher: digest.algorithm().hasher() };
        let mut appender =
            self.target.append_toward(staged, path).await.map_err(Failure::Target)?;
        let mut batch = reader.batch(self).await.map_err(Failure::Source)?;
        while !batch.is_empty() {
            if self.is_ending() {
                return Err(Failure::Stopped);
            }
            let (written, next) = tokio::join!(appender.append(batch), reader.batch(self));
            written.map_err(Failure::Target)?;
            batch = next.map_err(Failure::Source)?;
        }
        check(digest, reader.hasher.finish())?;
        Ok((size_bytes, appender))
    }

    /// Whether what the target has is what its digest says.
    pub(super) async fn is_intact(
        &self,
        digest: &Digest,
        path: &StoragePath,
    ) -> Result<bool, Failure> {
        let object = self.target.open(path).await.map_err(Failure::Target)?;
        let size_bytes = object.size_bytes();
        let stream = object.stream(0..size_bytes);
        let mut reader = Reader { stream, hasher: digest.algorithm().hasher() };
        while !reader.batch(self).await.map_err(Failure::Target)?.is_empty() {
            if self.is_ending() {
                return Err(Failure::Stopped);
            }
        }
        Ok(reader.hasher.finish() == *digest)
    }
}

fn check(expected: &Digest, actual: Digest) -> Result<(), Failure> {
    if actual == *expected {
        return Ok(());
    }
    Err(Failure::Corrupt { expected: *expected, actual })
}
