//! How fast a collection goes.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::ENTRIES_BETWEEN_YIELDS;

/// Keeps operations below a rate, and lets other tasks run in between.
#[derive(Debug)]
pub(super) struct Pace {
    /// Operations in a second.
    rate: Option<u32>,
    began: Instant,
    done: u64,
}

impl Pace {
    pub(super) fn new(rate: Option<u32>) -> Self {
        Self { rate, began: Instant::now(), done: 0 }
    }

    /// Waits until `operations` more are due.
    pub(super) async fn spend(&mut self, operations: u64) {
        let before = self.done / ENTRIES_BETWEEN_YIELDS as u64;
        self.done += operations;
        let Some(rate) = self.rate else {
            if self.done / ENTRIES_BETWEEN_YIELDS as u64 != before {
                tokio::task::yield_now().await;
            }
            return;
        };
        let due = Duration::from_secs_f64(self.done as f64 / f64::from(rate.max(1)));
        let elapsed = self.began.elapsed();
        if due > elapsed + MIN_SLEEP {
            tokio::time::sleep(due - elapsed).await;
        } else if elapsed > due + MAX_LAG {
            // What was not done while it waited for something else is not caught up with.
            self.began = Instant::now();
            self.done = 0;
        }
    }
}

/// Shorter sleeps are not worth their timer.
const MIN_SLEEP: Duration = Duration::from_millis(10);

const MAX_LAG: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept() {
        let began = Instant::now();
        let mut pace = Pace::new(Some(100));
        for _ in 0..500 {
            pace.spend(1).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        assert!((4.9..5.1).contains(&seconds), "{seconds}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        for _ in 0..500 {
            pace.spend(1).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        assert!((4.5..5.1).contains(&seconds), "a pause is not caught up with: {seconds}");
    }
}
