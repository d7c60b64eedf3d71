//! Trouble that strangers can cause as often as they like, and that is logged now and then.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::limits::TROUBLE_LOG_INTERVAL;

/// One kind of trouble.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    /// How often it came up since then.
    since_then: u64,
}

impl Trouble {
    /// Whether it is time to log it: if so, how often it came up since that was done last, this
    /// time not counted.
    pub(super) fn is_due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.logged.is_some_and(|logged| now < logged + TROUBLE_LOG_INTERVAL) {
            state.since_then += 1;
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.since_then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn once_and_then_now_and_then() {
        let trouble = Trouble::default();
        assert_eq!(trouble.is_due(), Some(0));
        assert_eq!(trouble.is_due(), None);
        assert_eq!(trouble.is_due(), None);
        tokio::time::advance(TROUBLE_LOG_INTERVAL).await;
        assert_eq!(trouble.is_due(), Some(2));
        assert_eq!(trouble.is_due(), None);
    }
}
