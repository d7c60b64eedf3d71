//! A temporary file for what comes, where the storage shows nothing before it is complete.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use registry::{Body, BodyError, Progress};
use storage::{ByteStream, Object, StorageError, StoragePath};

use crate::limits::SPOOL_PIECE_BYTES;

/// A file without a name, which is gone with whoever reads it last.
#[derive(Debug)]
pub(crate) struct Spool(Arc<File>);

impl Spool {
    /// A new one, in the directory for temporary files.
    pub(super) async fn new() -> io::Result<Self> {
        let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
        Ok(Self(Arc::new(made.map_err(io::Error::other)??)))
    }

    /// Keeps a copy of each piece before it is passed on.
    pub(super) fn copying(self: Arc<Self>, body: Body, progress: Progress) -> Body {
        Box::pin(stream::try_unfold(
            (self, body, progress, 0),
            |(spool, mut body, progress, at)| async move {
                let Some(piece) = body.next().await.transpose()? else { return Ok(None) };
                let (file, copy) = (Arc::clone(&spool.0), piece.clone());
                let write = move || file.write_all_at(&copy, at);
                let written = tokio::task::spawn_blocking(write).await;
                written.map_err(io::Error::other).and_then(|written| written).map_err(|error| {
                    BodyError::Refused(format!("the temporary file can't be written: {error}"))
                })?;
                progress.advance(piece.len());
                let at = at + piece.len() as u64;
                Ok(Some((piece, (spool, body, progress, at))))
            },
        ))
    }

    /// What has come, up to `until`.
    pub(super) fn object(self: Arc<Self>, until: u64) -> Arc<dyn Object> {
        Arc::new(Copied { spool: self, size_bytes: until })
    }
}

#[derive(Debug)]
struct Copied {
    spool: Arc<Spool>,
    size_bytes: u64,
}

impl Object for Copied {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        Box::pin(stream::try_unfold((self, range), |(copied, mut range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + SPOOL_PIECE_BYTES);
            let (file, start) = (Arc::clone(&copied.spool.0), range.start);
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; usize::try_from(end - start).unwrap_or_default()];
                file.read_exact_at(&mut piece, start).map(|()| Bytes::from(piece))
            });
            let read = read.await.map_err(io::Error::other).and_then(|read| read);
            let piece = read.map_err(|source| StorageError::Io {
                operation: "read the temporary file",
                path: StoragePath::root(),
                source,
            })?;
            range.start = end;
            Ok(Some((piece, (copied, range))))
        }))
    }
}
