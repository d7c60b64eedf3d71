//! Request bodies, on their way to the domain.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};
use http::request::Parts;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use registry::BodyError;
use tokio::time::{Instant, Sleep};

use crate::limits::{
    BODY_PROGRESS_BYTES_MIN, LINGER_BYTES_MAX, LINGER_TIMEOUT, REST_BYTES_MAX, REST_TIMEOUT,
};
use crate::listen::{BodyIntake, BodyIntakeSlot};

/// A request's body as it came.
///
/// What is left of it when it is dropped is, with HTTP/2, still taken for a while: to drop it would
/// reset the stream, and there are clients (curl 7.88) that then don't read the answer which says
/// why their request was refused. With HTTP/1 a small rest is taken before the answer leaves (see
/// [`Rest`]); what to do about a large one is the connection's business.
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    lingers: bool,
    rest: Option<Rest>,
    /// Notes with HTTP/2 what was taken of what the connection holds.
    intake: Option<BodyIntake>,
    /// Counts the bytes as they come, when somebody wants to know.
    received: Option<Counter>,
}

impl RequestBody {
    /// The body of a request with this head.
    pub(crate) fn new(body: Incoming, parts: &mut Parts, received: Option<Counter>) -> Self {
        let intake = parts.extensions.remove::<BodyIntakeSlot>().and_then(|slot| slot.take());
        let lingers = parts.version == http::Version::HTTP_2;
        let rest = Rest::of(&body, parts.version);
        Self { body: Some(body), lingers, rest, intake, received }
    }

    /// Where what is left of it can be found once it has been dropped, if it is to be taken.
    pub(crate) fn rest(&self) -> Option<Rest> {
        self.rest.clone()
    }

    /// Its size, in bytes, where that is known beforehand: also 0 for a request that has none.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        self.body.as_ref().map_or(Some(0), |body| body.size_hint().exact())
    }

    /// The next piece. Once the body has ended, well or not, there is nothing left to take.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let outcome = ready!(poll_counted(body, &mut self.intake, cx));
        if let (Some(received), Some(Ok(frame))) = (&self.received, &outcome) {
            received.inc_by(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        if !matches!(outcome, Some(Ok(_))) {
            self.body = None;
            self.intake = None;
        }
        Poll::Ready(outcome)
    }
}

/// The next frame, with a note of what the connection need not hold any more.
fn poll_counted(
    body: &mut Incoming,
    intake: &mut Option<BodyIntake>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let outcome = Pin::new(body).poll_frame(cx);
    if let Some(intake) = intake {
        match &outcome {
            Poll::Ready(Some(Ok(frame))) => intake.took(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) => {}
            Poll::Pending => intake.found_nothing(),
        }
    }
    outcome
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if let Some(rest) = &self.rest {
            rest.leave(body);
            return;
        }
        if !self.lingers {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let discarding = discard(body, self.intake.take());
            runtime.spawn(tokio::time::timeout(LINGER_TIMEOUT, discarding));
        }
    }
}

/// What an early answer leaves of an HTTP/1 body.
///
/// A connection on which the body has not come in by the time the answer leaves is closed, and a
/// client that sends head and body apart, as most do, would find it closed with its next request.
/// So a small rest is taken first, as servers in Go do, and of a large one the answer says that the
/// connection closes.
#[derive(Clone)]
pub(crate) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Rest {
    /// None when there is nothing that could be left.
    fn of(body: &Incoming, version: http::Version) -> Option<Self> {
        let is_http1 = version <= http::Version::HTTP_11;
        (is_http1 && !body.is_end_stream()).then(|| Self(Arc::default()))
    }

    fn leave(&self, body: Incoming) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// Takes a small rest. Whether there is more, so that the connection closes.
    pub(crate) async fn take(self, head: &Parts) -> bool {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(body) = left else { return false };
        let is_small = body.size_hint().exact().is_some_and(|n| n <= REST_BYTES_MAX);
        // Who waits to be told to send it is not told to.
        if !is_small || head.headers.contains_key(http::header::EXPECT) {
            return true;
        }
        tokio::time::timeout(REST_TIMEOUT, discard(body, None)).await.is_err()
    }
}

/// Takes what still comes, within bounds.
async fn discard(mut body: Incoming, mut intake: Option<BodyIntake>) {
    let mut left = LINGER_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|cx| poll_counted(&mut body, &mut intake, cx)).await {
        let size_bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        if size_bytes >= left {
            return;
        }
        left -= size_bytes;
    }
}

