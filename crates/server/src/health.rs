//! Whether the server can do its work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use storage::{Driver, StoragePath};

use crate::limits::HEALTH_CHECK_TIMEOUT_MIN;

/// `health.storagedriver`: how often the storage is looked at, and how many failures in a row make
/// the server unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageCheck {
    /// Time between looks, and before the first.
    pub interval: Duration,
    /// Failures in a row; 0 counts as 1.
    pub threshold: u32,
}

impl Default for StorageCheck {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), threshold: 0 }
    }
}

/// The checks that fail at present, with their reasons. Healthy until shown otherwise.
#[derive(Debug, Default)]
pub struct Health {
    failing: RwLock<BTreeMap<String, String>>,
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

    /// Looks at the storage again and again, until it is dropped. The name of the check is
    /// Distribution's: `storagedriver_<type>`.
    pub async fn watch_storage(self: Arc<Self>, driver: Arc<dyn Driver>, check: StorageCheck) {
        let name = format!("storagedriver_{}", driver.name());
        // An interval of zero would never let anything else run.
        let interval = check.interval.max(Duration::from_millis(10));
        let patience = interval.max(HEALTH_CHECK_TIMEOUT_MIN);
        let mut failures = 0_u32;
        loop {
            tokio::time::sleep(interval).await;
            let outcome = tokio::time::timeout(patience, look(&*driver)).await;
            let reason = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer within {} seconds", patience.as_secs())),
            };
            failures = if reason.is_some() { failures.saturating_add(1) } else { 0 };
            let was_healthy = self.is_healthy();
            match reason {
                Some(reason) if failures >= check.threshold => {
                    if was_healthy {
                        tracing::error!(check = name, reason, "health check failed");
                    }
                    self.set(&name, Some(reason));
                }
                Some(reason) => {
                    tracing::warn!(
                        check = name,
                        reason,
                        failures,
                        "health check failed, not yet for long"
                    );
                }
                None => {
                    self.set(&name, None);
                    if !was_healthy && self.is_healthy() {
                        tracing::info!(check = name, "health check is well again");
                    }
                }
            }
        }
    }
}

/// The root need not exist for the storage to be well: nothing may have been pushed yet.
async fn look(driver: &dyn Driver) -> storage::Result<()> {
    match driver.stat(&StoragePath::root()).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
