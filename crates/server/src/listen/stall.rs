//! How long a client may leave what it is sent where it is.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::limits::{WRITE_LOOKS, WRITE_PROGRESS_BYTES_MIN};

/// What is known of a client for which something waits.
///
/// That its socket takes no more does not say that the client takes nothing: the system reports
/// room only when a good part of a buffer of some megabytes has become free, for which a slow link
/// needs minutes. So it is looked at several times before the time is up.
#[derive(Debug)]
pub(super) struct Stall {
    timeout: Duration,
    ends: Instant,
    taken_bytes: usize,
    look: Pin<Box<Sleep>>,
}

impl Stall {
    /// Begins now.
    pub(super) fn new(timeout: Duration) -> Self {
        let now = Instant::now();
        let look = Box::pin(tokio::time::sleep_until(now + timeout / WRITE_LOOKS));
        Self { timeout, ends: now + timeout, taken_bytes: 0, look }
    }

    /// Waits until it is time to look whether there is room after all.
    pub(super) fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look.as_mut().poll(cx)
    }

    /// There was room for so many bytes.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken_bytes += bytes;
        if self.taken_bytes >= WRITE_PROGRESS_BYTES_MIN {
            self.taken_bytes = 0;
            self.ends = Instant::now() + self.timeout;
        }
        self.look_later();
    }

    /// There was none. Whether that has been so for too long.
    pub(super) fn took_nothing(&mut self) -> bool {
        self.look_later();
        Instant::now() >= self.ends
    }

    fn look_later(&mut self) {
        let next = Instant::now() + self.timeout / WRITE_LOOKS;
        self.look.as_mut().reset(next);
    }
}
