//! Reading objects.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStoreExt as _};
use storage::limits::STREAM_PIECE_BYTES;
use storage::{ByteStream, Object, Result, StorageError, StoragePath};

use crate::client::Client;
use crate::failure::{broken, storage_error};

type Body = BoxStream<'static, object_store::Result<Bytes>>;

/// An object at the store. Opening it asks for all of it; the body is read when it is streamed, so
/// that a file that is read as a whole takes one request.
pub(crate) struct Remote {
    client: Arc<Client>,
    path: StoragePath,
    key: Path,
    size_bytes: u64,
    version: Option<String>,
    whole: Mutex<Option<Body>>,
}

impl Remote {
    pub(crate) async fn open(client: &Arc<Client>, path: &StoragePath) -> Result<Self> {
        let key = client.root.key("open", path)?;
        let found = client.store.objects.get(&key).await;
        let found = found.map_err(|error| storage_error("open", path, error))?;
        Ok(Self {
            client: Arc::clone(client),
            path: path.clone(),
            key,
            size_bytes: found.meta.size,
            version: found.meta.e_tag.clone(),
            whole: Mutex::new(Some(found.into_stream())),
        })
    }

    /// The body of a part of it; that of the version that was opened.
    async fn part(self: Arc<Self>, range: Range<u64>) -> Result<ByteStream> {
        let options = GetOptions {
            range: Some(range.clone().into()),
            if_match: self.version.clone(),
            ..GetOptions::default()
        };
        let found = match self.client.store.objects.get_opts(&self.key, options).await {
            Ok(found) => found,
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. },
            ) => {
                let why = "it was replaced or deleted while it was being read";
                return Err(broken("read", &self.path, why));
            }
            Err(error) => return Err(storage_error("read", &self.path, error)),
        };
        Ok(pieces(self.path.clone(), found.into_stream(), range.end - range.start))
    }
}

/// A body in pieces that are neither empty nor too large, and as many bytes as it should have.
fn pieces(path: StoragePath, body: Body, size_bytes: u64) -> ByteStream {
    let at = path.clone();
    let cut = body
        .map_err(move |error| storage_error("read", &at, error))
        .map_ok(|chunk| stream::iter(cut(chunk).map(Ok)))
        .try_flatten();
    Box::pin(whole(path, Box::pin(cut), size_bytes).fuse())
}

fn cut(mut chunk: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        (!chunk.is_empty()).then(|| chunk.split_to(chunk.len().min(STREAM_PIECE_BYTES)))
    })
}

/// Ends with an error when there are fewer bytes than there should be.
fn whole(
    path: StoragePath,
    pieces: ByteStream,
    size_bytes: u64,
) -> impl Stream<Item = Result<Bytes>> {
    stream::unfold(Some((pieces, size_bytes)), move |state| {
        let path = path.clone();
        async move {
            let (mut pieces, left) = state?;
            match pieces.next().await {
                Some(Ok(piece)) if piece.len() as u64 <= left => {
                    let left = left - piece.len() as u64;
                    Some((Ok(piece), Some((pieces, left))))
                }
                None if left == 0 => None,
                Some(Err(error)) => Some((Err(error), None)),
                Some(Ok(_)) => Some((Err(broken("read", &path, "the store sent too much")), None)),
                None => Some((Err(broken("read", &path, "the store sent too little")), None)),
            }
        }
    })
}

fn beyond_the_end(path: &StoragePath) -> ByteStream {
    let error = broken("read", path, "the file is shorter than what was asked for");
    Box::pin(stream::iter([Err(error)]))
}

impl Object for Remote {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        if range.end > self.size_bytes {
            return beyond_the_end(&self.path);
        }
        if range.is_empty() {
            return Box::pin(stream::empty());
        }
        let body = self.whole.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = body.filter(|_| range == (0..self.size_bytes)) {
            return pieces(self.path.clone(), body, self.size_bytes);
        }
        Box::pin(stream::once(self.part(range)).try_flatten().fuse())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A file that is in memory anyway.
#[derive(Debug)]
pub(crate) struct Held {
    path: StoragePath,
    pieces: Vec<Bytes>,
}

impl Held {
    pub(crate) const fn new(path: StoragePath, pieces: Vec<Bytes>) -> Self {
        Self { path, pieces }
    }
}

impl Object for Held {
    fn size_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        if range.end > self.size_bytes() {
            return beyond_the_end(&self.path);
        }
        let mut wanted = Vec::new();
        let mut offset = 0;
        for piece in &self.pieces {
            let end = offset + piece.len() as u64;
            let (first, last) = (range.start.max(offset), range.end.min(end));
            if first < last {
                let slice = (first - offset) as usize..(last - offset) as usize;
                wanted.extend(cut(piece.slice(slice)).map(Ok));
            }
            offset = end;
        }
        Box::pin(stream::iter(wanted))
    }
}

/// The content of a small object.
pub(crate) async fn small(client: &Client, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
    let key = client.root.key("read", path)?;
    let failed = |error| storage_error("read", path, error);
    let found = client.store.objects.get(&key).await.map_err(failed)?;
    let size_bytes = found.meta.size;
    if size_bytes > limit_bytes {
        return Err(StorageError::TooLarge { path: path.clone(), size_bytes, limit_bytes });
    }
    found.bytes().await.map_err(failed)
}
