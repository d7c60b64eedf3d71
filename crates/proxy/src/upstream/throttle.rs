//! How often an upstream is asked.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives each request its turn: at once, unless there is a limit, or the upstream wants to be left
/// alone for a while.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The time between two requests.
    interval: Duration,
    /// When the next one may be sent.
    next: Option<Instant>,
}

impl Throttle {
    /// Lets so many requests through in a minute, evenly.
    pub(crate) fn limit(&self, per_minute: NonZeroU32) {
        self.lock().interval = Duration::from_secs(60) / per_minute.get();
    }

    /// Lets none through for so long.
    pub(crate) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        state.next = Some(state.next.map_or(until, |next| next.max(until)));
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) {
        let turn = {
            let mut state = self.lock();
            let Some(turn) = state.take(Instant::now()) else { return };
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the next turn; `None` when that is now, and nobody has to wait after it.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        let turn = self.next.map_or(now, |next| next.max(now));
        self.next = (turn > now || !self.interval.is_zero()).then(|| turn + self.interval);
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_evenly_and_not_during_a_pause() {
        let throttle = Throttle::default();
        let begun = Instant::now();
        for _ in 0..1000 {
            throttle.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        throttle.limit(NonZeroU32::new(120).unwrap());
        for _ in 0..5 {
            throttle.turn().await;
        }
        let took = begun.elapsed();
        assert!((1990..2050).contains(&took.as_millis()), "{took:?}");
        throttle.hold(Duration::from_secs(30));
        let begun = Instant::now();
        throttle.turn().await;
        assert!(begun.elapsed() >= Duration::from_secs(30));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        throttle.turn().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "a pause is not caught up with, nor owed");
    }
}
