//! What runs beside the API.

use std::sync::Arc;

use anyhow::Context as _;
use config::Config;
use registry::Registry;
use server::{App, DebugOptions, Listener, StorageCheck, serve_debug};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{listening, purging};

/// Starts what runs beside the API until `stop`: the health check, the purge of uploads, and the
/// debug listener.
pub(crate) async fn start(
    config: &Config,
    app: &Arc<App>,
    registry: &Arc<Registry>,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut tasks = Vec::new();
    let mut until_stopped = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let stop = stop.clone();
        tasks.push(tokio::spawn(async move {
            stop.run_until_cancelled(task).await;
        }));
    };
    if let Some(check) = &config.health.storage_driver {
        let threshold = u32::try_from(check.threshold).unwrap_or(u32::MAX);
        let check = StorageCheck { interval: check.interval, threshold };
        let driver = Arc::clone(registry.driver());
        until_stopped(Box::pin(Arc::clone(app.health()).watch_storage(driver, check)));
    }
    let purging = config.storage.upload_purging.clone();
    if purging.enabled && !config.storage.read_only {
        until_stopped(Box::pin(purging::run(Arc::clone(registry), purging)));
    }
    if let Some(listen) = &config.http.debug {
        let listener = Listener::bind(&listening::address(listen)?)
            .await
            .context("http.debug.addr can't be used")?;
        info!(address = %listener, "debug server listening");
        let options = DebugOptions {
            metrics_path: config.http.prometheus_path.clone(),
            ..DebugOptions::default()
        };
        let stopped = stop.clone().cancelled_owned();
        tasks.push(tokio::spawn(serve_debug(listener, Arc::clone(app), options, stopped)));
    }
    Ok(tasks)
}
