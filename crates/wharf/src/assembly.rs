//! Puts the parts of the server together, as the configuration wants them.

use std::sync::Arc;

use anyhow::Context as _;
use config::Config;
use notify::Notifier;
use objects::{AmazonNetworks, Objects};
use proxy::Mirror;
use redis_cache::RedisCache;
use registry::{Registry, Scrub};
use server::{AccessLog, App, Metrics, StoreHealth};

use crate::storage_driver::Opened;
use crate::syncing::Scheduled;
use crate::{
    authentication, descriptors, encryption, mirroring, notifications, options, redirects,
    scrubbing, shared_cache, storage_driver, syncing,
};

/// What runs and what others need to know of.
pub(crate) struct Parts {
    /// The HTTP API.
    pub(crate) app: Arc<App>,
    /// What connections are encrypted with.
    pub(crate) tls: Option<Arc<tls::Server>>,
    /// Who tells webhooks.
    pub(crate) notifier: Option<Arc<Notifier>>,
    /// The mirror of other registries.
    pub(crate) mirror: Option<Arc<Mirror>>,
    /// Who reads the storage through.
    pub(crate) scrub: Option<Arc<Scrub>>,
    /// What is copied from and to other registries.
    pub(crate) jobs: Vec<Arc<Scheduled>>,
    /// Networks whose clients are not sent to CloudFront.
    pub(crate) networks: Vec<Arc<AmazonNetworks>>,
}

/// Opens everything that the configuration names. `is_traced` says whether somebody wants spans.
///
/// # Errors
/// When something can't be used, with its key and the reason.
pub(crate) async fn assemble(config: &Config, is_traced: bool) -> anyhow::Result<Parts> {
    let tls = encryption::load(config)?;
    let Opened { driver, objects } = storage_driver::open(&config.storage).await?;
    let notifier = notifications::open(config)?;
    let cache = shared_cache::open(config)?;
    // Its operations are not among those that are timed: they wait on purpose.
    let scrub = scrubbing::open(config, &driver)?;
    let watched = Watched {
        notifier: notifier.as_deref(),
        tls: tls.as_ref(),
        objects,
        cache: cache.as_deref(),
        scrub: scrub.clone(),
    };
    let mut metrics = metrics(config, watched);
    let driver = storage_driver::observed(driver, metrics.as_ref(), is_traced);
    let redirects::Opened { redirects, networks } = redirects::open(config)?;
    let registry_options = registry::Options { redirects, ..options::registry(config) };
    let mut registry = Registry::new(driver, registry_options);
    if let Some(cache) = cache {
        registry = registry.with_descriptor_cache(cache);
    }
    let registry = Arc::new(registry);
    mirroring::announce(config);
    let mirror = mirroring::open(config, &registry)?;
    if let (Some(metrics), Some(mirror)) = (&mut metrics, &mirror) {
        metrics.watch_mirror(mirror);
    }
    let mut options = options::server(config)?;
    options.connections_max =
        descriptors::connections(options.connections_max, descriptors::raise());
    let mut app = App::new(registry, options);
    if config.log.access_log {
        app = app.with_access_log(AccessLog::stdout().context("access log")?);
    }
    let jobs = syncing::open(config, app.registry(), &app.write_gate())?;
    if let (Some(metrics), false) = (&mut metrics, jobs.is_empty()) {
        let synchronizers: Vec<_> = jobs.iter().map(|job| Arc::clone(&job.synchronizer)).collect();
        metrics.register(|registry| sync::register_metrics(registry, &synchronizers));
    }
    if let Some(watcher) = syncing::watcher(&jobs) {
        app = app.with_push_watcher(watcher);
    }
    if let Some(metrics) = metrics {
        app = app.with_metrics(metrics);
    }
    if let Some(authenticator) = authentication::open(config)? {
        app = app.with_authenticator(authenticator);
    }
    if let Some(mirror) = &mirror {
        app = app.with_mirror(Arc::clone(mirror));
    }
    if let Some(notifier) = &notifier {
        app = app.with_notifier(Arc::clone(notifier));
    }
    Ok(Parts { app: Arc::new(app), tls, notifier, mirror, scrub, jobs, networks })
}

/// Who has something to measure.
struct Watched<'a> {
    notifier: Option<&'a Notifier>,
    tls: Option<&'a Arc<tls::Server>>,
    objects: Option<Arc<Objects>>,
    cache: Option<&'a RedisCache>,
    scrub: Option<Arc<Scrub>>,
}

/// What is measured, where it can be seen: on the debug listener.
fn metrics(config: &Config, watched: Watched<'_>) -> Option<Metrics> {
    config.http.debug.as_ref().and(config.http.prometheus_path.as_ref())?;
    let mut metrics = Metrics::new();
    let Watched { notifier, tls, objects, cache, scrub } = watched;
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
    if let Some(scrub) = scrub {
        metrics.watch_scrub(move || scrub.status());
    }
    if let Some(notifier) = notifier {
        metrics.register(|registry| notifier.register_metrics(registry));
    }
    if let Some(cache) = cache {
        metrics.register(|registry| cache.register_metrics(registry));
    }
    Some(metrics)
}
