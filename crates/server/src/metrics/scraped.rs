//! What is looked up when somebody scrapes, because it is counted elsewhere.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use registry::descriptors::DescriptorCacheStats;
use registry::{CacheStats, Registry, ScrubStatus};

use super::{counter_by, counters, flag, gauges, to_f64};
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
            let help = "1 while the shared descriptor cache can be had, otherwise 0.";
            flag(&mut encoder, "wharf_descriptor_cache_available", help, is_available)?;
        }
        let CacheStats { requests, hits } = registry.manifest_cache_stats();
        let (requests, hits, errors) = shared
            .map_or((requests, hits, 0), |shared| (shared.requests, shared.hits, shared.errors));
        let misses = requests.saturating_sub(hits);
        let rows = [
            ("registry_storage_cache_requests", "The number of cache requests received.", requests),
            ("registry_storage_cache_hits", "The number of cache requests that hit.", hits),
            ("registry_storage_cache_errors", "The number of cache request errors.", errors),
        ];
        counters(&mut encoder, rows)?;
        counter_by(
            &mut encoder,
            ("registry_storage_cache", "The number of cache requests received, by their outcome."),
            "type",
            [("Request", requests), ("Hit", hits), ("Miss", misses), ("Error", errors)],
        )
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
        flag(&mut encoder, "wharf_healthy", help, self.health.is_healthy())
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
        let row = (
            "wharf_tls_certificate_expiry_timestamp_seconds",
            "When the certificate that is served expires, in seconds since 1970.",
            Some(seconds),
        );
        gauges(&mut encoder, [row])
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
        let rows = [
            (
                "wharf_store_requests",
                "Requests to the object store, repetitions included",
                health.requests,
            ),
            ("wharf_store_failures", "Requests to the object store that failed", health.failures),
            (
                "wharf_store_refused",
                "Requests to the object store that were not made, since it was left alone",
                health.refused,
            ),
        ];
        counters(&mut encoder, rows)?;
        let help = "1 while the object store is left alone because it failed again and again, otherwise 0.";
        flag(&mut encoder, "wharf_store_left_alone", help, health.is_left_alone)
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
        let rows = [
            ("wharf_scrub_blobs", "Blobs that this server's scrub has read", status.blobs),
            ("wharf_scrub_bytes", "Content that this server's scrub has read", status.bytes),
            (
                "wharf_scrub_failures",
                "Blobs that this server's scrub could not read",
                status.failures,
            ),
        ];
        counters(&mut encoder, rows)?;
        let last_pass = status
            .last_pass
            .map(|ended| ended.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        let rows = [
            (
                "wharf_scrub_corrupt_blobs",
                "Blobs that are damaged.",
                Some(to_f64(status.corrupt_blobs)),
            ),
            (
                "wharf_scrub_structure_errors",
                "Errors of links and manifests that the last scrub has found.",
                Some(to_f64(status.structure_errors)),
            ),
            (
                "wharf_scrub_running",
                "1 while this server scrubs the storage, otherwise 0.",
                Some(f64::from(u8::from(status.is_running))),
            ),
            (
                "wharf_scrub_last_pass_timestamp_seconds",
                "When the storage was last read through, in seconds since 1970.",
                last_pass,
            ),
        ];
        gauges(&mut encoder, rows)
    }
}
