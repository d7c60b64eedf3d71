//! Between the library and the network: what keeps an outage of the store from becoming worse.
//!
//! Every attempt of every request goes through here. Repetitions are paid from a budget that only
//! successes fill, and a store that fails again and again is left alone for a moment, after which
//! one request tries it. Errors of the store become typed errors, so that nobody has to read texts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{info, warn};

use crate::failure::StoreFailure;
use crate::limits::{
    FAILURES_UNTIL_OPEN, OPEN_MAX, OPEN_MIN, RETRY_BUDGET_MAX, RETRY_BUDGET_PER_SUCCESS,
};

mod patience;
mod service;

pub(crate) use service::{CopyStatus, Guarded};

/// What is known of how the store does.
#[derive(Debug)]
pub(crate) struct Guard {
    state: Mutex<State>,
    requests: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    /// How many requests may wait for an answer.
    room: Option<Semaphore>,
}

#[derive(Debug)]
struct State {
    failures_in_a_row: u32,
    /// Until when nobody asks, and for how long that is.
    left_alone: Option<(Instant, Duration)>,
    /// One request is finding out whether it is back.
    is_tried: bool,
    budget: f64,
}

/// What a guard has counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Attempts that were made, repetitions among them.
    pub requests: u64,
    /// Those that failed: no connection, no answer in time, 5xx and 429.
    pub failures: u64,
    /// Those that were not made, since the store was left alone.
    pub refused: u64,
    /// Whether it is left alone at this moment.
    pub is_left_alone: bool,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
}

impl Guard {
    /// Lets `at_once` requests wait for an answer at a time, or any number.
    pub(crate) fn new(at_once: Option<usize>) -> Self {
        let state = State {
            failures_in_a_row: 0,
            left_alone: None,
            is_tried: false,
            budget: RETRY_BUDGET_MAX,
        };
        Self {
            state: Mutex::new(state),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            room: at_once.map(|at_once| Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted.
    pub(crate) fn health(&self) -> StoreHealth {
        StoreHealth {
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            is_left_alone: self.state().left_alone.is_some(),
        }
    }

    /// A place among the requests that wait for an answer; none where any number may.
    async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.room.as_ref()?.acquire().await.ok()
    }

    /// Whether the store may be asked now.
    fn admit(self: &Arc<Self>, now: Instant) -> Result<Attempt, StoreFailure> {
        let mut state = self.state();
        if let Some((until, _)) = state.left_alone {
            if now < until || state.is_tried {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(StoreFailure::LeftAlone { failures: state.failures_in_a_row });
            }
            state.is_tried = true;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(Attempt { guard: Arc::clone(self), is_told: false })
    }

    /// Notes how an attempt went. Returns whether a failure may be repeated.
    fn tell(&self, outcome: Outcome, now: Instant) -> bool {
        let mut state = self.state();
        state.is_tried = false;
        if outcome == Outcome::Success {
            if state.left_alone.take().is_some() {
                info!("the store answers again");
            }
            state.failures_in_a_row = 0;
            state.budget = (state.budget + RETRY_BUDGET_PER_SUCCESS).min(RETRY_BUDGET_MAX);
            return true;
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
        let pause = match state.left_alone {
            Some((_, pause)) => Some((2 * pause).min(OPEN_MAX)),
            None if state.failures_in_a_row >= FAILURES_UNTIL_OPEN => {
                let failures = state.failures_in_a_row;
                warn!(failures, "the store fails again and again, and is left alone for a moment");
                Some(OPEN_MIN)
            }
            None => None,
        };
        if let Some(pause) = pause {
            // Replicas come back one after the other.
            let pause = pause.mul_f64(rand::random_range(0.8..1.2));
            state.left_alone = Some((now + pause, pause));
            return false;
        }
        if state.budget < 1.0 {
            return false;
        }
        state.budget -= 1.0;
        true
    }
}

/// An attempt that was admitted. One that is given up tells nothing, but others may try.
struct Attempt {
    guard: Arc<Guard>,
    is_told: bool,
}

impl Attempt {
    fn tell(mut self, outcome: Outcome) -> bool {
        self.is_told = true;
        self.guard.tell(outcome, Instant::now())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_told {
            self.guard.state().is_tried = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(guard: &Arc<Guard>, now: Instant, outcome: Outcome) -> Option<bool> {
        let mut attempt = guard.admit(now).ok()?;
        attempt.is_told = true;
        Some(guard.tell(outcome, now))
    }

    #[test]
    fn a_store_that_fails_is_left_alone_and_tried_by_one() {
        let guard = Arc::new(Guard::new(None));
        let mut now = Instant::now();
        for _ in 0..FAILURES_UNTIL_OPEN {
            assert!(attempt(&guard, now, Outcome::Failure).is_some());
        }
        assert!(attempt(&guard, now, Outcome::Success).is_none());
        assert!(guard.health().is_left_alone);
        now += 2 * OPEN_MIN;
        let first = guard.admit(now).ok().unwrap();
        assert!(guard.admit(now).is_err(), "a second one tries as well");
        drop(first);
        assert_eq!(attempt(&guard, now, Outcome::Failure), Some(false));
        assert!(guard.admit(now + OPEN_MIN).is_err());
        now += 4 * OPEN_MIN;
        assert_eq!(attempt(&guard, now, Outcome::Success), Some(true));
        assert_eq!(attempt(&guard, now, Outcome::Success), Some(true));
        assert!(!guard.health().is_left_alone);
    }

    #[test]
    fn repetitions_are_paid_by_successes() {
        let guard = Arc::new(Guard::new(None));
        let now = Instant::now();
        let mut repeated = 0;
        for _ in 0..1000 {
            for outcome in [Outcome::Failure, Outcome::Success] {
                if attempt(&guard, now, outcome) == Some(true) && outcome == Outcome::Failure {
                    repeated += 1;
                }
            }
        }
        let paid = RETRY_BUDGET_MAX + 1000.0 * RETRY_BUDGET_PER_SUCCESS;
        assert!((f64::from(repeated) - paid).abs() <= 2.0, "{repeated}");
    }
}
