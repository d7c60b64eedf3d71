//! Reading no faster than is allowed.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets so many bytes pass in a second.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_sec: Option<NonZeroU64>,
    /// When what has passed by now is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(bytes_per_sec: Option<NonZeroU64>) -> Self {
        Self { bytes_per_sec, paid: Mutex::default() }
    }

    /// Counts bytes that were read, and waits until those before them are paid for.
    pub(crate) async fn passed(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_sec else { return };
        let price = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        let until = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = paid.map_or_else(Instant::now, |paid| paid.max(Instant::now()));
            *paid = Some(begin + price);
            begin + price
        };
        tokio::time::sleep_until(until).await;
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
}
