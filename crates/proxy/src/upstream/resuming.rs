//! The bytes of a blob, however often the connection breaks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use oci::{Digest, RepositoryName};

use super::{Asking, BlobBody, Upstream, UpstreamError};

/// A blob of an upstream, and how it is asked for.
#[derive(Debug, Clone)]
pub struct UpstreamBlob {
    /// Who has it.
    pub upstream: Arc<Upstream>,
    /// The repository there.
    pub name: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// How it was asked for.
    pub asking: Asking,
}

/// The bytes of a blob broke off, or the rest of them was asked for in vain.
#[derive(Debug)]
pub struct Break<'a> {
    /// How many had come.
    pub at_bytes: u64,
    /// How often in a row it failed without a byte, this time included.
    pub failures: u32,
    /// Whether bytes were coming when it failed.
    pub is_new: bool,
    /// Why it failed.
    pub error: &'a UpstreamError,
}

struct Resuming<F> {
    blob: UpstreamBlob,
    body: BlobBody,
    again: F,
    at_bytes: u64,
    failures: u32,
}

impl UpstreamBlob {
    /// The bytes of a body that has begun. When it breaks off, the rest is asked for, at the next
    /// endpoint first, for as long as `again` says after what time that is to be.
    pub fn resuming<F>(
        self,
        body: BlobBody,
        again: F,
    ) -> Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>
    where
        F: FnMut(&Break<'_>) -> Option<Duration> + Send + 'static,
    {
        let resuming = Resuming { blob: self, body, again, at_bytes: 0, failures: 0 };
        Box::pin(stream::try_unfold(resuming, |mut resuming| async move {
            Ok(resuming.next().await?.map(|piece| (piece, resuming)))
        }))
    }
}

impl<F: FnMut(&Break<'_>) -> Option<Duration>> Resuming<F> {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            let error = match self.body.pieces.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => {
                    self.at_bytes += piece.len() as u64;
                    self.failures = 0;
                    return Ok(Some(piece));
                }
                Some(Err(error)) => error,
            };
            self.resume(error).await?;
        }
    }

    async fn resume(&mut self, mut error: UpstreamError) -> Result<(), UpstreamError> {
        let mut is_new = true;
        loop {
            self.failures += 1;
            let (at_bytes, failures) = (self.at_bytes, self.failures);
            let Some(wait) = (self.again)(&Break { at_bytes, failures, is_new, error: &error })
            else {
                return Err(error);
            };
            is_new = false;
            tokio::time::sleep(wait).await;
            self.blob.asking.attempt += 1;
            let UpstreamBlob { upstream, name, digest, asking } = &self.blob;
            match upstream.blob(name, digest, at_bytes, asking).await {
                Ok(body) if body.size_bytes == self.body.size_bytes => {
                    self.body = body;
                    return Ok(());
                }
                Ok(body) => {
                    let sizes = (self.body.size_bytes, body.size_bytes);
                    let reason = format!("{digest} had {} bytes and now has {}", sizes.0, sizes.1);
                    let upstream = upstream.name().to_owned();
                    return Err(UpstreamError::Invalid { upstream, reason });
                }
                Err(failed) => error = failed,
            }
        }
    }
}
