//! What garbage collection did, looked up when somebody scrapes.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use registry::Registry;

use super::{counter_by, counters, gauges, to_f64};

/// What online garbage collection does.
pub(super) struct Collections {
    /// Weak: the registry's driver is observed by the metrics that this belongs to.
    registry: Weak<Registry>,
}

impl Collections {
    pub(super) fn new(registry: &Arc<Registry>) -> Self {
        Self { registry: Arc::downgrade(registry) }
    }
}

impl fmt::Debug for Collections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collections").finish_non_exhaustive()
    }
}

impl Collector for Collections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(registry) = self.registry.upgrade() else { return Ok(()) };
        let totals = registry.collections();
        counter_by(
            &mut encoder,
            ("wharf_gc_runs", "Garbage collections of this server, by their outcome."),
            "outcome",
            [("finished", totals.finished), ("failed", totals.failed)],
        )?;
        counter_by(
            &mut encoder,
            ("wharf_gc_deleted", "What garbage collection deleted."),
            "kind",
            [
                ("tag", totals.deleted.tags),
                ("manifest", totals.deleted.manifests),
                ("layer_link", totals.deleted.layers),
                ("blob", totals.deleted.blobs),
                ("upload", totals.uploads),
            ],
        )?;
        let rows = [
            (
                "wharf_gc_freed_bytes",
                "The size of the blobs that it deleted.",
                totals.deleted.blob_bytes,
            ),
            (
                "wharf_gc_rescued",
                "Garbage that stayed, as a push came to rely on it.",
                totals.rescued,
            ),
        ];
        counters(&mut encoder, rows)?;
        let finished = totals.last_finished.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let rows = [
            (
                "wharf_gc_problems",
                "What the last collection could not read or delete.",
                Some(to_f64(totals.problems)),
            ),
            (
                "wharf_gc_last_duration_seconds",
                "How long the last collection took.",
                Some(to_f64(totals.last_milliseconds) / 1000.0),
            ),
            (
                "wharf_gc_last_finished_timestamp_seconds",
                "When a collection of this server last came to its end, in seconds since 1970; 0 if none did.",
                Some(finished.unwrap_or_default().as_secs_f64()),
            ),
        ];
        gauges(&mut encoder, rows)
    }
}
