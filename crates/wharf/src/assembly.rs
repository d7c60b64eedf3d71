//! Puts the parts of the server together, as the configuration wants them.

use std::sync::Arc;

use anyhow::Context as _;
use config::Config;
use notify::Notifier;
use registry::Registry;
use server::{AccessLog, App, Metrics};
use storage::{Driver, Observed};

use crate::{authentication, encryption, notifications, options, storage_driver};

/// What runs and what others need to know of.
pub(crate) struct Parts {
    /// The HTTP API.
    pub(crate) app: Arc<App>,
    /// What connections are encrypted with.
    pub(crate) tls: Option<Arc<tls::Server>>,
    /// Who tells webhooks.
    pub(crate) notifier: Option<Arc<Notifier>>,
}

/// Opens everything that the configuration names.
///
/// # Errors
/// When something can't be used, with its key and the reason.
pub(crate) fn assemble(config: &Config) -> anyhow::Result<Parts> {
    let tls = encryption::load(config)?;
    let mut driver = storage_driver::open(&config.storage)?;
    let notifier = notifications::open(config)?;
    let metrics = metrics(config, &mut driver, notifier.as_deref());
    let registry = Arc::new(Registry::new(driver, options::registry(config)));
    let mut app = App::new(registry, options::server(config)?);
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

/// What is measured, where it can be seen: on the debug listener. The driver is watched then.
fn metrics(
    config: &Config,
    driver: &mut Arc<dyn Driver>,
    notifier: Option<&Notifier>,
) -> Option<Metrics> {
    config.http.debug.as_ref().and(config.http.prometheus_path.as_ref())?;
    let mut metrics = Metrics::new();
    let observer = metrics.storage_observer(driver.name());
    *driver = Arc::new(Observed::new(Arc::clone(driver), Some(observer)));
    if let Some(notifier) = notifier {
        metrics.register(|registry| notifier.register_metrics(registry));
    }
    Some(metrics)
}
