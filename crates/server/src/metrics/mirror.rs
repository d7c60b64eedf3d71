//! What is measured about the mirror, and in Distribution's names of it.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use proxy::{KindCounts, Mirror, MirrorCounts, PrefetchCounts, UpstreamHealth};
use registry::eviction::EvictionTotals;

use super::{counter_by, counters, gauges, to_f64};

/// Asked at each scrape.
#[derive(Debug)]
pub(super) struct Mirrored {
    /// Weak: the driver of its registry is observed by the metrics that this belongs to.
    mirror: Weak<Mirror>,
}

impl Mirrored {
    pub(super) fn new(mirror: &Arc<Mirror>) -> Self {
        Self { mirror: Arc::downgrade(mirror) }
    }
}

impl Collector for Mirrored {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(mirror) = self.mirror.upgrade() else { return Ok(()) };
        let MirrorCounts { fetches, upstreams, blobs, manifests, stale, ahead } = mirror.counts();
        by_kind(&mut encoder, blobs, manifests)?;
        let rows = [
            (
                "wharf_mirror_stale",
                "Tags that were served as they were when they were looked up last.",
                stale,
            ),
            (
                "wharf_mirror_fetches",
                "Blobs that were to be fetched from an upstream.",
                fetches.begun,
            ),
            (
                "wharf_mirror_fetches_joined",
                "Requests for what was just being fetched.",
                fetches.joined,
            ),
            ("wharf_mirror_fetches_failed", "Fetches that ended without the blob.", fetches.failed),
        ];
        counters(&mut encoder, rows)?;
        let in_flight = Some(to_f64(fetches.in_flight));
        gauges(
            &mut encoder,
            [("wharf_mirror_fetches_in_flight", "Blobs that are being fetched.", in_flight)],
        )?;
        fetched_ahead(&mut encoder, ahead)?;
        evictions(&mut encoder, mirror.evictions())?;
        requests(&mut encoder, &upstreams)?;
        by_upstream(
            &mut encoder,
            ("wharf_mirror_received_bytes", "Bytes of bodies that came from upstreams."),
            MetricType::Counter,
            upstreams.iter().map(|(name, health)| (name, Some(health.bytes))),
        )?;
        let left = |health: &UpstreamHealth| health.rate_limit.map(|limit| limit.remaining);
        by_upstream(
            &mut encoder,
            (
                "wharf_mirror_rate_limit_remaining",
                "Pulls that an upstream still allows, as it said last.",
            ),
            MetricType::Gauge,
            upstreams.iter().map(|(name, health)| (name, left(health))),
        )
    }
}

/// Distribution's metrics of its proxy.
fn by_kind(
    encoder: &mut DescriptorEncoder<'_>,
    blobs: KindCounts,
    manifests: KindCounts,
) -> fmt::Result {
    type Figure = fn(KindCounts) -> u64;
    let rows: [(&str, &str, Figure); 5] = [
        ("requests", "The number of total incoming proxy request received", |c| c.hits + c.misses),
        ("hits", "The number of total proxy request hits", |c| c.hits),
        ("misses", "The number of total proxy request misses", |c| c.misses),
        ("pulled_bytes", "The size of total bytes pulled from the upstream", |c| c.pulled_bytes),
        ("pushed_bytes", "The size of total bytes pushed to the client", |c| c.pushed_bytes),
    ];
    for (name, help, figure) in rows {
        let kinds = [("blob", figure(blobs)), ("manifest", figure(manifests))];
        counter_by(encoder, (&format!("registry_proxy_{name}"), help), "type", kinds)?;
    }
    Ok(())
}

/// What was fetched ahead of clients.
fn fetched_ahead(encoder: &mut DescriptorEncoder<'_>, ahead: PrefetchCounts) -> fmt::Result {
    let PrefetchCounts { fetched, fetched_bytes, present, skipped, failed, dropped, waiting } =
        ahead;
    counter_by(
        encoder,
        (
            "wharf_mirror_prefetch_parts",
            "Manifests and blobs that were to be fetched ahead of clients, by what became of them.",
        ),
        "outcome",
        [("fetched", fetched), ("present", present), ("skipped", skipped), ("failed", failed)],
    )?;
    let bytes = "The size of what was fetched ahead.";
    let lost = "Manifests and blobs that were not even noted, as too much was waiting.";
    counters(
        encoder,
        [
            ("wharf_mirror_prefetch_bytes", bytes, fetched_bytes),
            ("wharf_mirror_prefetch_dropped", lost, dropped),
        ],
    )?;
    let help = "What waits to be fetched ahead, or is being fetched.";
    gauges(encoder, [("wharf_mirror_prefetch_waiting", help, Some(to_f64(waiting)))])
}

/// What evictions did.
fn evictions(encoder: &mut DescriptorEncoder<'_>, totals: EvictionTotals) -> fmt::Result {
    counter_by(
        encoder,
        ("wharf_mirror_evictions", "Evictions of this server, by their outcome."),
        "outcome",
        [("finished", totals.finished), ("failed", totals.failed)],
    )?;
    counter_by(
        encoder,
        ("wharf_mirror_evicted", "Manifests, and blobs that none named, that evictions took."),
        "reason",
        [("age", totals.taken_by_age), ("size", totals.taken_by_size)],
    )?;
    let freed = "The size of the data that evictions deleted.";
    counters(encoder, [("wharf_mirror_evicted_bytes", freed, totals.freed_bytes)])?;
    let cached = "How large what is cached was after the last eviction.";
    gauges(encoder, [("wharf_mirror_cached_bytes", cached, totals.cached_bytes.map(to_f64))])
}

/// Requests to each upstream, by what became of them.
fn requests(
    encoder: &mut DescriptorEncoder<'_>,
    upstreams: &[(String, UpstreamHealth)],
) -> fmt::Result {
    let help = "Requests to upstreams, by what became of them.";
    let mut descriptor =
        encoder.encode_descriptor("wharf_mirror_requests", help, None, MetricType::Counter)?;
    for (name, health) in upstreams {
        for (outcome, count) in health.requests.by_outcome() {
            let labels = [("upstream", name.as_str()), ("outcome", outcome)];
            ConstCounter::new(count).encode(descriptor.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// One figure of each upstream that has it.
fn by_upstream<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    kind: MetricType,
    rows: impl Iterator<Item = (&'a String, Option<u64>)>,
) -> fmt::Result {
    let mut descriptor = encoder.encode_descriptor(name, help, None, kind)?;
    for (upstream, value) in rows {
        let Some(value) = value else { continue };
        let labels = [("upstream", upstream.as_str())];
        let encoder = descriptor.encode_family(&labels)?;
        match kind {
            MetricType::Counter => ConstCounter::new(value).encode(encoder)?,
            _ => ConstGauge::new(to_f64(value)).encode(encoder)?,
        }
    }
    Ok(())
}
