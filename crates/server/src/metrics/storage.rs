//! What is measured about the storage driver.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use storage::Observer;
use storage::observed::{Action, Outcome};

/// Seconds an operation took. From 5 ms on they are Distribution's buckets; a local file takes less
/// than that, so there are finer ones below.
const ACTION_BUCKETS: [f64; 17] = [
    0.000_025, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAction {
    driver: &'static str,
    action: &'static str,
}

fn action_histogram() -> Histogram {
    Histogram::new(ACTION_BUCKETS)
}

pub(super) struct StorageMetrics {
    actions: Family<ByAction, Histogram>,
    errors: Family<ByAction, Counter>,
}

impl StorageMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let actions = Family::new_with_constructor(action_histogram as fn() -> Histogram);
        registry.register(
            "registry_storage_action_seconds",
            "The number of seconds that the storage action takes",
            actions.clone(),
        );
        let errors = Family::default();
        registry.register(
            "wharf_storage_errors",
            "Storage actions that failed because of the storage",
            errors.clone(),
        );
        Self { actions, errors }
    }

    pub(super) fn observer(&self, driver: &'static str) -> ActionObserver {
        let errors = Action::ALL.map(|action| {
            self.errors.get_or_create_owned(&ByAction { driver, action: action.name() })
        });
        ActionObserver {
            driver,
            actions: self.actions.clone(),
            durations: Default::default(),
            errors,
        }
    }
}

/// Measures the operations of one driver.
pub(super) struct ActionObserver {
    driver: &'static str,
    actions: Family<ByAction, Histogram>,
    /// What each action's durations go into, from its first on: looking it up each time would cost
    /// more than the rest of the measuring.
    durations: [OnceLock<Histogram>; Action::ALL.len()],
    errors: [Counter; Action::ALL.len()],
}

impl std::fmt::Debug for ActionObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActionObserver").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl Observer for ActionObserver {
    fn observed(&self, action: Action, took: Duration, outcome: Outcome) {
        let number = action as usize;
        let histogram = self.durations[number].get_or_init(|| {
            let labels = ByAction { driver: self.driver, action: action.name() };
            self.actions.get_or_create_owned(&labels)
        });
        histogram.observe(took.as_secs_f64());
        if outcome == Outcome::Failed {
            self.errors[number].inc();
        }
    }
}
