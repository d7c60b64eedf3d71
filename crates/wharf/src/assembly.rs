//! Puts the parts of the server together, as the configuration wants them.

use std::sync::Arc;

use anyhow::Context as _;
use config::Config;
use notify::Notifier;
use objects::Objects;
use registry::Registry;
use server::{AccessLog, App, Metrics, StoreHealth};

use crate::storage_driver::Opened;
use crate::{authentication, descriptors, encryption, notifications, options, storage_driver};

/// What runs and what others need to know of.
pub(crate) struct Parts {
    /// The HTTP API.
    pub(crate) app: Arc<App>,
    /// What connections are encrypted with.
    pub(crate) tls: Option<Arc<tls::Server>>,
    /// Who tells webhooks.
    pub(crate) notifier: Option<Arc<Notifier>>,
}

/// Opens everything that the configuration names. `is_traced` says whether somebody wants spans.
///
/// # Errors
/// When something can't be used, with its key and the reason.
pub(crate) async fn assemble(config: &Config, is_traced: bool) -> anyhow::Result<Parts> {
    let tls = encryption::load(config)?;
    let Opened { driver, objects } = storage_driver::open(&config.storage).await?;
    let notifier = notifications::open(config)?;
    let metrics = metrics(config, notifier.as_deref(), tls.as_ref(), objects);
    let driver = storage_driver::observed(driver, metrics.as_ref(), is_traced);
    let registry = Arc::new(Registry::new(driver, options::registry(config)));
    let mut options = options::server(config)?;
    options.connections_max =
        descriptors::connections(options.connections_max, descriptors::raise());
    let mut app = App::new(registry, options);
    if config.log.access_log {
        app = app.with_access_log(AccessLog::stdout().context("access log")?);
    }
    if let Some(metrics) = metrics {
        app = app.with_metrics(metrics);
    }
    if let Some(authenticator) = authentication::open(config)? {
        app = app.with_authenticator(authenticator);
    }
    if let Some(notifier) = &notifier {
        app = app.with_notifier(Arc::clone(notifier));
    }
    Ok(Parts { app: Arc::new(app), tls, notifier })
}

/// What is measured, where it can be seen: on the debug listener.
fn metrics(
    config: &Config,
    notifier: Option<&Notifier>,
    tls: Option<&Arc<tls::Server>>,
    objects: Option<Arc<Objects>>,
) -> Option<Metrics> {
    config.http.debug.as_ref().and(config.http.prometheus_path.as_ref())?;
    let mut metrics = Metrics::new();
    if let Some(tls) = tls.cloned() {
        metrics.watch_certificate(move || tls.expires());
    }
    if let Some(objects) = objects {
        metrics.watch_store(move || {
            let objects::StoreHealth { requests, failures, refused, is_left_alone } =
                objects.health();
            StoreHealth { requests, failures, refused, is_left_alone }
        });
    }
    if let Some(notifier) = notifier {
        metrics.register(|registry| notifier.register_metrics(registry));
    }
    Some(metrics)
}
