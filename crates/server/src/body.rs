//! Request bodies, on their way to the domain.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};
use http_body::Body as _;
use hyper::body::Incoming;
use registry::BodyError;
use tokio::time::{Instant, Sleep};

/// A request's body as the domain takes it. Fails when nothing has come for `idle`.
pub(crate) fn incoming(body: Incoming, idle: Duration) -> registry::Body {
    Box::pin(IncomingBody { body, idle, timer: Box::pin(tokio::time::sleep(idle)), waiting: true })
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
    body: Incoming,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer has been running since the last piece.
    waiting: bool,
}

impl Stream for IncomingBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.waiting = false;
                    match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                        // Trailers mean nothing here, empty pieces neither.
                        _ => {}
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(BodyError::Disconnected(describe(&error)))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        if !this.waiting {
            this.timer.as_mut().reset(Instant::now() + this.idle);
            this.waiting = true;
        }
        ready!(this.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Idle(this.idle.as_secs()))))
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
