//! What a request brings to an upload.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use crate::BodyError;

/// A request's body, piece by piece.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// A part of a blob, on its way in.
pub struct Chunk {
    /// Where it belongs, when the client said so.
    pub range: Option<ChunkRange>,
    /// How many bytes came before it as far as the client knows, when it said so in another way.
    /// It is what tells a request that was held up, and whose client has gone on since, from the
    /// next one.
    pub offset_bytes: Option<u64>,
    /// How many bytes it has, when the client said so.
    pub content_length: Option<u64>,
    /// The bytes.
    pub body: Body,
}

impl Chunk {
    /// A chunk with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            range: None,
            offset_bytes: None,
            content_length: Some(0),
            body: Box::pin(futures_util::stream::empty()),
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("range", &self.range)
            .field("offset_bytes", &self.offset_bytes)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// The bytes of a blob that a chunk holds (distribution-spec, "Pushing a blob in chunks").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset of the last byte, not less than `start`.
    pub end: u64,
}

impl ChunkRange {
    /// Number of bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        (self.end - self.start).saturating_add(1)
    }
}
