//! How long the store is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::time::Sleep;

use crate::limits::{SENDING_RATE_MIN, SILENCE_MAX};

/// How long a request may take to get to the store, and the store to answer it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long nothing may come, once it has the request.
    pub(super) silence_max: Duration,
    /// What a request gets there with at least, in bytes a second.
    pub(super) sending_rate_min: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence_max: SILENCE_MAX, sending_rate_min: SENDING_RATE_MIN }
    }
}

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("the store did not answer in time")]
pub(super) struct Silent;

impl Patience {
    /// How long the beginning of an answer may take to come. Nobody tells how far a request is that is
    /// being sent, so that this depends on its size.
    pub(super) fn until_the_answer(&self, request_bytes: usize) -> Duration {
        let sending = Duration::from_millis(
            (request_bytes as u64).saturating_mul(1000) / self.sending_rate_min.max(1),
        );
        self.silence_max + sending
    }

    /// The body of an answer, which fails when nothing more of it comes.
    pub(super) fn while_it_comes(&self, body: HttpResponseBody) -> HttpResponseBody {
        HttpResponseBody::new(Coming { body, silence_max: self.silence_max, silence: None })
    }
}

/// A body that is being read.
struct Coming {
    body: HttpResponseBody,
    silence_max: Duration,
    /// Until when something has to come; none while nobody waits for it.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Body for Coming {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let coming = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut coming.body).poll_frame(cx) {
            coming.silence = None;
            return Poll::Ready(frame);
        }
        let silence_max = coming.silence_max;
        let silence =
            coming.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence_max)));
        silence
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(HttpError::new(HttpErrorKind::Timeout, Silent))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_may_take_longer() {
        let patience = Patience::default();
        assert_eq!(patience.until_the_answer(0), SILENCE_MAX);
        // Two parts of 10 MiB at once over 5 Mbit/s.
        assert!(patience.until_the_answer(10 << 20) > Duration::from_secs(40));
    }
}
