//! The bytes of a blob from an upstream, however often the connection breaks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use registry::{Body, BodyError};
use tracing::warn;

use super::Order;
use crate::limits::{RESUME_AFTER, RESUMES_MAX};
use crate::upstream::{BlobBody, UpstreamError};

/// Why a body ended early, for whoever reads it by another type.
#[derive(Clone, Default)]
pub(super) struct LastError(Arc<Mutex<Option<UpstreamError>>>);

impl LastError {
    pub(super) fn take(&self) -> Option<UpstreamError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: UpstreamError) -> BodyError {
        let text = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        BodyError::Disconnected(text)
    }
}

/// The bytes of a body that has begun. When it breaks off, the rest is asked for, at the next
/// endpoint first.
pub(super) fn body(order: Order, begun: BlobBody, last_error: LastError) -> Body {
    let resuming = Resuming { order, body: begun, at_bytes: 0, failures: 0, last_error };
    Box::pin(stream::try_unfold(resuming, |mut resuming| async move {
        Ok(resuming.next().await?.map(|piece| (piece, resuming)))
    }))
}

struct Resuming {
    order: Order,
    body: BlobBody,
    at_bytes: u64,
    /// How often in a row it failed without a byte.
    failures: u32,
    last_error: LastError,
}

impl Resuming {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
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

    async fn resume(&mut self, mut error: UpstreamError) -> Result<(), BodyError> {
        let mut refusals = 0;
        loop {
            self.failures += 1;
            if self.failures > RESUMES_MAX {
                return Err(self.last_error.set(error));
            }
            self.order.asking.attempt += 1;
            let Order { name, there, digest, upstream, asking, .. } = &self.order;
            warn!(repository = %name, %digest, at_bytes = self.at_bytes, %error, "fetch goes on where it broke off");
            tokio::time::sleep(wait(self.failures)).await;
            let again = upstream.blob(there, digest, self.at_bytes, asking).await;
            match again {
                Ok(body) if body.size_bytes == self.body.size_bytes => {
                    self.body = body;
                    return Ok(());
                }
                Ok(body) => {
                    let reason = format!(
                        "the blob had {} bytes and now has {}",
                        self.body.size_bytes, body.size_bytes
                    );
                    let upstream = upstream.name().to_owned();
                    return Err(self.last_error.set(UpstreamError::Invalid { upstream, reason }));
                }
                Err(failed) => {
                    refusals += usize::from(is_final(&failed));
                    // All of them were asked before there is no such thing.
                    if refusals >= upstream.endpoint_count() || failed.is_not_found() {
                        return Err(self.last_error.set(failed));
                    }
                    error = failed;
                }
            }
        }
    }
}

/// Whether the endpoint would say the same the next time: it is not a matter of load or of the
/// network. Another endpoint may say something else.
fn is_final(error: &UpstreamError) -> bool {
    error.status().is_some_and(|status| {
        let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        status.is_client_error() && !may_pass.contains(&status)
    })
}

/// Longer with each failure; the first goes to the next endpoint at once.
fn wait(failures: u32) -> Duration {
    RESUME_AFTER * (failures - 1) * (failures - 1)
}
