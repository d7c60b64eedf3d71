//! How long Redis takes, in Distribution's names.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds. From 5 ms on they are Distribution's buckets; a Redis nearby takes less than that.
const BUCKETS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];

/// What Redis is asked to do; the names are those of Distribution's methods.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Stat,
    SetDescriptor,
    Clear,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Timings(Family<ByOperation, Histogram>);

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Timings {
    pub(crate) fn new() -> Self {
        Self(Family::new_with_constructor(histogram as fn() -> Histogram))
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "registry_storage_cache_redis_seconds",
            "The number of seconds that an operation of the cache in Redis takes",
            self.0.clone(),
        );
    }

    pub(crate) fn observe(&self, operation: Operation, took: Duration) {
        let operation = match operation {
            Operation::Stat => "Stat",
            Operation::SetDescriptor => "SetDescriptor",
            Operation::Clear => "Clear",
        };
        self.0.get_or_create(&ByOperation { operation }).observe(took.as_secs_f64());
    }
}
