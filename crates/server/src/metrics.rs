//! Prometheus metrics, under Distribution's names where it has one. The table of all of them is in
//! `docs/observability.md`.

use std::sync::Arc;
use std::time::SystemTime;

use auth::Refusal;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use ::registry::ScrubStatus;

use crate::exchange::Record;
use crate::free_space::FreeSpaceGuard;
use crate::health::Health;
use crate::read_only::ReadOnly;

mod classic;
mod collections;
mod format;
mod http;
mod maintenance;
mod mirror;
mod process;
mod scraped;
mod storage;

pub(crate) use format::Format;
pub(crate) use http::InFlight;
pub(crate) use process::as_json as process_as_json;
pub use scraped::StoreHealth;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByVersion {
    version: &'static str,
}

/// What is counted and measured. Made first, handed to whoever has something to register, and then
/// given to [`App::with_metrics`](crate::App::with_metrics).
pub struct Metrics {
    registry: Registry,
    http: http::HttpMetrics,
    storage: storage::StorageMetrics,
    authentication_failures: Family<ByReason, Counter>,
    rate_limited: Counter,
    received_bytes: Counter,
    sent_bytes: Counter,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let http = http::HttpMetrics::register(registry.sub_registry_with_prefix("registry_http"));
        let storage = storage::StorageMetrics::register(&mut registry);
        registry.register_collector(Box::new(process::Process));

        let own = registry.sub_registry_with_prefix("wharf");
        let build = Family::<ByVersion, Gauge>::default();
        build.get_or_create(&ByVersion { version: env!("CARGO_PKG_VERSION") }).set(1);
        own.register("build_info", "The version of wharf that runs", build);
        let authentication_failures = Family::default();
        own.register(
            "authentication_failures",
            "Requests that were refused because of their credentials, by what was wrong",
            authentication_failures.clone(),
        );
        let counter = |own: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            own.register(name, help, counter.clone());
            counter
        };
        let rate_limited =
            counter(own, "rate_limited_requests", "Requests that were answered with 429");
        let received_bytes =
            counter(own, "received_bytes", "Bytes of request bodies, counted as they come");
        let sent_bytes = counter(own, "sent_bytes", "Bytes of response bodies, counted as they go");
        Self {
            registry,
            http,
            storage,
            authentication_failures,
            rate_limited,
            received_bytes,
            sent_bytes,
        }
    }
}

impl Metrics {
    /// The metrics of requests and of this process. Nothing is shown before
    /// [`App::with_metrics`](crate::App::with_metrics) has them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets somebody else register metrics of their own. Names that are there already must not be
    /// registered again.
    pub fn register(&mut self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry);
    }

    /// Who measures a driver's operations, for [`storage::Observed`](::storage::Observed).
    /// `driver` is its name in the configuration.
    #[must_use]
    pub fn storage_observer(&self, driver: &'static str) -> Arc<dyn ::storage::Observer> {
        Arc::new(self.storage.observer(driver))
    }

    /// Shows when the server's certificate expires: `expiry` is asked at every scrape, and has
    /// nothing to say while there is no certificate. With several it is the earliest that counts.
    pub fn watch_certificate(
        &mut self,
        expiry: impl Fn() -> Option<SystemTime> + Send + Sync + 'static,
    ) {
        self.registry.register_collector(Box::new(scraped::Certificate::new(expiry)));
    }

    /// Shows how an object store does: `health` is asked at every scrape.
    pub fn watch_store(&mut self, health: impl Fn() -> StoreHealth + Send + Sync + 'static) {
        self.registry.register_collector(Box::new(scraped::Store::new(health)));
    }

    /// Shows what is asked of upstreams.
    pub fn watch_mirror(&mut self, mirror: &Arc<proxy::Mirror>) {
        self.registry.register_collector(Box::new(mirror::Mirrored::new(mirror)));
    }

    /// Shows what a scrub of the storage has found: `status` is asked at every scrape.
    pub fn watch_scrub(&mut self, status: impl Fn() -> ScrubStatus + Send + Sync + 'static) {
        self.registry.register_collector(Box::new(scraped::Scrubbed::new(status)));
    }

    /// Shows what a registry and the health checks have to say.
    pub(crate) fn watch(&mut self, registry: &Arc<::registry::Registry>, health: &Arc<Health>) {
        self.registry.register_collector(Box::new(scraped::ManifestCache::new(registry)));
        self.registry.register_collector(Box::new(collections::Collections::new(registry)));
        self.registry.register_collector(Box::new(scraped::Healthy::new(health)));
    }

    /// Shows whether the registry can be written to, and how much room there is.
    pub(crate) fn watch_maintenance(
        &mut self,
        read_only: &Arc<ReadOnly>,
        free_space: &Arc<FreeSpaceGuard>,
    ) {
        let collector = maintenance::Maintenance::new(read_only, free_space);
        self.registry.register_collector(Box::new(collector));
    }

    /// Everything, as text.
    ///
    /// # Errors
    /// Never in practice: writing to a string can't fail.
    pub(crate) fn encode(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Classic => classic::from_open_metrics(&text),
        })
    }

    /// Counts a request in, until the result is dropped.
    pub(crate) fn started(&self, handler: &'static str) -> InFlight {
        self.http.started(handler)
    }

    /// Measures a request that has been answered.
    pub(crate) fn finished(&self, record: &Record) {
        self.http.finished(record);
        if record.status == ::http::StatusCode::TOO_MANY_REQUESTS {
            self.rate_limited.inc();
        }
    }

    /// Counts a request whose sender was not let in.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        let reason = match refusal {
            Refusal::Unauthorized(refused) => refused.kind,
            Refusal::TooManyFailures { .. } => "too_many_failures",
            _ => "unavailable",
        };
        self.authentication_failures.get_or_create(&ByReason { reason }).inc();
    }

    /// What counts the bytes of request bodies.
    pub(crate) fn received_bytes(&self) -> &Counter {
        &self.received_bytes
    }

    /// What counts the bytes of response bodies.
    pub(crate) fn sent_bytes(&self) -> &Counter {
        &self.sent_bytes
    }
}

/// Writes down gauges that are looked up at the scrape, each with its name and what it means; those
/// without a value are left out.
fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    rows: impl IntoIterator<Item = (&'a str, &'a str, Option<f64>)>,
) -> std::fmt::Result {
    for (name, help, value) in rows {
        let Some(value) = value else { continue };
        let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(descriptor)?;
    }
    Ok(())
}

/// Writes down counters that are kept elsewhere, each with its name and what it means.
fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    rows: impl IntoIterator<Item = (&'a str, &'a str, u64)>,
) -> std::fmt::Result {
    for (name, help, value) in rows {
        let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(descriptor)?;
    }
    Ok(())
}

/// Writes down a counter of several kinds.
fn counter_by<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &'static str,
    rows: impl IntoIterator<Item = (&'a str, u64)>,
) -> std::fmt::Result {
    let mut descriptor = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (kind, value) in rows {
        ConstCounter::new(value).encode(descriptor.encode_family(&[(label, kind)])?)?;
    }
    Ok(())
}

/// Writes down a gauge that is 1 for what is so, otherwise 0.
fn flag(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    is_so: bool,
) -> std::fmt::Result {
    let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::from(is_so)).encode(descriptor)
}

/// Counts and sizes beyond 2^53 do not occur.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn to_f64(number: u64) -> f64 {
    number as f64
}