/// A request's body as the domain takes it. Fails when it has kept the domain waiting for `idle`
/// since its last [`BODY_PROGRESS_BYTES_MIN`].
///
/// Time in which nobody asks for more does not count, so that a slow storage is not held against
/// the client. A client may spend all of `idle` in one pause or in many.
pub(crate) fn incoming(body: RequestBody, idle: Duration) -> registry::Body {
    Box::pin(IncomingBody {
        body,
        idle,
        patience: Patience::new(idle),
        timer: Box::pin(tokio::time::sleep(idle)),
        waiting_since: None,
    })
}

/// The whole of a body that may have at most `limit_bytes`.
pub(crate) async fn collect(
    mut body: registry::Body,
    limit_bytes: u64,
) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = body.try_next().await? {
        if (first.len() + all.len() + piece.len()) as u64 > limit_bytes {
            return Err(BodyError::TooLarge { limit_bytes });
        }
        if first.is_empty() && all.is_empty() {
            // Nearly every manifest comes in one piece, which then need not be copied.
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

struct IncomingBody {
    body: RequestBody,
    idle: Duration,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    /// Since when the next piece has been waited for, with the timer running.
    waiting_since: Option<Instant>,
}

impl Stream for IncomingBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match this.body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers mean nothing here, empty pieces neither.
                    let Ok(data) = frame.into_data() else { continue };
                    if data.is_empty() {
                        continue;
                    }
                    let waited = this.waiting_since.take().map(|since| since.elapsed());
                    this.patience.received(data.len() as u64, waited.unwrap_or_default());
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(BodyError::Disconnected(describe(&error)))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        if this.waiting_since.is_none() {
            let now = Instant::now();
            this.timer.as_mut().reset(now + this.patience.left);
            this.waiting_since = Some(now);
        }
        ready!(this.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Idle(this.idle.as_secs()))))
    }
}

/// How long a body may still keep others waiting.
#[derive(Debug)]
struct Patience {
    whole: Duration,
    left: Duration,
    /// Bytes since it was whole.
    received_bytes: u64,
}

impl Patience {
    fn new(whole: Duration) -> Self {
        Self { whole, left: whole, received_bytes: 0 }
    }

    /// Notes a piece of the body, and how long it was waited for.
    fn received(&mut self, bytes: u64, waited: Duration) {
        self.received_bytes += bytes;
        if self.received_bytes >= BODY_PROGRESS_BYTES_MIN {
            *self = Self::new(self.whole);
        } else {
            self.left = self.left.saturating_sub(waited);
        }
    }
}

/// An error with what caused it; hyper keeps the interesting half in the source.
fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn body(pieces: &[&'static str]) -> registry::Body {
        let pieces: Vec<_> = pieces.iter().map(|p| Ok(Bytes::from_static(p.as_bytes()))).collect();
        Box::pin(stream::iter(pieces))
    }

    /// Pieces of this size, each after this pause: when they are given up, if ever.
    fn given_up_after(piece_bytes: u64, pause_secs: u64) -> Option<u64> {
        let mut patience = Patience::new(Duration::from_secs(120));
        for piece in 0..100_000 {
            let pause = Duration::from_secs(pause_secs);
            if pause > patience.left {
                return Some(piece * pause_secs + patience.left.as_secs());
            }
            patience.received(piece_bytes, pause);
        }
        None
    }

    #[test]
    fn the_slow_survive_and_those_who_only_hold_on_do_not() {
        for (piece_bytes, pause_secs, expected) in [
            // A byte now and then.
            (1, 100, Some(120)),
            (1, 1, Some(120)),
            // Little more than that.
            (1 << 10, 30, Some(120)),
            // A modem, in packets.
            (1 << 10, 1, None),
            // Long pauses between what is worth something.
            (16 << 10, 119, None),
            (16 << 10, 121, Some(120)),
        ] {
            let actual = given_up_after(piece_bytes, pause_secs);
            assert_eq!(actual, expected, "{piece_bytes} bytes every {pause_secs} seconds");
        }
    }

    #[tokio::test]
    async fn bodies_are_collected_up_to_a_limit() {
        for (pieces, expected) in [
            (&[][..], Ok("")),
            (&["abc"], Ok("abc")),
            (&["a", "b", "cd"], Ok("abcd")),
            (&["abcde"], Err(BodyError::TooLarge { limit_bytes: 4 })),
            (&["ab", "cd", "e"], Err(BodyError::TooLarge { limit_bytes: 4 })),
        ] {
            let collected = collect(body(pieces), 4).await;
            assert_eq!(collected, expected.map(Bytes::from), "{pieces:?}");
        }
    }
}
