//! Whether Redis is worth asking.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{FAILURES_MAX, PAUSE};

/// Opens after [`FAILURES_MAX`] failures in a row; then one operation at a time tries again, with a
/// pause in between.
#[derive(Debug, Default)]
pub(crate) struct Availability {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// When the next attempt is made; `None` while Redis is there.
    retry_at: Option<Instant>,
}

impl Availability {
    /// Whether an operation may be tried at `now`.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match state.retry_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                state.retry_at = Some(now + pause());
                true
            }
        }
    }

    /// Notes a success. Returns whether Redis was given up before.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.lock();
        state.failures = 0;
        state.retry_at.take().is_some()
    }

    /// Notes a failure at `now`. Returns whether Redis is given up because of it.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_MAX && state.retry_at.is_none() {
            return false;
        }
        state.retry_at.replace(now + pause()).is_none()
    }

    /// Gives Redis up at `now` whatever was before. Returns whether it was not given up yet.
    pub(crate) fn give_up(&self, now: Instant) -> bool {
        self.lock().retry_at.replace(now + pause()).is_none()
    }

    /// Whether Redis is there, as far as is known.
    pub(crate) fn is_available(&self) -> bool {
        self.lock().retry_at.is_none()
    }

    /// A panic elsewhere leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause() -> Duration {
    PAUSE + PAUSE.mul_f64(0.5 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_try() {
        let availability = Availability::default();
        let start = Instant::now();
        for _ in 1..FAILURES_MAX {
            assert!(!availability.failed(start));
        }
        assert!(!availability.succeeded(), "it was never given up");
        for _ in 1..FAILURES_MAX {
            assert!(!availability.failed(start));
            assert!(availability.admits(start) && availability.is_available());
        }
        assert!(availability.failed(start), "given up once");
        assert!(!availability.failed(start), "and only once");
        assert!(!availability.is_available());
        assert!(!availability.admits(start + PAUSE.mul_f64(0.99)));
        let later = start + PAUSE.mul_f64(1.51);
        assert!(availability.admits(later), "one tries");
        assert!(!availability.admits(later), "and no other");
        assert!(!availability.failed(later));
        assert!(!availability.admits(later + PAUSE.mul_f64(0.99)));
        assert!(availability.admits(later + PAUSE.mul_f64(1.51)));
        assert!(availability.succeeded(), "and is back once");
        assert!(!availability.succeeded());
        assert!(availability.admits(later));
    }
}
