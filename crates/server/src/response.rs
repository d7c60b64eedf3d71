//! Responses and their bodies.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::header::{self, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use storage::{ByteStream, StorageError};

use crate::exchange::Record;
use crate::headers;

/// A response of this server.
pub(crate) type Response = http::Response<ResponseBody>;

/// A response's body. Knows its size beforehand, and writes the request's log lines when it has
/// been sent or given up.
pub(crate) struct ResponseBody {
    content: Content,
    /// Bytes still to come.
    left: u64,
    record: Option<Box<Record>>,
}

enum Content {
    Nothing,
    Whole(Bytes),
    Stream(ByteStream),
}

impl ResponseBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self { content: Content::Nothing, left: 0, record: None }
    }

    /// A body that is in memory.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let left = bytes.len() as u64;
        let content = if bytes.is_empty() { Content::Nothing } else { Content::Whole(bytes) };
        Self { content, left, record: None }
    }

    /// A body that is read as it is sent. The stream yields exactly `size_bytes`.
    pub(crate) fn stream(stream: ByteStream, size_bytes: u64) -> Self {
        let content = if size_bytes == 0 { Content::Nothing } else { Content::Stream(stream) };
        Self { content, left: size_bytes, record: None }
    }

    /// Bytes still to come.
    pub(crate) const fn size_bytes(&self) -> u64 {
        self.left
    }

    /// Has the request logged when the body is done with.
    pub(crate) fn record(&mut self, record: Box<Record>) {
        self.record = Some(record);
    }

    /// Accounts for a piece that goes out, cutting what would exceed the announced size.
    fn take(&mut self, mut piece: Bytes) -> Bytes {
        if piece.len() as u64 > self.left {
            piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        }
        self.left -= piece.len() as u64;
        if let Some(record) = &mut self.record {
            record.sends(piece.len() as u64);
        }
        piece
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = StorageError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StorageError>>> {
        if self.left == 0 {
            self.content = Content::Nothing;
            return Poll::Ready(None);
        }
        let piece = match &mut self.content {
            Content::Nothing => None,
            Content::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Content::Stream(stream) => ready!(stream.as_mut().poll_next(cx)),
        };
        Poll::Ready(match piece {
            Some(Ok(piece)) => Some(Ok(Frame::data(self.take(piece)))),
            Some(Err(error)) => {
                if let Some(record) = &mut self.record {
                    record.broken = Some(error.to_string());
                }
                self.content = Content::Nothing;
                Some(Err(error))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.unsent_bytes = self.left;
        }
    }
}

/// Streams one after the other.
pub(crate) fn chain(streams: Vec<ByteStream>) -> ByteStream {
    Box::pin(stream::iter(streams).flatten())
}

/// A stream of one piece.
pub(crate) fn once(bytes: impl Into<Bytes>) -> ByteStream {
    Box::pin(stream::once(std::future::ready(Ok(bytes.into()))))
}

/// A JSON body, as Distribution writes it: with a newline at its end.
pub(crate) fn json(value: &impl serde::Serialize) -> Response {
    of_json(json_text(value))
}

/// The text of a JSON body.
pub(crate) fn json_text(value: &impl serde::Serialize) -> Bytes {
    // What is serialised here is made of text, numbers and lists, which can't fail.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

/// A response of such a text.
pub(crate) fn of_json(text: Bytes) -> Response {
    let mut response = Response::new(ResponseBody::full(text));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    response
}

/// A response without a body.
pub(crate) fn empty(status: http::StatusCode) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// `Content-Length` is always said, so that HEAD has it too; but not with statuses that can have no
/// body (RFC 9110, section 8.6).
pub(crate) fn set_content_length(response: &mut Response) {
    use http::StatusCode as S;
    let status = response.status();
    if status.is_informational() || matches!(status, S::NO_CONTENT | S::NOT_MODIFIED) {
        return;
    }
    let size = HeaderValue::from(response.body().size_bytes());
    response.headers_mut().insert(header::CONTENT_LENGTH, size);
}
