//! A file in memory: its pieces, and the one writer it may have.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};

use crate::limits::STREAM_PIECE_BYTES;

/// The bytes of a file as of one moment. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pieces: Vec<Bytes>,
    size_bytes: u64,
}

impl Content {
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn concatenated(mut self) -> Bytes {
        if self.pieces.len() <= 1 {
            return self.pieces.pop().unwrap_or_default();
        }
        self.pieces.concat().into()
    }

    /// The part of it that lies within `range`, in pieces of a bounded size.
    pub(super) fn range(&self, range: Range<u64>) -> Vec<Bytes> {
        let mut offset = 0;
        let mut found = Vec::new();
        for piece in &self.pieces {
            let end = offset + piece.len() as u64;
            let from = range.start.clamp(offset, end) - offset;
            let to = range.end.clamp(offset, end) - offset;
            if from < to {
                // Both are at most `piece.len()`.
                let mut part = piece.slice(from as usize..to as usize);
                while part.len() > STREAM_PIECE_BYTES {
                    found.push(part.split_to(STREAM_PIECE_BYTES));
                }
                found.push(part);
            }
            offset = end;
        }
        found
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.size_bytes += piece.len() as u64;
            self.pieces.push(piece);
        }
    }

    fn truncate(&mut self, size_bytes: u64) {
        while let Some(last) = self.pieces.last_mut().filter(|_| self.size_bytes > size_bytes) {
            let excess = self.size_bytes - size_bytes;
            let cut = last.len().min(usize::try_from(excess).unwrap_or(usize::MAX));
            last.truncate(last.len() - cut);
            self.size_bytes -= cut as u64;
            if last.is_empty() {
                self.pieces.pop();
            }
        }
    }
}

/// A file. It lives on for those who have it open when it is deleted from the tree.
#[derive(Debug)]
pub(super) struct File {
    state: Mutex<(Content, SystemTime)>,
    has_writer: AtomicBool,
}

impl Default for File {
    fn default() -> Self {
        Self::with_content(Bytes::new())
    }
}

impl File {
    pub(super) fn with_content(bytes: Bytes) -> Self {
        let mut content = Content::default();
        content.push(bytes);
        Self { state: Mutex::new((content, SystemTime::now())), has_writer: AtomicBool::new(false) }
    }

    pub(super) fn snapshot(&self) -> Content {
        self.state().0.clone()
    }

    pub(super) fn size_and_time(&self) -> (u64, SystemTime) {
        let state = self.state();
        (state.0.size_bytes(), state.1)
    }

    /// The pieces are copied into one, so that no larger network buffer is kept alive by a few
    /// bytes of it.
    pub(super) fn append(&self, pieces: &[Bytes]) {
        let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        let mut state = self.state();
        state.0.push(whole.freeze());
        state.1 = SystemTime::now();
    }

    /// False, and nothing done, when the file is shorter than that.
    pub(super) fn truncate(&self, size_bytes: u64) -> bool {
        let mut state = self.state();
        if size_bytes > state.0.size_bytes() {
            return false;
        }
        state.0.truncate(size_bytes);
        state.1 = SystemTime::now();
        true
    }

    fn state(&self) -> MutexGuard<'_, (Content, SystemTime)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write to a file; there is one at a time.
#[derive(Debug)]
pub(super) struct Writer(Arc<File>);

impl Writer {
    pub(super) fn claim(file: Arc<File>) -> Option<Self> {
        let was_free = !file.has_writer.swap(true, Ordering::AcqRel);
        // Lazily: a `Writer` that is made and dropped would end the claim of the other.
        was_free.then(|| Self(file))
    }

    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.has_writer.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cross_pieces() {
        let file = File::with_content(Bytes::from_static(b"abc"));
        file.append(&[Bytes::from_static(b"d"), Bytes::from_static(b"efg")]);
        let content = file.snapshot();
        for from in 0..=7_usize {
            for to in from..=7 {
                let got = content.range(from as u64..to as u64).concat();
                assert_eq!(got, b"abcdefg"[from..to]);
            }
        }
    }

    #[test]
    fn truncation_cuts_across_pieces() {
        for size in 0..=6 {
            let file = File::with_content(Bytes::from_static(b"abc"));
            file.append(&[Bytes::from_static(b"def")]);
            assert!(file.truncate(size));
            assert_eq!(file.snapshot().concatenated(), b"abcdef"[..size as usize]);
            assert_eq!(file.snapshot().size_bytes(), size);
            assert!(!file.truncate(size + 1));
        }
    }

    #[test]
    fn large_pieces_are_handed_out_in_parts() {
        let file = File::with_content(vec![7; 2 * STREAM_PIECE_BYTES + 1].into());
        let sizes: Vec<_> = file.snapshot().range(0..u64::MAX).iter().map(Bytes::len).collect();
        assert_eq!(sizes, [STREAM_PIECE_BYTES, STREAM_PIECE_BYTES, 1]);
    }
}
