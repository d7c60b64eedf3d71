//! When to stop, and when to read files anew.

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// Resolves at the first SIGTERM or SIGINT.
///
/// # Errors
/// When the system refuses to deliver signals.
pub(crate) fn requested() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "stopping");
    })
}

/// Runs `reload` at each SIGHUP, for ever.
///
/// # Errors
/// When the system refuses to deliver signals.
pub(crate) fn on_hangup(reload: impl Fn()) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            info!(signal = "SIGHUP", "reading files anew");
            reload();
        }
    })
}
