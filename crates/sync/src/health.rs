//! How the sides of a job are doing, as far as this process has seen.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::retries::after;

/// Of a job, whatever is done for it.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    worked_at: Option<Timestamp>,
    paused_until: Option<Timestamp>,
    plan_failed: bool,
}

impl Health {
    /// Notes that something was copied just now.
    pub(crate) fn note_worked(&self) {
        self.lock().worked_at = Some(Timestamp::now());
    }

    /// When anything was copied last.
    pub(crate) fn worked_at(&self) -> Option<Timestamp> {
        self.lock().worked_at
    }

    /// Notes whether a run came to a plan, be it one with gaps.
    pub(crate) fn note_planned(&self, is_planned: bool) {
        self.lock().plan_failed = !is_planned;
    }

    /// Whether the last run came to a plan, if there was one.
    pub(crate) fn is_planned(&self) -> bool {
        !self.lock().plan_failed
    }

    /// Has nothing begun for so long. A pause that ends later stays.
    pub(crate) fn pause(&self, wait: Duration) {
        let until = after(Timestamp::now(), wait);
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Leaves the remote alone for as long as it wants, if that is what it said.
    pub(crate) fn heed(&self, fault: &Fault) {
        if let Some(wait) = fault.wait() {
            self.pause(wait);
        }
    }

    /// Until when nothing is begun; `None` when something may be.
    pub(crate) fn paused_until(&self) -> Option<Timestamp> {
        self.lock().paused_until.filter(|until| *until > Timestamp::now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_pause_stays() {
        let health = Health::default();
        assert_eq!(health.paused_until(), None);
        health.pause(Duration::from_secs(3600));
        health.pause(Duration::from_secs(1));
        let left = health.paused_until().unwrap().duration_since(Timestamp::now());
        assert!(left.as_secs() > 3500, "{left}");
        let over = Health::default();
        over.pause(Duration::ZERO);
        assert_eq!(over.paused_until(), None);
    }
}
