//! What runs beside the API.

use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context as _;
use auth::Authenticator;
use config::{Config, Health};
use serde_json::json;
use server::{DebugOptions, Listener, StorageCheck, serve_debug};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::assembly::Parts;
use crate::{listening, purging, shutdown};

/// A task that runs until it is dropped.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts what runs beside the API until `stop`: health checks, the purge of uploads, whatever
/// follows files, and the debug listener.
///
/// # Errors
/// When the debug listener's address can't be used.
pub(crate) async fn start(
    config: &Config,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut tasks = health_checks(&config.health, parts);
    let purging = config.storage.upload_purging.clone();
    if purging.enabled && !config.storage.read_only {
        tasks.push(Box::pin(purging::run(Arc::clone(parts.app.registry()), purging)));
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
    running.extend(debug_server(config, parts, stop).await?);
    Ok(running)
}

/// SIGHUP has certificates read anew at once; other files are looked at as they are used.
fn on_hangup(parts: &Parts) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let tls = parts.tls.clone();
    shutdown::on_hangup(move || {
        if let Some(tls) = &tls {
            tls.reload();
        }
    })
    .context("signals can't be received")
}

fn health_checks(health: &Health, parts: &Parts) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    if let Some(check) = &health.storage_driver {
        let threshold = u32::try_from(check.threshold).unwrap_or(u32::MAX);
        let check = StorageCheck { interval: check.interval, threshold };
        let driver = Arc::clone(parts.app.registry().driver());
        tasks.push(Box::pin(Arc::clone(parts.app.health()).watch_storage(driver, check)));
    }
    tasks
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
