//! Working no faster than is allowed.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shorter sleeps are not worth their timer: they are owed until they are.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// Lets so much pass in a second: bytes, or operations. What did not pass while there was something
/// else to wait for is not caught up with.
#[derive(Debug)]
pub struct Pace {
    per_sec: Option<NonZeroU64>,
    /// When what has passed by now is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// With no limit, everything passes at once.
    #[must_use]
    pub fn new(per_sec: Option<NonZeroU64>) -> Self {
        Self { per_sec, paid: Mutex::default() }
    }

    /// Counts what has passed, and waits until it is paid for.
    pub async fn passed(&self, units: u64) {
        let Some(rate) = self.per_sec else { return };
        let price = Duration::from_secs_f64(units as f64 / rate.get() as f64);
        let until = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = paid.map_or_else(Instant::now, |paid| paid.max(Instant::now()));
            *paid = Some(begin + price);
            begin + price
        };
        if until.duration_since(Instant::now()) >= SLEEP_MIN {
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_much_passes_in_a_second_whoever_reads_it() {
        let begun = Instant::now();
        let pace = Pace::new(NonZeroU64::new(1000));
        let reader = async || {
            for _ in 0..10 {
                pace.passed(500).await;
            }
        };
        tokio::join!(reader(), reader());
        let took = begun.elapsed();
        assert!((9900..=10_100).contains(&took.as_millis()), "{took:?}");
        let begun = Instant::now();
        Pace::new(None).passed(u64::MAX).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn small_steps_keep_the_pace_and_a_pause_is_not_caught_up_with() {
        for per_sec in [100, 20_000] {
            let pace = Pace::new(NonZeroU64::new(per_sec));
            for pause in [0, 60] {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                let begun = Instant::now();
                for _ in 0..5 * per_sec {
                    pace.passed(1).await;
                }
                let seconds = begun.elapsed().as_secs_f64();
                assert!((4.9..5.1).contains(&seconds), "{per_sec} after {pause}: {seconds}");
            }
        }
    }
}
