//! The content of an open file, piece by piece, through a few recycled buffers.

use std::num::NonZeroU64;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use rustix::fs::Advice;
use tokio::task::coop;

use super::read::{FileObject, read_fully_at};
use crate::limits::{
    READ_AHEAD_BYTES, STREAM_BUFFERS, STREAM_PIECE_BYTES, STREAM_PIECE_BYTES_MIN, STREAMS_BYTES,
};
use crate::{Result, StorageError};

/// How large the pieces of a stream are that is one of so many.
fn piece_bytes(streams: usize) -> usize {
    let share_bytes = STREAMS_BYTES / streams.max(1) / STREAM_BUFFERS;
    // Powers of two, so that reads begin where pages do.
    1 << share_bytes.clamp(STREAM_PIECE_BYTES_MIN, STREAM_PIECE_BYTES).ilog2()
}

type PendingRead = Pin<Box<dyn Future<Output = Result<(Vec<u8>, usize)>> + Send>>;

/// Reads inline what the page cache has, and on the blocking pool what it hasn't.
pub(super) struct FileStream {
    object: Arc<FileObject>,
    rest: Range<u64>,
    buffers: Arc<Buffers>,
    pending: Option<PendingRead>,
}

impl FileStream {
    pub(super) fn new(object: Arc<FileObject>, range: Range<u64>) -> Self {
        let length = range.end.saturating_sub(range.start);
        let streams = object.volume.streams.fetch_add(1, Ordering::Relaxed) + 1;
        let piece_bytes = piece_bytes(streams);
        let piece_bytes = usize::try_from(length).map_or(piece_bytes, |all| all.min(piece_bytes));
        let buffers = Arc::new(Buffers { free: Mutex::default(), piece_bytes });
        Self { object, rest: range, buffers, pending: None }
    }

    /// How much of a buffer the next piece takes.
    fn wanted(&self) -> usize {
        let length = self.rest.end.saturating_sub(self.rest.start);
        usize::try_from(length)
            .map_or(self.buffers.piece_bytes, |all| all.min(self.buffers.piece_bytes))
    }

    fn read_blocking(&self, mut buffer: Vec<u8>) -> PendingRead {
        let object = Arc::clone(&self.object);
        let (wanted, rest) = (self.wanted(), self.rest.clone());
        Box::pin(async move {
            let volume = Arc::clone(&object.volume);
            let path = object.path.clone();
            let work = move |_: &_| {
                let ahead = NonZeroU64::new((rest.end - rest.start).min(READ_AHEAD_BYTES));
                // Only a wish, so whether it is granted doesn't matter.
                rustix::fs::fadvise(&object.file.file, rest.start, ahead, Advice::WillNeed).ok();
                let count = read_fully_at(&object, &mut buffer[..wanted], rest.start)
                    .map_err(|source| StorageError::from_io("read", &object.path, source))?;
                Ok((buffer, count))
            };
            volume.blocking("read", &path, work).await
        })
    }

    /// What a read has brought: the next piece, or that the file is too short.
    fn piece(&mut self, buffer: Vec<u8>, count: usize) -> Option<Result<Bytes>> {
        if count == 0 {
            self.rest = 0..0;
            return Some(Err(StorageError::shorter_than_asked(&self.object.path)));
        }
        self.rest.start += count as u64;
        let buffers = Arc::clone(&self.buffers);
        Some(Ok(Bytes::from_owner(Piece { buffer, count, buffers })))
    }

    fn fail(&mut self, error: StorageError) -> Option<Result<Bytes>> {
        self.rest = 0..0;
        Some(Err(error))
    }
}

impl Drop for FileStream {
    fn drop(&mut self) {
        self.object.volume.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream for FileStream {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = self.get_mut();
        // A cached file is always ready: let the worker's other tasks have their turn.
        let turn = ready!(coop::poll_proceed(context));
        if this.pending.is_none() {
            if this.rest.is_empty() {
                return Poll::Ready(None);
            }
            let mut buffer = this.buffers.take();
            let wanted = this.wanted();
            let object = &this.object;
            let inline = &object.volume.inline;
            match inline.read_at(&object.file, &mut buffer[..wanted], this.rest.start) {
                Ok(Some(count)) => {
                    turn.made_progress();
                    return Poll::Ready(this.piece(buffer, count));
                }
                Ok(None) => this.pending = Some(this.read_blocking(buffer)),
                Err(source) => {
                    let error = StorageError::from_io("read", &object.path, source);
                    return Poll::Ready(this.fail(error));
                }
            }
        }
        let Some(pending) = this.pending.as_mut() else { return Poll::Ready(None) };
        let read = ready!(pending.as_mut().poll(context));
        this.pending = None;
        turn.made_progress();
        Poll::Ready(match read {
            Ok((buffer, count)) => this.piece(buffer, count),
            Err(error) => this.fail(error),
        })
    }
}

/// Buffers that wait to be used again. New ones cost zeroing and page faults, which at memory
/// speed is a good part of the whole.
#[derive(Debug)]
struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    piece_bytes: usize,
}

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| vec![0; self.piece_bytes])
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < STREAM_BUFFERS {
            free.push(buffer);
        }
    }
}

/// A buffer that was handed out. It goes back when the last reference to its bytes is dropped.
struct Piece {
    buffer: Vec<u8>,
    count: usize,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.count]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.buffers.give_back(std::mem::take(&mut self.buffer));
    }
}
