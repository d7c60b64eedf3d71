//! Sends batches of spans on the runtime, and says once when that stops or begins to work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_otlp::WithTonicConfig as _;
use opentelemetry_otlp::tonic_types::transport::{Certificate as GrpcCertificate, ClientTlsConfig};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use reqwest::{Certificate, ClientBuilder};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::client::{Client, LastFailure};
use super::settings::Settings;

/// How long the retries of the inner exporter may go on beyond the timeout of one export.
const GRACE: Duration = Duration::from_secs(1);

/// The batches come from a thread of the SDK's own, which may wait; its queue is bounded, and what
/// comes while it is full is dropped. The sending itself needs the runtime.
#[derive(Debug)]
pub(super) struct Exporter {
    inner: Arc<SpanExporter>,
    runtime: Handle,
    timeout: Duration,
    reports: Reports,
}

impl Exporter {
    pub(super) fn new(settings: &Settings, runtime: &Handle) -> anyhow::Result<Self> {
        // tonic looks for its runtime when the channel is made.
        let _entered = runtime.enter();
        let failure = LastFailure::default();
        let inner = match settings.protocol {
            Protocol::Grpc => grpc(settings)?,
            _ => http(settings, failure.clone())?,
        };
        Ok(Self {
            inner: Arc::new(inner),
            runtime: runtime.clone(),
            timeout: settings.timeout + GRACE,
            reports: Reports { destination: settings.destination(), failure, ..Reports::default() },
        })
    }
}

/// Endpoint, headers and timeout are read from the variables by the library; `Settings` has made
/// sure that they make sense.
fn http(settings: &Settings, failure: LastFailure) -> anyhow::Result<SpanExporter> {
    let certificates = match &settings.certificate_pem {
        Some(pem) => Certificate::from_pem_bundle(pem).context("OTEL_EXPORTER_OTLP_CERTIFICATE")?,
        None => Vec::new(),
    };
    let client = outbound::client(&settings.url()?, |builder| {
        let builder = builder
            .timeout(settings.timeout)
            // The headers may hold secrets, which are for the configured host alone.
            .redirect(reqwest::redirect::Policy::none());
        certificates.iter().cloned().fold(builder, ClientBuilder::add_root_certificate)
    })?;
    Ok(SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(settings.timeout)
        .with_http_client(Client { inner: client, failure })
        .build()?)
}

fn grpc(settings: &Settings) -> anyhow::Result<SpanExporter> {
    let mut builder = SpanExporter::builder().with_tonic().with_timeout(settings.timeout);
    if settings.is_encrypted() {
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(pem) = &settings.certificate_pem {
            tls = tls.ca_certificate(GrpcCertificate::from_pem(pem));
        }
        builder = builder.with_tls_config(tls);
    }
    Ok(builder.build()?)
}

impl opentelemetry_sdk::trace::SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let (inner, timeout) = (Arc::clone(&self.inner), self.timeout);
        let sending = self
            .runtime
            .spawn(async move { tokio::time::timeout(timeout, inner.export(batch)).await });
        let result = match sending.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(OTelSdkError::Timeout(timeout)),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        };
        self.reports.note(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nothing is being sent before the first batch, so nobody else has it.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}

/// What the log is told: each change from working to failing and back, and nothing in between.
#[derive(Debug, Default)]
struct Reports {
    destination: String,
    /// Why, where the error does not say it.
    failure: LastFailure,
    failing: AtomicBool,
    lost_spans: AtomicU64,
}

impl Reports {
    fn note(&self, spans: u64, result: &OTelSdkResult) {
        let destination = &self.destination;
        match result {
            Ok(()) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    let lost_spans = self.lost_spans.swap(0, Ordering::Relaxed);
                    info!(destination, lost_spans, "traces are being sent again");
                }
            }
            Err(error) => {
                self.lost_spans.fetch_add(spans, Ordering::Relaxed);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    let reason = self.failure.take();
                    warn!(
                        destination,
                        %error,
                        reason,
                        "traces can't be sent; they are lost until that changes, which will be \
                         logged"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use tracing_subscriber::layer::{Context, SubscriberExt as _};

    use super::*;

    #[derive(Default, Clone)]
    struct Levels(Arc<Mutex<Vec<tracing::Level>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Levels {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            levels.push(*event.metadata().level());
        }
    }

    #[test]
    fn only_changes_are_logged() {
        let levels = Levels::default();
        let subscriber = tracing_subscriber::registry().with(levels.clone());
        tracing::subscriber::with_default(subscriber, || {
            let reports = Reports::default();
            let failure = || Err(OTelSdkError::InternalFailure("refused".into()));
            for result in [Ok(()), failure(), failure(), failure(), Ok(()), Ok(()), failure()] {
                reports.note(1, &result);
            }
        });
        let seen = levels.0.lock().unwrap().clone();
        assert_eq!(seen, [tracing::Level::WARN, tracing::Level::INFO, tracing::Level::WARN]);
    }
}
