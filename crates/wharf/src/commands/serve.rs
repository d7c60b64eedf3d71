//! `wharf serve`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use config::{Config, Environment, Loaded, Located, locate};
use server::{Drained, serve};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{find, load, refuse, report, with_causes};
use crate::{assembly, background, listening, shutdown, telemetry};

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
    let is_configured = locate(file, &environment) != Located::None;
    match run_loaded(&loaded, is_configured) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(with_causes(&error)),
    }
}

fn run_loaded(loaded: &Loaded, is_configured: bool) -> anyhow::Result<()> {
    let runtime = runtime(&loaded.config)?;
    let telemetry = telemetry::start(&loaded.config.log, runtime.handle())?;
    let served = runtime.block_on(serve_until_told(loaded, is_configured, telemetry.is_some()));
    if let Some(telemetry) = telemetry {
        telemetry.stop();
    }
    served
}

/// The runtime. Its blocking threads are those of the filesystem driver.
fn runtime(config: &Config) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let config::Driver::Filesystem(filesystem) = &config.storage.driver {
        let threads = usize::try_from(filesystem.max_threads).unwrap_or(usize::MAX);
        let threads = threads.clamp(BLOCKING_THREADS_MIN, BLOCKING_THREADS_MAX);
        builder.max_blocking_threads(threads + storage::filesystem::feeders_max());
    }
    builder.thread_keep_alive(BLOCKING_THREAD_KEEP_ALIVE);
    builder.enable_all().build().context("the runtime could not be started")
}

/// Distribution's lower bound of `storage.filesystem.maxthreads`.
const BLOCKING_THREADS_MIN: usize = 25;
/// Each waiting thread costs a few pages.
const BLOCKING_THREADS_MAX: usize = 1024;
/// How long a thread without work stays. A load that pauses for less finds it again.
const BLOCKING_THREAD_KEEP_ALIVE: Duration = Duration::from_secs(3);

async fn serve_until_told(
    loaded: &Loaded,
    is_configured: bool,
    is_traced: bool,
) -> anyhow::Result<()> {
    let config = &loaded.config;
    for note in &loaded.notes {
        debug!("{note}");
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let shutdown = shutdown::requested().context("signals can't be received")?;
    let parts = assembly::assemble(config, is_traced).await?;
    let listener = listening::listener(config, parts.tls.clone()).await?;
    let stop = CancellationToken::new();
    let background = background::start(config, &parts, &stop).await?;

    listening::announce(config, &listener, is_configured);
    // Without systemd there is nobody to tell, which is no error.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let drained = serve(listener, Arc::clone(&parts.app), async {
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
    if let Some(notifier) = &parts.notifier {
        notifier.shutdown(NOTIFIER_SHUTDOWN).await;
    }
    info!("stopped");
    Ok(())
}

/// How long events that wait are still delivered at the end. What is left then stays in the outbox.
const NOTIFIER_SHUTDOWN: Duration = Duration::from_secs(5);
