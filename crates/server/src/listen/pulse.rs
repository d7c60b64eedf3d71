//! Whether a connection is of use: when it was last, and how long that is borne.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

use super::intake::Intake;
use super::sending::{Piece, Sending};
use crate::limits;

/// How long a connection may go without use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a request's head, from its first byte.
    pub(super) header: Duration,
    /// Without a request.
    pub(super) idle: Duration,
}

/// What has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// The time for a request's head.
    Header,
    /// The time without a request.
    Idle,
}

/// What goes on in a connection, as seen by its stream and by its requests.
#[derive(Debug)]
pub(super) struct Pulse {
    state: Mutex<State>,
    /// Pieces that answers over HTTP/2 may have waiting beyond one each.
    ahead: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    /// Requests that are being answered.
    requests: usize,
    /// Something that was written has not got through yet.
    is_writing: bool,
    /// Anything has been received at all.
    has_begun: bool,
    /// HTTP/2: what is received between requests need not be the head of one.
    is_http2: bool,
    /// The first bytes of a head have come.
    in_head: bool,
    /// When the present state began.
    since: Instant,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            requests: 0,
            is_writing: false,
            has_begun: false,
            is_http2: false,
            in_head: false,
            since: Instant::now(),
        };
        let ahead = Arc::new(Semaphore::new(limits::HTTP2_PIECES_AHEAD));
        Arc::new(Self { state: Mutex::new(state), ahead })
    }

    /// No code that can panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self, bytes: &[u8]) {
        let mut state = self.state();
        if !state.has_begun {
            state.has_begun = true;
            // No method of HTTP/1 begins like its preface (RFC 9113, section 3.4).
            state.is_http2 = bytes.starts_with(b"PRI");
        }
        if state.requests == 0 && !state.is_http2 && !state.in_head {
            state.in_head = true;
            state.since = Instant::now();
        }
    }

    fn set_writing(&self, is_writing: bool) {
        let mut state = self.state();
        state.is_writing = is_writing;
        if !state.in_head {
            state.since = Instant::now();
        }
    }

    /// A request has come. It lasts until what is returned is dropped.
    pub(super) fn request(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.requests += 1;
        state.in_head = false;
        Busy(Arc::clone(self))
    }

    /// When the connection will have been of no use for too long, unless something happens.
    fn deadline(&self, patience: Patience) -> Option<(Instant, Expired)> {
        let state = self.state();
        if state.requests > 0 || state.is_writing {
            // Their time is kept elsewhere: by the request's body, and by the socket.
            return None;
        }
        Some(if state.in_head {
            (state.since + patience.header, Expired::Header)
        } else {
            (state.since + patience.idle, Expired::Idle)
        })
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pulse>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.in_head = false;
        state.since = Instant::now();
    }
}

/// A response's body, during which the connection is in use.
pub(super) struct BusyBody<B> {
    body: B,
    busy: Busy,
    /// With HTTP/2.
    sending: Option<Arc<Sending>>,
    /// Ends before everything has been sent, which takes one frame less.
    ends_early: bool,
}

impl<B: Body> BusyBody<B> {
    /// The body of an answer, and with HTTP/2 what is known of its sending.
    pub(super) fn new(body: B, busy: Busy, sending: Option<Arc<Sending>>) -> Self {
        let size = body.size_hint().exact();
        let ends_early = size.is_some_and(|n| n <= limits::HTTP2_UNATTENDED_BYTES_MAX);
        Self { body, busy, sending, ends_early }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for BusyBody<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let this = self.get_mut();
        let Some(sending) = &this.sending else {
            let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
            return Poll::Ready(frame.map(|frame| Ok(frame?.map_data(Piece::uncounted))));
        };
        ready!(sending.poll_room(cx, &this.busy.0.ahead));
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if frame.is_none() && !this.ends_early {
            // Nobody could end a stream that was left alone with what it has yet to send.
            ready!(sending.poll_empty(cx));
        }
        Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|bytes| Piece::counted(bytes, sending)))))
    }

    fn is_end_stream(&self) -> bool {
        let is_sent = self.sending.as_ref().is_none_or(|sending| sending.is_empty());
        self.body.is_end_stream() && (is_sent || self.ends_early)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Says when a connection has been of no use for too long.
#[derive(Debug)]
pub(super) struct Watch {
    pulse: Arc<Pulse>,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    pub(super) fn new(pulse: Arc<Pulse>, patience: Patience) -> Self {
        let timer = Box::pin(tokio::time::sleep(patience.idle.min(patience.header)));
        Self { pulse, patience, timer }
    }

    /// To be polled after the connection, by the same task: what changes its state wakes the task.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            match self.pulse.deadline(self.patience) {
                Some((at, expired)) => {
                    if self.timer.deadline() != at {
                        self.timer.as_mut().reset(at);
                    }
                    return self.timer.as_mut().poll(cx).map(|()| expired);
                }
                None => {
                    // Nobody need wake this task when the last request of an HTTP/2 connection
                    // ends, so it looks from time to time.
                    ready!(self.timer.as_mut().poll(cx));
                    self.timer.as_mut().reset(Instant::now() + self.patience.idle);
                }
            }
        }
    }
}

/// A stream whose use is noted, and which is not read while what was read has not been used.
#[derive(Debug)]
pub(super) struct Observed<S> {
    stream: S,
    pulse: Arc<Pulse>,
    intake: Arc<Intake>,
    is_writing: bool,
}

impl<S> Observed<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>, intake: Arc<Intake>) -> Self {
        Self { stream, pulse, intake, is_writing: false }
    }

    fn note_write<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_pending() != self.is_writing {
            self.is_writing = outcome.is_pending();
            self.pulse.set_writing(self.is_writing);
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.intake.poll_room(cx));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let received = &buffer.filled()[before..];
        if !received.is_empty() {
            self.pulse.received(received);
            self.intake.received(received.len());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.note_write(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
