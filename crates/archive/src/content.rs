//! The bytes of blobs, which are checked on their way.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci::{Digest, Hasher};
use storage::{ByteStream, Driver, EntryKind, Object, StorageError, StoragePath, found};

use crate::Meter;
use crate::limits::{BATCH_BYTES, PUT_BYTES_MAX};

/// Why content could not be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("it can't be read: {0}")]
    Source(StorageError),
    #[error("it can't be written: {0}")]
    Target(StorageError),
    #[error("its content is damaged (it has digest {actual}, not {expected})")]
    Corrupt { expected: Digest, actual: Digest },
    #[error("it was stopped")]
    Stopped,
}

/// Content that is read batch by batch and hashed.
struct Reader<'a> {
    stream: ByteStream,
    hasher: Hasher,
    meter: &'a Meter,
}

impl<'a> Reader<'a> {
    fn new(object: Arc<dyn Object>, digest: &Digest, meter: &'a Meter) -> Self {
        let size_bytes = object.size_bytes();
        Self { stream: object.stream(0..size_bytes), hasher: digest.algorithm().hasher(), meter }
    }

    /// The next pieces; none at the end.
    async fn batch(&mut self) -> Result<Vec<Bytes>, CopyError> {
        if self.meter.is_stopped() {
            return Err(CopyError::Stopped);
        }
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES {
            let piece = self.stream.next().await.transpose().map_err(CopyError::Source)?;
            let Some(piece) = piece else { break };
            self.hasher.update(&piece);
            self.meter.read(piece.len());
            bytes += piece.len();
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn check(self, expected: &Digest) -> Result<(), CopyError> {
        let actual = self.hasher.finish();
        if actual == *expected {
            return Ok(());
        }
        Err(CopyError::Corrupt { expected: *expected, actual })
    }
}

/// Copies content to its final path. It is there when it is whole and has its digest, and durable by
/// then. Returns its size, in bytes. `staged` is where it lies until then; what is there after an
/// error only costs space.
pub(crate) async fn copy(
    object: Arc<dyn Object>,
    digest: &Digest,
    target: &dyn Driver,
    path: &StoragePath,
    staged: impl FnOnce() -> StoragePath,
    meter: &Meter,
) -> Result<u64, CopyError> {
    let size_bytes = object.size_bytes();
    let reader = Reader::new(object, digest, meter);
    if size_bytes <= PUT_BYTES_MAX {
        put(reader, digest, target, path).await?;
        return Ok(size_bytes);
    }
    let staged = staged();
    let copied = stage(reader, digest, target, path, &staged).await;
    if copied.is_err() {
        storage::delete_remains(target, &staged).await;
    }
    copied.map(|()| size_bytes)
}

async fn put(
    mut reader: Reader<'_>,
    digest: &Digest,
    target: &dyn Driver,
    path: &StoragePath,
) -> Result<(), CopyError> {
    let mut content = Vec::new();
    loop {
        let batch = reader.batch().await?;
        if batch.is_empty() {
            break;
        }
        batch.iter().for_each(|piece| content.extend_from_slice(piece));
    }
    reader.check(digest)?;
    target.put(path, content.into()).await.map_err(CopyError::Target)
}

async fn stage(
    mut reader: Reader<'_>,
    digest: &Digest,
    target: &dyn Driver,
    path: &StoragePath,
    staged: &StoragePath,
) -> Result<(), CopyError> {
    let mut appender = target.append_toward(staged, path).await.map_err(CopyError::Target)?;
    let mut batch = reader.batch().await?;
    while !batch.is_empty() {
        let (written, next) = tokio::join!(appender.append(batch), reader.batch());
        written.map_err(CopyError::Target)?;
        batch = next?;
    }
    reader.check(digest)?;
    // The file stays open: what was gathered for it need not be written down in between.
    target.publish(staged, path).await.map_err(CopyError::Target)
}

/// Reads content and compares it with its digest.
pub(crate) async fn check(
    object: Arc<dyn Object>,
    digest: &Digest,
    meter: &Meter,
) -> Result<(), CopyError> {
    let mut reader = Reader::new(object, digest, meter);
    while !reader.batch().await?.is_empty() {}
    reader.check(digest)
}

/// The size of a file in bytes, if there is one.
pub(crate) async fn file_size(
    driver: &dyn Driver,
    path: &StoragePath,
) -> Result<Option<u64>, StorageError> {
    let stat = found(driver.stat(path).await)?;
    Ok(stat.filter(|stat| stat.kind == EntryKind::File).map(|stat| stat.size_bytes))
}
