//! Blobs of an upstream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_RANGE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use oci::{Digest, RepositoryName};
use reqwest::Response;

use super::endpoint::{Answer, Endpoint, Question};
use super::error::UpstreamError;
use super::health::Counters;
use super::manifests::size_said;
use super::reading::next_piece;
use super::scope::Scope;
use super::{Asking, BlobBody};

impl Endpoint {
    pub(crate) async fn stat_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        asking: &Asking,
    ) -> Result<u64, UpstreamError> {
        let Answer { response, strayed } =
            self.ask_blob(Method::HEAD, name, digest, None, asking).await?;
        let status = response.status();
        // A signed URL of a store is often for GET only.
        let is_unanswered = matches!(status.as_u16(), 405 | 501) || (strayed && is_refused(status));
        if !is_unanswered && status != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        match size_said(response.headers()).filter(|_| status == StatusCode::OK) {
            Some(size_bytes) => Ok(size_bytes),
            None => self.stat_by_first_byte(name, digest, asking).await,
        }
    }

    async fn stat_by_first_byte(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        asking: &Asking,
    ) -> Result<u64, UpstreamError> {
        let range = Some(HeaderValue::from_static("bytes=0-0"));
        let response = self.ask_blob(Method::GET, name, digest, range, asking).await?.response;
        let size_bytes = match response.status() {
            StatusCode::OK => size_said(response.headers()),
            StatusCode::PARTIAL_CONTENT => part(response.headers()).and_then(|part| part.total),
            // There is no first byte.
            StatusCode::RANGE_NOT_SATISFIABLE => Some(0),
            _ => return Err(self.refused(response).await),
        };
        size_bytes.ok_or_else(|| self.invalid("it does not say how large the blob is"))
    }

    pub(crate) async fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: u64,
        asking: &Asking,
    ) -> Result<BlobBody, UpstreamError> {
        let range = match from {
            0 => None,
            _ => HeaderValue::try_from(format!("bytes={from}-")).ok(),
        };
        let response = self.ask_blob(Method::GET, name, digest, range, asking).await?.response;
        let (start, size_bytes) = match response.status() {
            StatusCode::OK => (0, size_said(response.headers())),
            StatusCode::PARTIAL_CONTENT => {
                let part = part(response.headers());
                let part = part.filter(|part| part.start == from).ok_or_else(|| {
                    self.invalid(format!("the part from {from} was asked for, and it is another"))
                })?;
                (from, part.total)
            }
            // It has ended before, whatever was said of its size.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => match end(response.headers()) {
                Some(size_bytes) => {
                    return Ok(BlobBody { size_bytes, pieces: Box::pin(stream::empty()) });
                }
                None => return Err(self.refused(response).await),
            },
            _ => return Err(self.refused(response).await),
        };
        let size_bytes = match size_bytes {
            Some(size_bytes) => size_bytes,
            // It is sent in chunks.
            None => self.stat_blob(name, digest, asking).await?,
        };
        if from > size_bytes {
            return Err(self.invalid(format!("the blob has {size_bytes} bytes, not {from}")));
        }
        let body = Body {
            upstream: Arc::clone(&self.upstream),
            counters: Arc::clone(&self.counters),
            idle_timeout: self.body_idle_timeout,
            response,
            at: start,
            from,
            size_bytes,
        };
        let pieces = stream::try_unfold(Some(body), |body| async move {
            let Some(mut body) = body else { return Ok(None) };
            Ok(body.next().await?.map(|piece| (piece, Some(body))))
        });
        Ok(BlobBody { size_bytes, pieces: Box::pin(pieces) })
    }

    async fn ask_blob(
        &self,
        method: Method,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<HeaderValue>,
        asking: &Asking,
    ) -> Result<Answer, UpstreamError> {
        let url = self.url_of(repository, &format!("blobs/{digest}"));
        let scope = Scope::Pull(repository.clone());
        let (accept, content) = (None, None);
        self.ask(&Question { method, url, scope, accept, range, content, asking }).await
    }
}

fn is_refused(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(status, StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS)
}

/// The body of a blob.
#[derive(Debug)]
struct Body {
    upstream: Arc<str>,
    counters: Arc<Counters>,
    idle_timeout: Duration,
    response: Response,
    /// The offset of the next byte that comes.
    at: u64,
    /// The first byte that is wanted.
    from: u64,
    size_bytes: u64,
}

impl Body {
    /// The next piece that is wanted; `None` at the end of the blob.
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        while self.at < self.size_bytes {
            let piece = next_piece(&mut self.response, self.idle_timeout).await;
            let mut piece = match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => return Err(self.cut("it is shorter than was said".to_owned())),
                Err(reason) => return Err(self.cut(reason)),
            };
            self.counters.add_bytes(piece.len());
            let start = self.at;
            self.at += piece.len() as u64;
            if self.at > self.size_bytes {
                self.counters.note_invalid_body();
                let reason = format!("the blob is longer than {} bytes", self.size_bytes);
                return Err(UpstreamError::Invalid { upstream: self.upstream.to_string(), reason });
            }
            let unwanted = self.from.saturating_sub(start).min(piece.len() as u64);
            // It is no more than the piece's length.
            let wanted = piece.split_off(usize::try_from(unwanted).unwrap_or(piece.len()));
            if !wanted.is_empty() {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }

    fn cut(&self, reason: String) -> UpstreamError {
        self.counters.note_cut();
        let at_bytes = self.at.max(self.from);
        UpstreamError::Cut { upstream: self.upstream.to_string(), at_bytes, reason }
    }
}

/// What part of a blob an answer has.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    start: u64,
    /// The size of the whole, when it is said.
    total: Option<u64>,
}

fn part(headers: &HeaderMap) -> Option<Part> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.trim().split_once('-')?;
    Some(Part { start: start.trim().parse().ok()?, total: total.trim().parse().ok() })
}

/// The size of the whole, of which a part was asked for that is not there.
fn end(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    text.strip_prefix("bytes */")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let part = |text: &str| {
            let headers = [(CONTENT_RANGE, HeaderValue::from_str(text).unwrap())];
            part(&headers.into_iter().collect())
        };
        assert_eq!(part("bytes 5-9/10"), Some(Part { start: 5, total: Some(10) }));
        assert_eq!(part("bytes 5-9/*"), Some(Part { start: 5, total: None }));
        for odd in ["", "bytes */10", "bytes 5-9", "items 5-9/10", "bytes -9/10", "bytes x-9/10"] {
            assert_eq!(part(odd), None, "{odd}");
        }
    }

    #[test]
    fn ends() {
        let end = |text: &str| {
            let headers = [(CONTENT_RANGE, HeaderValue::from_str(text).unwrap())];
            end(&headers.into_iter().collect())
        };
        assert_eq!(end("bytes */10"), Some(10));
        for odd in ["", "bytes 5-9/10", "bytes */*", "items */10"] {
            assert_eq!(end(odd), None, "{odd}");
        }
    }
}
