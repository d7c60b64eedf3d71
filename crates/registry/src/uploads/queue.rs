//! What of an upload was received and not yet written.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use storage::Feed;
use tokio::sync::Notify;

use super::HashState;
use super::budget::Share;
use super::progress::Progress;
use crate::limits::{UPLOAD_BATCH_BYTES, UPLOAD_BATCH_BYTES_MIN};

/// Pieces on their way from the client to the file. They are hashed on the thread that writes
/// them: what was read into its cache for the one lies there for the other, and the async worker,
/// which has other requests to serve, does neither.
#[derive(Debug)]
pub(super) struct Queue {
    share: Share,
    state: Mutex<State>,
    /// There is room again.
    emptied: Notify,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Bytes that are being hashed and written.
    in_work_bytes: usize,
    is_complete: bool,
    /// The receiving side waits for room.
    is_full: bool,
    /// Covers what was given out.
    hash: Option<HashState>,
    /// Told of what was written.
    progress: Option<Progress>,
}

impl State {
    /// Whether there is something to be worked on: enough to be worth it, or the end.
    fn has_batch(&self) -> bool {
        self.waiting_bytes >= UPLOAD_BATCH_BYTES_MIN || self.is_complete && !self.waiting.is_empty()
    }

    /// Takes out what is worked on in one go.
    fn take_batch(&mut self) -> Vec<Bytes> {
        let mut batch = Vec::new();
        while self.in_work_bytes < UPLOAD_BATCH_BYTES
            && let Some(piece) = self.waiting.pop_front()
        {
            self.waiting_bytes -= piece.len();
            self.in_work_bytes += piece.len();
            batch.push(piece);
        }
        batch
    }
}

impl Queue {
    /// A queue with these pieces in it, behind the bytes that `hash` covers.
    pub(super) fn new(share: Share, hash: Option<HashState>, begun: Vec<Bytes>) -> Self {
        let state = State {
            waiting_bytes: begun.iter().map(Bytes::len).sum(),
            waiting: begun.into(),
            in_work_bytes: 0,
            is_complete: false,
            is_full: false,
            hash,
            progress: None,
        };
        Self { share, state: Mutex::new(state), emptied: Notify::new() }
    }

    /// Has somebody told of what is written from now on.
    pub(super) fn tell(&self, progress: Option<Progress>) {
        self.state().progress = progress;
    }

    /// Adds a piece at the end.
    pub(super) fn push(&self, piece: Bytes) {
        let mut state = self.state();
        state.waiting_bytes += piece.len();
        state.waiting.push_back(piece);
    }

    /// Says that nothing more will come.
    pub(super) fn complete(&self) {
        self.state().is_complete = true;
    }

    /// Waits, once the upload's share is used up, until half of it is free: waiting for any room
    /// at all would wake the receiving side for every single piece.
    pub(super) async fn has_room(&self) {
        loop {
            {
                let mut state = self.state();
                let held_bytes = state.waiting_bytes + state.in_work_bytes;
                let share_bytes = self.share.bytes();
                let limit_bytes = if state.is_full { share_bytes / 2 + 1 } else { share_bytes };
                state.is_full = held_bytes >= limit_bytes;
                if !state.is_full {
                    return;
                }
            }
            self.emptied.notified().await;
        }
    }

    /// Waits until there is something to be worked on; `false` when everything was given out.
    /// Nothing is being worked on meanwhile.
    ///
    /// Nobody is woken for it: the task that fills the queue is to poll this too, behind the
    /// filling. To wake itself would cost it a turn, and another worker's sleep, for each batch.
    pub(super) async fn has_more(&self) -> bool {
        poll_fn(|_| {
            let mut state = self.state();
            self.finish_batch(&mut state);
            if state.has_batch() || state.is_complete {
                Poll::Ready(!state.waiting.is_empty())
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// The digest of what was given out.
    pub(super) fn take_hash(&self) -> Option<HashState> {
        self.state().hash.take()
    }

    fn finish_batch(&self, state: &mut State) {
        if let Some(progress) = &state.progress {
            progress.advance(state.in_work_bytes);
        }
        state.in_work_bytes = 0;
        if state.is_full && state.waiting_bytes <= self.share.bytes() / 2 {
            self.emptied.notify_one();
        }
    }

    /// No code that can panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed for Queue {
    fn next(&self) -> Option<Vec<Bytes>> {
        let (batch, mut hash) = {
            let mut state = self.state();
            self.finish_batch(&mut state);
            if !state.has_batch() {
                return None;
            }
            (state.take_batch(), state.hash.take())
        };
        if let Some(hash) = &mut hash {
            hash.update(&batch);
        }
        self.state().hash = hash;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{UPLOAD_AHEAD_BYTES_MAX, UPLOAD_AHEAD_BYTES_MIN};
    use crate::uploads::Budget;
    use futures_util::FutureExt as _;

    const PIECE_BYTES: usize = 16 << 10;

    fn piece() -> Bytes {
        Bytes::from_static(&[7; PIECE_BYTES])
    }

    /// Receives until there is no room; returns how many bytes came.
    fn fill(queue: &Queue) -> usize {
        let mut bytes = 0;
        while queue.has_room().now_or_never().is_some() {
            queue.push(piece());
            bytes += PIECE_BYTES;
        }
        bytes
    }

    fn length(batch: &[Bytes]) -> usize {
        batch.iter().map(Bytes::len).sum()
    }

    #[test]
    fn an_upload_receives_ahead_as_far_as_its_share() {
        let budget = Budget::default();
        let queue = Queue::new(budget.join(), None, vec![]);
        assert_eq!(fill(&queue), UPLOAD_AHEAD_BYTES_MAX);
        // Half of it has to be written, not only begun, before more is taken.
        let mut written_bytes = 0;
        while written_bytes < UPLOAD_AHEAD_BYTES_MAX / 2 {
            assert!(queue.has_room().now_or_never().is_none(), "after {written_bytes}");
            written_bytes += length(&queue.next().unwrap());
        }
        queue.next().unwrap();
        assert!(fill(&queue) > 0);
        // Others have come: no more until it is down to its new share.
        let others: Vec<_> = (0..1000).map(|_| budget.join()).collect();
        while let Some(batch) = queue.next() {
            assert!(length(&batch) <= UPLOAD_BATCH_BYTES);
        }
        assert_eq!(fill(&queue), UPLOAD_AHEAD_BYTES_MIN);
        drop(others);
    }

    #[test]
    fn batches_are_worth_their_hand_over_and_the_end_comes_at_last() {
        let queue = Queue::new(Budget::default().join(), None, vec![]);
        for bytes in (PIECE_BYTES..UPLOAD_BATCH_BYTES_MIN).step_by(PIECE_BYTES) {
            queue.push(piece());
            assert!(queue.next().is_none(), "a batch of {bytes} bytes");
            assert!(queue.has_more().now_or_never().is_none());
        }
        queue.push(piece());
        assert_eq!(queue.has_more().now_or_never(), Some(true));
        assert_eq!(length(&queue.next().unwrap()), UPLOAD_BATCH_BYTES_MIN);
        queue.push(piece());
        assert!(queue.next().is_none());
        queue.complete();
        assert_eq!(queue.has_more().now_or_never(), Some(true));
        assert_eq!(length(&queue.next().unwrap()), PIECE_BYTES);
        assert_eq!(queue.has_more().now_or_never(), Some(false));
        assert!(queue.next().is_none());
    }
}
