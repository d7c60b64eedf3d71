//! `wharf serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Config, Environment, Listen, Loaded, Located, locate};
use registry::Registry;
use server::{
    AccessLog, App, DebugOptions, Drained, ListenAddress, Listener, Metrics, StorageCheck, serve,
    serve_debug,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{data_location, find, load, refuse, report, say};
use crate::{logging, options, purging, shutdown, storage_driver};

/// `wharf serve`: everything from the configuration to the last answered request.
pub(crate) fn run(file: Option<&Path>) -> ExitCode {
    let environment = Environment::of_process();
    let (loaded, name) = match find(file, &environment) {
        Ok((source, name)) => (load(&source, &environment), name),
        Err(errors) => return report(&errors.errors),
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => {
            report(&errors);
            return refuse(format_args!("{name} can't be used; see the lines above"));
        }
    };
    if let Err(error) = logging::start(&loaded.config.log) {
        return refuse(format_args!("logging could not be started: {error:#}"));
    }
    let is_configured = locate(file, &environment) != Located::None;
    let served = runtime(&loaded.config)
        .and_then(|runtime| runtime.block_on(serve_until_told(&loaded, is_configured)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(format_args!("{error:#}")),
    }
}

/// The runtime. Its blocking threads are those of the filesystem driver.
fn runtime(config: &Config) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let config::Driver::Filesystem(filesystem) = &config.storage.driver {
        let threads = usize::try_from(filesystem.max_threads).unwrap_or(usize::MAX);
        builder.max_blocking_threads(threads.clamp(BLOCKING_THREADS_MIN, BLOCKING_THREADS_MAX));
    }
    builder.enable_all().build().context("the runtime could not be started")
}

/// Distribution's lower bound of `storage.filesystem.maxthreads`.
const BLOCKING_THREADS_MIN: usize = 25;
/// Each waiting thread costs a few pages.
const BLOCKING_THREADS_MAX: usize = 1024;

async fn serve_until_told(loaded: &Loaded, is_configured: bool) -> anyhow::Result<()> {
    let config = &loaded.config;
    for note in &loaded.notes {
        debug!("{note}");
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let shutdown = shutdown::requested().context("signals can't be received")?;
    let driver = storage_driver::open(&config.storage)?;
    let registry = Arc::new(Registry::new(driver, options::registry(config)));
    let app = Arc::new(app(config, Arc::clone(&registry))?);
    let listener = listener(config).await?;
    let stop = CancellationToken::new();
    let background = start_background(config, &app, &registry, &stop).await?;

    announce(config, &listener, is_configured);
    // Without systemd there is nobody to tell, which is no error.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let drained = serve(listener, Arc::clone(&app), async {
        shutdown.await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    })
    .await;
    if let Drained::Cut(connections) = drained {
        warn!(connections, "closed connections with requests unfinished (http.draintimeout)");
    }
    stop.cancel();
    for task in background {
        // It ends at the token; a panic in it was logged when it happened.
        let _ = task.await;
    }
    info!("stopped");
    Ok(())
}

fn app(config: &Config, registry: Arc<Registry>) -> anyhow::Result<App> {
    let mut app = App::new(registry, options::server(config)?);
    if config.log.access_log {
        app = app.with_access_log(AccessLog::stdout().context("access log")?);
    }
    if config.http.debug.is_some() && config.http.prometheus_path.is_some() {
        app = app.with_metrics(Metrics::new());
    }
    Ok(app)
}

async fn listener(config: &Config) -> anyhow::Result<Listener> {
    if let Some(inherited) = Listener::from_systemd()? {
        info!("listening on the socket that systemd passed; http.addr is not used");
        return Ok(inherited);
    }
    Ok(Listener::bind(&address(&config.http.listen)?).await?)
}

fn address(listen: &Listen) -> anyhow::Result<ListenAddress> {
    Ok(match listen {
        Listen::Unix(path) => ListenAddress::Unix(path.clone()),
        Listen::Tcp { host, port } => {
            let host = host.as_deref().unwrap_or_default();
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            ListenAddress::tcp(&format!("{host}:{port}"))?
        }
    })
}

/// Starts what runs beside the API until `stop`: the health check, the purge of uploads, and the
/// debug listener.
async fn start_background(
    config: &Config,
    app: &Arc<App>,
    registry: &Arc<Registry>,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<tokio::task::JoinHandle<()>>> {
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
        let listener =
            Listener::bind(&address(listen)?).await.context("http.debug.addr can't be used")?;
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

/// Says where the registry listens and where its data lies.
fn announce(config: &Config, listener: &Listener, is_configured: bool) {
    let data = data_location(config);
    info!(
        address = %listener,
        data = %data,
        version = env!("CARGO_PKG_VERSION"),
        "listening on {listener}"
    );
    // Standard output is the access log's; only somebody who tries wharf out is told what to do.
    if let (false, Ok(address)) = (is_configured, listener.local_address()) {
        say(&greeting(address, &data, &config.http.prefix));
    }
}

fn greeting(address: SocketAddr, data: &str, prefix: &str) -> String {
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    format!(
        "wharf {version} listens on {address}\n\
         data: {data}\n\
         try:  docker tag alpine {host}{prefix}/alpine && docker push {host}{prefix}/alpine\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_told_where_and_what_to_try() {
        for (address, host) in [
            ("[::]:5000", "localhost:5000"),
            ("0.0.0.0:5000", "localhost:5000"),
            ("127.0.0.1:5001", "localhost:5001"),
            ("192.0.2.7:5000", "192.0.2.7:5000"),
        ] {
            let text = greeting(address.parse().unwrap(), "/srv/wharf-data", "");
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[0].ends_with(&format!("listens on {address}")), "{text}");
            assert_eq!(lines[1], "data: /srv/wharf-data");
            assert!(lines[2].ends_with(&format!("docker push {host}/alpine")), "{text}");
        }
    }
}
