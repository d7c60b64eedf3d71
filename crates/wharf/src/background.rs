//! What runs beside the API.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use auth::Authenticator;
use config::{Config, Health, Secret};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use server::{App, Check, DebugOptions, HttpCheck, Listener, Schedule, serve_debug};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::assembly::Parts;
use crate::{
    aside, collecting, evicting, listening, mirroring, presence, purging, retention, scrubbing,
    shutdown, syncing,
};

/// A task that runs until it is dropped.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts what runs beside the API until `stop`: health checks, the purge of uploads, the scrub,
/// jobs that replicate, whatever follows files, and the debug listener.
///
/// # Errors
/// When the debug listener's address can't be used, or a health check can't be made.
pub(crate) async fn start(
    config: &Config,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut tasks = health_checks(&config.health, parts)?;
    // Before the first request, unless the storage keeps one waiting.
    let looking = parts.app.look_after_storage();
    let _ = tokio::time::timeout(STORAGE_LOOK_INTERVAL, looking).await;
    tasks.push(Box::pin(look_after_storage(Arc::clone(&parts.app))));
    let purging = config.storage.upload_purging.clone();
    if purging.enabled && !config.storage.read_only {
        let registry = Arc::clone(parts.app.registry());
        let run = move || purging::run(Arc::clone(&registry), purging.clone());
        tasks.push(Box::pin(while_writable(Arc::clone(&parts.app), run)));
    }
    if let Some(scrub) = &parts.scrub {
        let health = Arc::clone(parts.app.health());
        tasks.push(Box::pin(scrubbing::run(Arc::clone(scrub), health)));
    }
    for networks in &parts.networks {
        let networks = Arc::clone(networks);
        tasks.push(Box::pin(async move { networks.run().await }));
    }
    if let Some(tls) = &parts.tls {
        tasks.push(Box::pin(Arc::clone(tls).watch()));
    }
    tasks.push(Box::pin(on_hangup(parts)?));
    if let Some(Authenticator::Token(token)) = parts.app.authenticator() {
        tasks.push(Box::pin(token.refresh_forever()));
    }
    let mut running: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let stop = stop.clone();
            tokio::spawn(async move {
                stop.run_until_cancelled(task).await;
            })
        })
        .collect();
    running.extend(collector(config, parts, stop)?);
    running.extend(evictor(config, parts, stop)?);
    if !config.storage.read_only && !matches!(config.storage.driver, config::Driver::InMemory) {
        let driver = Arc::clone(parts.app.registry().driver());
        let stopped = stop.clone().cancelled_owned();
        running.push(tokio::spawn(presence::run(driver, config.storage.gc.grace, stopped)));
    }
    if !config.storage.read_only {
        let stopped = stop.clone().cancelled_owned();
        running.push(tokio::spawn(retention::note_pulls(Arc::clone(&parts.app), stopped)));
    }
    if let Some(mirror) = parts.mirror.as_ref().filter(|_| mirroring::fetches_ahead(config)) {
        let app = Arc::clone(&parts.app);
        let may_store = move || app.keeps_what_it_fetches();
        let stopped = stop.clone().cancelled_owned();
        running.push(tokio::spawn(Arc::clone(mirror).fetch_ahead(may_store, stopped)));
    }
    if !config.storage.read_only {
        running.extend(parts.jobs.iter().map(|job| {
            let run = syncing::run(Arc::clone(job), Arc::clone(&parts.app), stop.clone());
            tokio::spawn(run)
        }));
    }
    running.extend(debug_server(config, parts, stop).await?);
    Ok(running)
}

/// Starts whoever collects the garbage, if that is wanted.
fn collector(
    config: &Config,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if !config.storage.gc.enabled || config.storage.read_only {
        return Ok(None);
    }
    let (registry, config) = (Arc::clone(parts.app.registry()), config.clone());
    let rules = retention::rules(&config)?;
    let cached = mirroring::selection(&config)?;
    let run = move || {
        collecting::run(Arc::clone(&registry), config.clone(), rules.clone(), cached.clone())
    };
    beside_requests("collector", parts, stop, run).map(Some)
}

/// Starts whoever evicts what is cached, if anything of it ever goes.
fn evictor(
    config: &Config,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if !evicting::is_wanted(config) || config.storage.read_only {
        return Ok(None);
    }
    let registry = Arc::clone(parts.app.registry());
    let eviction = evicting::eviction(config, &registry, false)?;
    let eviction = Arc::new(eviction.with_observer(Arc::new(evicting::log)));
    let run = move || evicting::run(Arc::clone(&registry), Arc::clone(&eviction));
    beside_requests("evictor", parts, stop, run).map(Some)
}

