//! Traces over OTLP, as OpenTelemetry's standard variables ask for them.
//!
//! What is traced is decided by `server::trace` and `storage::observed`, which make ordinary
//! `tracing` spans; this sends them. Nothing is started unless an endpoint is set.

mod client;
mod exporter;
mod settings;

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use settings::Settings;

use crate::logging;

/// How long the last spans may take to get out when wharf stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the log as configured, and traces if the environment asks for them.
///
/// # Errors
/// When a variable makes no sense, with its name, or the log can't be started.
pub(crate) fn start(log: &config::Log, runtime: &Handle) -> anyhow::Result<Option<Telemetry>> {
    let asked = Settings::read(|name| std::env::var(name).ok())?;
    let telemetry =
        asked.settings.as_ref().map(|settings| Telemetry::start(settings, runtime)).transpose()?;
    logging::start(log, telemetry.as_ref()).context("logging could not be started")?;
    for warning in asked.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(settings) = &asked.settings {
        tracing::info!(destination = settings.destination(), "sending traces");
    }
    Ok(telemetry)
}

/// Sends spans until it is told to stop.
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
    tracer: Tracer,
}

impl Telemetry {
    /// Starts the exporter. Nothing is sent before the first span, so that a collector that is not
    /// there yet is no reason not to start.
    ///
    /// # Errors
    /// When the exporter can't be made from the settings, such as with an unreadable certificate.
    fn start(settings: &Settings, runtime: &Handle) -> anyhow::Result<Self> {
        let exporter = exporter::Exporter::new(settings, runtime)
            .context("the exporter of traces could not be made")?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(settings.sampler.clone())
            .with_resource(resource(settings))
            .build();
        if settings.propagates {
            global::set_text_map_propagator(TraceContextPropagator::new());
        }
        let tracer = provider.tracer("wharf");
        Ok(Self { provider, tracer })
    }

    /// What listens for spans. It has a filter of its own: which lines are logged does not decide
    /// about what is traced, and the spans of libraries stay out.
    pub(crate) fn layer<S>(&self) -> impl Layer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let ours = filter_fn(|metadata| {
            metadata.is_span()
                && matches!(metadata.target(), server::SPAN_TARGET | storage::observed::SPAN_TARGET)
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, for a bounded time. Blocks, so it must not be called on the runtime.
    pub(crate) fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Who the spans are from: what the variables say, and the version.
fn resource(settings: &Settings) -> Resource {
    let builder = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match settings.names_service {
        true => builder.build(),
        false => builder.with_service_name("wharf").build(),
    }
}
