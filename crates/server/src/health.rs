//! Whether the server can do its work.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::limits::{HEALTH_CHECK_INTERVAL, HEALTH_CHECK_INTERVAL_MIN};

mod check;

pub use check::{Check, CheckError, HttpCheck};

/// How often something is looked at, and how many failures in a row make the server unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time between looks, and before the first; zero counts as the default of 10 seconds.
    pub interval: Duration,
    /// Failures in a row; 0 counts as 1.
    pub threshold: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { interval: HEALTH_CHECK_INTERVAL, threshold: 0 }
    }
}

impl Schedule {
    fn interval(self) -> Duration {
        if self.interval.is_zero() {
            HEALTH_CHECK_INTERVAL
        } else {
            // One that is close to zero would never let anything else run.
            self.interval.max(HEALTH_CHECK_INTERVAL_MIN)
        }
    }
}

/// One look at something: why it is not well.
type Look = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The checks that fail at present, with their reasons. Healthy until shown otherwise.
#[derive(Debug, Default)]
pub struct Health {
    failing: RwLock<BTreeMap<String, String>>,
    /// What is not as it should be, and keeps nobody from working.
    warnings: RwLock<BTreeMap<String, String>>,
    /// How many checks there are of each name.
    watched: Mutex<BTreeMap<String, u32>>,
}

impl Health {
    /// Notes the outcome of a check: `None` when it went well.
    pub fn set(&self, check: &str, reason: Option<String>) {
        let mut failing = self.failing.write().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => failing.insert(check.to_owned(), reason),
            None => failing.remove(check),
        };
    }

    /// Notes something that is not as it should be, or that it is again: with `None`. `/readyz` shows
    /// it, to whoever asks, and the server goes on as it does.
    pub fn set_warning(&self, about: &str, reason: Option<String>) {
        let mut warnings = self.warnings.write().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => warnings.insert(about.to_owned(), reason),
            None => warnings.remove(about),
        };
    }

    /// What is not as it should be, by name, with the reasons.
    #[must_use]
    pub fn warnings(&self) -> BTreeMap<String, String> {
        self.warnings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether no check fails.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.failing.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The checks that fail, by name, with their reasons.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, String> {
        self.failing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Two checks may look alike, as what may be secret in a URL is not shown. One that is well must
    /// not hide the other.
    fn name_of_its_own(&self, name: &str) -> String {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let count = watched.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name} ({count})") }
    }

    /// Makes a check again and again, until what is returned is dropped. The first look is made
    /// after the first interval, as with Distribution.
    pub async fn watch(self: Arc<Self>, check: Check) {
        let name = &self.name_of_its_own(check.name());
        let threshold = check.schedule().threshold.max(1);
        let interval = check.schedule().interval();
        let patience = check.patience(interval);
        let mut unfinished: Option<Look> = None;
        let (mut failures, mut is_failing) = (0_u32, false);
        loop {
            tokio::time::sleep(interval).await;
            // There is one look at a time: each that hangs may hold a thread.
            let mut look = unfinished.take().unwrap_or_else(|| check.look());
            let outcome = tokio::time::timeout(patience, look.as_mut()).await;
            let Err(reason) = outcome.unwrap_or_else(|_| {
                unfinished = Some(look);
                Err(format!("no answer within {} seconds", patience.as_secs_f32()))
            }) else {
                failures = 0;
                if std::mem::take(&mut is_failing) {
                    self.set(name, None);
                    tracing::info!(check = name, "health check is well again");
                }
                continue;
            };
            failures = failures.saturating_add(1);
            if failures < threshold {
                tracing::warn!(
                    check = name,
                    reason,
                    failures,
                    "health check failed, not yet for long"
                );
                continue;
            }
            if !is_failing {
                tracing::error!(check = name, reason, "health check failed");
            }
            is_failing = true;
            self.set(name, Some(reason));
        }
    }
}