/// Runs what walks the storage, while that may be written to. On a disk it works aside; where each
/// step is a request to another machine, it hardly needs a processor, and shares the connections
/// with everybody else.
fn beside_requests<T>(
    name: &str,
    parts: &Parts,
    stop: &CancellationToken,
    run: impl Fn() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<()>>
where
    T: Future<Output = ()> + Send + 'static,
{
    let is_remote = parts.app.registry().driver().is_remote();
    let work = while_writable(Arc::clone(&parts.app), run);
    let stop = stop.clone();
    let work = async move {
        stop.run_until_cancelled(work).await;
    };
    Ok(match is_remote {
        true => tokio::spawn(work),
        false => aside::spawn(name, work).with_context(|| format!("the {name} can't start"))?,
    })
}

/// How often it is looked whether the storage was switched to read-only, and how much of it is free:
/// that it is noticed within five seconds is promised.
const STORAGE_LOOK_INTERVAL: Duration = Duration::from_secs(3);

async fn look_after_storage(app: Arc<App>) {
    loop {
        tokio::time::sleep(STORAGE_LOOK_INTERVAL).await;
        app.look_after_storage().await;
    }
}

/// How often work that writes looks whether it may.
const WRITABLE_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs what writes of its own accord, but not in read-only mode: it is dropped when that begins,
/// and made anew when it ends.
async fn while_writable<T>(app: Arc<App>, run: impl Fn() -> T)
where
    T: Future<Output = ()>,
{
    let until = async |is_on: bool| {
        while app.read_only().is_on() != is_on {
            tokio::time::sleep(WRITABLE_LOOK_INTERVAL).await;
        }
    };
    loop {
        until(false).await;
        tokio::select! {
            () = run() => return,
            () = until(true) => {}
        }
    }
}

/// SIGHUP has certificates read anew at once; other files are looked at as they are used.
fn on_hangup(parts: &Parts) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let tls = parts.tls.clone();
    shutdown::on_hangup(move || {
        if let Some(tls) = tls.clone() {
            // It reads files, which may hang. Logs what came of it.
            tokio::task::spawn_blocking(move || tls.reload());
        }
    })
    .context("signals can't be received")
}

fn health_checks(health: &Health, parts: &Parts) -> anyhow::Result<Vec<Task>> {
    let schedule = |interval, threshold: u64| Schedule {
        interval,
        threshold: u32::try_from(threshold).unwrap_or(u32::MAX),
    };
    let mut checks = Vec::new();
    if let Some(check) = &health.storage_driver {
        let driver = Arc::clone(parts.app.registry().driver());
        checks.push(Check::storage(driver, schedule(check.interval, check.threshold)));
    }
    for check in &health.file {
        checks.push(Check::file(check.file.clone(), check.interval));
    }
    for check in &health.http {
        checks.push(Check::http(HttpCheck {
            uri: check.uri.reveal().to_owned(),
            headers: header_map(&check.headers)?,
            // A status that does not exist is never answered.
            status_code: u16::try_from(check.status_code).unwrap_or(u16::MAX),
            timeout: check.timeout,
            schedule: schedule(check.interval, check.threshold),
        })?);
    }
    for check in &health.tcp {
        let schedule = schedule(check.interval, check.threshold);
        checks.push(Check::tcp(check.addr.clone(), check.timeout, schedule));
    }
    let watch = |check| -> Task { Box::pin(Arc::clone(parts.app.health()).watch(check)) };
    Ok(checks.into_iter().map(watch).collect())
}

/// The headers of a health check. Their values may be credentials, so errors name only the header.
fn header_map(headers: &[(String, Vec<Secret>)]) -> anyhow::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, values) in headers {
        let key = HeaderName::try_from(name)
            .with_context(|| format!("health.http: headers: \"{name}\" is no header's name"))?;
        for value in values {
            let mut value = HeaderValue::from_str(value.reveal()).with_context(|| {
                format!("health.http: headers: the value of \"{name}\" can't be sent")
            })?;
            value.set_sensitive(true);
            map.append(key.clone(), value);
        }
    }
    Ok(map)
}

async fn debug_server(
    config: &Config,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(listen) = &config.http.debug else { return Ok(None) };
    let address = listening::address(listen)?;
    let listener = Listener::bind(&address).await.context("http.debug.addr can't be used")?;
    info!(address = %listener, "debug server listening");
    let notifier = parts.notifier.clone();
    let options = DebugOptions {
        metrics_path: config.http.prometheus_path.clone(),
        registry_vars: Some(Arc::new(move || {
            let endpoints = notifier.as_ref().map_or_else(|| json!([]), |notifier| notifier.vars());
            json!({ "notifications": { "endpoints": endpoints } })
        })),
    };
    let stopped = stop.clone().cancelled_owned();
    Ok(Some(tokio::spawn(serve_debug(listener, Arc::clone(&parts.app), options, stopped))))
}
