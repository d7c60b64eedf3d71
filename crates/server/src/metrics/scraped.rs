//! What is looked up when somebody scrapes, because it is counted elsewhere.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use registry::descriptors::DescriptorCacheStats;
use registry::{CacheStats, Registry, ScrubStatus};

use super::{gauge, to_f64};
use crate::health::Health;

/// Distribution's metrics of its cache, in the names of versions 3 and 2: of the descriptor cache
/// that several servers share, or else of the manifests in memory. Those can't fail, so their
/// errors stay at zero.
pub(super) struct ManifestCache {
    /// Weak: the registry's driver is observed by the metrics that this belongs to.
    registry: Weak<Registry>,
}

impl ManifestCache {
    pub(super) fn new(registry: &Arc<Registry>) -> Self {
        Self { registry: Arc::downgrade(registry) }
    }
}

impl fmt::Debug for ManifestCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestCache").finish_non_exhaustive()
    }
}

impl Collector for ManifestCache {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(registry) = self.registry.upgrade() else { return Ok(()) };
        let shared = registry.descriptor_cache_stats();
        if let Some(DescriptorCacheStats { is_available, .. }) = shared {
            let descriptor = encoder.encode_descriptor(
                "wharf_descriptor_cache_available",
                "1 while the shared descriptor cache can be had, otherwise 0.",
                None,
                MetricType::Gauge,
            )?;
            ConstGauge::new(i64::from(is_available)).encode(descriptor)?;
        }
        let CacheStats { requests, hits } = registry.manifest_cache_stats();
        let (requests, hits, errors) = shared
            .map_or((requests, hits, 0), |shared| (shared.requests, shared.hits, shared.errors));
        let misses = requests.saturating_sub(hits);
        for (name, help, value) in [
            ("requests", "The number of cache requests received.", requests),
            ("hits", "The number of cache requests that hit.", hits),
            ("errors", "The number of cache request errors.", errors),
        ] {
            let name = format!("registry_storage_cache_{name}");
            let descriptor = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(descriptor)?;
        }
        let help = "The number of cache requests received, by their outcome.";
        let mut descriptor =
            encoder.encode_descriptor("registry_storage_cache", help, None, MetricType::Counter)?;
        for (kind, value) in
            [("Request", requests), ("Hit", hits), ("Miss", misses), ("Error", errors)]
        {
            let labels = [("type", kind)];
            ConstCounter::new(value).encode(descriptor.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Whether the health checks are content.
#[derive(Debug)]
pub(super) struct Healthy {
    health: Arc<Health>,
}

impl Healthy {
    pub(super) fn new(health: &Arc<Health>) -> Self {
        Self { health: Arc::clone(health) }
    }
}

impl Collector for Healthy {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1 while no health check fails, otherwise 0.";
        let descriptor =
            encoder.encode_descriptor("wharf_healthy", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(self.health.is_healthy())).encode(descriptor)
    }
}

/// When the server's certificate expires.
pub(super) struct Certificate {
    expiry: Box<dyn Fn() -> Option<SystemTime> + Send + Sync>,
}

impl Certificate {
    pub(super) fn new(expiry: impl Fn() -> Option<SystemTime> + Send + Sync + 'static) -> Self {
        Self { expiry: Box::new(expiry) }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Collector for Certificate {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(expiry) = (self.expiry)() else { return Ok(()) };
        // A certificate from before 1970 has expired all the same.
        let seconds = expiry.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let descriptor = encoder.encode_descriptor(
            "wharf_tls_certificate_expiry_timestamp_seconds",
            "When the certificate that is served expires, in seconds since 1970.",
            None,
            MetricType::Gauge,
        )?;
        gauge(seconds).encode(descriptor)
    }
}

/// How an object store does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Requests to it since the start, repetitions among them.
    pub requests: u64,
    /// Those that failed: no connection, no answer in time, 5xx and 429.
    pub failures: u64,
    /// Those that were not made, since it had failed again and again.
    pub refused: u64,
    /// Whether it is left alone at this moment.
    pub is_left_alone: bool,
}

/// Shows a [`StoreHealth`].
pub(super) struct Store {
    health: Box<dyn Fn() -> StoreHealth + Send + Sync>,
}

impl Store {
    pub(super) fn new(health: impl Fn() -> StoreHealth + Send + Sync + 'static) -> Self {
        Self { health: Box::new(health) }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let health = (self.health)();
        for (name, help, value) in [
            ("requests", "Requests to the object store, repetitions included", health.requests),
            ("failures", "Requests to the object store that failed", health.failures),
            (
                "refused",
                "Requests to the object store that were not made, since it was left alone",
                health.refused,
            ),
        ] {
            let name = format!("wharf_store_{name}");
            let descriptor = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(descriptor)?;
        }
        let descriptor = encoder.encode_descriptor(
            "wharf_store_left_alone",
            "1 while the object store is left alone because it failed again and again, otherwise 0.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(i64::from(health.is_left_alone)).encode(descriptor)
    }
}

/// Shows what a scrub has found.
pub(super) struct Scrubbed {
    status: Box<dyn Fn() -> ScrubStatus + Send + Sync>,
}

impl Scrubbed {
    pub(super) fn new(status: impl Fn() -> ScrubStatus + Send + Sync + 'static) -> Self {
        Self { status: Box::new(status) }
    }
}

impl fmt::Debug for Scrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubbed").finish_non_exhaustive()
    }
}

impl Collector for Scrubbed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = (self.status)();
        for (name, help, value) in [
            ("blobs", "Blobs that this server's scrub has read", status.blobs),
            ("bytes", "Content that this server's scrub has read", status.bytes),
            ("failures", "Blobs that this server's scrub could not read", status.failures),
        ] {
            let name = format!("wharf_scrub_{name}");
            let descriptor = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(descriptor)?;
        }
        let last_pass = status
            .last_pass
            .map(|ended| ended.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        for (name, help, value) in [
            ("corrupt_blobs", "Blobs that are damaged.", Some(to_f64(status.corrupt_blobs))),
            (
                "structure_errors",
                "Errors of links and manifests that the last scrub has found.",
                Some(to_f64(status.structure_errors)),
            ),
            (
                "running",
                "1 while this server scrubs the storage, otherwise 0.",
                Some(f64::from(u8::from(status.is_running))),
            ),
            (
                "last_pass_timestamp_seconds",
                "When the storage was last read through, in seconds since 1970.",
                last_pass,
            ),
        ] {
            let Some(value) = value else { continue };
            let name = format!("wharf_scrub_{name}");
            let descriptor = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            gauge(value).encode(descriptor)?;
        }
        Ok(())
    }
}
