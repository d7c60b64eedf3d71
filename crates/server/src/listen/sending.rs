//! How much of an HTTP/2 answer waits for its client, and for how long.
//!
//! Flow control is the client's: it may leave every answer of a connection where it is and yet keep
//! the connection alive, so that neither the socket nor an answer to a ping tells anything.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::Executor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits;

tokio::task_local! {
    /// The answer that the task of an HTTP/2 stream sends.
    static SENDING: Arc<Sending>;
}

/// What of one answer has been handed out and not been sent.
#[derive(Debug)]
pub(super) struct Sending(Mutex<State>);

#[derive(Debug)]
struct State {
    pieces: usize,
    /// How many there may be beyond the first. They are kept as long as the answer lasts, because
    /// its buffers are.
    ahead: Vec<OwnedSemaphorePermit>,
    /// When something was last sent, or the first piece handed out.
    since: Instant,
    /// Who waits until there are fewer pieces.
    waker: Option<Waker>,
}

impl Sending {
    fn new() -> Arc<Self> {
        let state = State { pieces: 0, ahead: Vec::new(), since: Instant::now(), waker: None };
        Arc::new(Self(Mutex::new(state)))
    }

    /// That of the stream whose task is running; none with HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        SENDING.try_with(Arc::clone).ok()
    }

    /// No code that can panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there may be another piece: one always, and a few more if the connection has them
    /// to give.
    pub(super) fn poll_room(&self, cx: &Context<'_>, of_connection: &Arc<Semaphore>) -> Poll<()> {
        let mut state = self.state();
        if state.pieces <= state.ahead.len() {
            return Poll::Ready(());
        }
        if state.ahead.len() < limits::HTTP2_STREAM_PIECES_AHEAD
            && let Ok(permit) = Arc::clone(of_connection).try_acquire_owned()
        {
            state.ahead.push(permit);
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether everything has been sent.
    pub(super) fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.pieces == 0 {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().pieces == 0
    }

    fn begin(&self) {
        let mut state = self.state();
        if state.pieces == 0 {
            state.since = Instant::now();
        }
        state.pieces += 1;
    }

    fn progress(&self) {
        self.state().since = Instant::now();
    }

    fn end(&self) {
        let mut state = self.state();
        state.pieces -= 1;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Resolves when something has waited for `patience` and none of it was taken.
    async fn stalled(&self, patience: Duration) {
        let mut at = Instant::now() + patience;
        loop {
            tokio::time::sleep_until(at).await;
            let (now, state) = (Instant::now(), self.state());
            // Nothing that begins to wait now can be due before another `patience` has gone by.
            let since = if state.pieces == 0 { now } else { state.since };
            drop(state);
            at = since + patience;
            if at <= now {
                return;
            }
        }
    }
}

/// A piece of an answer.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    waits: Option<Waits>,
}

/// Counts a piece for as long as it is there.
#[derive(Debug)]
struct Waits(Arc<Sending>);

impl Piece {
    /// With HTTP/1, where the socket alone tells.
    pub(super) const fn uncounted(bytes: Bytes) -> Self {
        Self { bytes, waits: None }
    }

    pub(super) fn counted(bytes: Bytes, sending: &Arc<Sending>) -> Self {
        sending.begin();
        Self { bytes, waits: Some(Waits(Arc::clone(sending))) }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(waits) = &self.waits {
            waits.0.progress();
        }
    }
}

/// Runs the streams of HTTP/2 connections. One whose client takes nothing of its answer for
/// `patience` is reset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    pub(super) patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let patience = self.patience;
        tokio::spawn(async move {
            let sending = Sending::new();
            let mut stream = std::pin::pin!(SENDING.scope(Arc::clone(&sending), stream));
            let mut stalled = std::pin::pin!(sending.stalled(patience));
            poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                let is_stalled = stalled.as_mut().poll(cx);
                if is_stalled.is_ready() {
                    tracing::debug!("a client takes nothing of an answer; its stream is reset");
                }
                is_stalled
            })
            .await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(sending: &Arc<Sending>, of_connection: &Arc<Semaphore>) -> Option<Piece> {
        let room = sending.poll_room(&Context::from_waker(Waker::noop()), of_connection);
        room.is_ready().then(|| Piece::counted(Bytes::from_static(&[0; 100]), sending))
    }

    #[tokio::test]
    async fn each_answer_has_a_piece_and_the_first_few_more() {
        let of_connection = Arc::new(Semaphore::new(4));
        let one = Sending::new();
        let pieces: Vec<_> = std::iter::from_fn(|| piece(&one, &of_connection)).collect();
        assert_eq!(pieces.len(), 1 + limits::HTTP2_STREAM_PIECES_AHEAD);
        let other = Sending::new();
        let others: Vec<_> = std::iter::from_fn(|| piece(&other, &of_connection)).collect();
        assert_eq!(others.len(), 2);
        let third = Sending::new();
        let _first = piece(&third, &of_connection).unwrap();
        assert!(piece(&third, &of_connection).is_none());
        // What has been sent makes room for the same answer, and what is over for others.
        drop(pieces);
        assert!(one.is_empty() && piece(&third, &of_connection).is_none());
        assert!(piece(&one, &of_connection).is_some());
        drop(one);
        assert!(piece(&third, &of_connection).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_waits_can_stall() {
        let patience = Duration::from_secs(10);
        let second = Duration::from_secs(1);
        let of_connection = Arc::new(Semaphore::new(0));
        let sending = Sending::new();
        let begun = Instant::now();
        let watch = tokio::spawn({
            let sending = Arc::clone(&sending);
            async move {
                sending.stalled(patience).await;
                begun.elapsed()
            }
        });
        // The storage takes its time.
        tokio::time::sleep(second * 35).await;
        let mut piece = piece(&sending, &of_connection).unwrap();
        for _ in 0..4 {
            tokio::time::sleep(second * 9).await;
            piece.advance(1);
        }
        drop(piece);
        tokio::time::sleep(second * 12).await;
        assert!(!watch.is_finished());
        let begun_to_wait = begun.elapsed();
        let _piece = self::piece(&sending, &of_connection).unwrap();
        let ended = watch.await.unwrap();
        assert!((patience..patience + second / 10).contains(&(ended - begun_to_wait)), "{ended:?}");
    }
}
