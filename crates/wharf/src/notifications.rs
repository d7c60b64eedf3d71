//! From `notifications` to the notifier.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Config, Driver, Listen};
use notify::{EndpointOptions, Notifier, NotifyError, Options, OutboxBounds, Secret, Source};
use tracing::{info, warn};

/// Below the root of the filesystem driver, where Distribution does not look.
const OUTBOX_BELOW_ROOT: &str = "wharf/v1/outbox";

/// Opens the outbox and begins to deliver what is in it; nothing when nobody is to be told.
///
/// An outbox that nobody asked for is no reason not to start: Distribution has none, and with its
/// configuration a registry may be read-only, or one of several on a volume.
///
/// # Errors
/// When an endpoint can't be used, or the outbox that is configured.
pub(crate) fn open(config: &Config) -> anyhow::Result<Option<Arc<Notifier>>> {
    let mut endpoints = Vec::new();
    for endpoint in &config.notifications.endpoints {
        if endpoint.disabled {
            info!(endpoint = endpoint.name, "endpoint disabled, skipping");
            continue;
        }
        endpoints.push(options(endpoint));
    }
    if endpoints.is_empty() {
        return Ok(None);
    }
    let outbox = directory(config);
    let kept = &config.notifications.outbox;
    let mut options = Options {
        endpoints,
        outbox,
        bounds: OutboxBounds { events_max: kept.events_max, bytes_max: kept.size_bytes_max },
        source: source(config),
        include_references: config.notifications.include_references,
    };
    if options.outbox.is_some() {
        match Notifier::open(options.clone()) {
            Err(error) if is_about_the_outbox(&error) && !is_configured(config) => {
                warn!(%error, "the default outbox can't be used");
            }
            outcome => return Ok(Some(outcome.context("notifications")?)),
        }
    }
    options.outbox = None;
    warn!(
        "notifications wait in memory and are lost when wharf ends; set notifications.outbox.path \
         to a directory of this server's own to keep them"
    );
    Ok(Some(Notifier::open(options).context("notifications")?))
}

const fn is_about_the_outbox(error: &NotifyError) -> bool {
    use NotifyError as E;
    matches!(error, E::Locked { .. } | E::Version { .. } | E::Io { .. })
}

const fn is_configured(config: &Config) -> bool {
    config.notifications.outbox.path.is_some()
}

fn options(endpoint: &config::Endpoint) -> EndpointOptions {
    let headers = endpoint.headers.iter().flat_map(|(name, values)| {
        values.iter().map(|value| (name.clone(), Secret::new(value.reveal())))
    });
    EndpointOptions {
        name: endpoint.name.clone(),
        url: Secret::new(endpoint.url.reveal()),
        headers: headers.collect(),
        timeout: endpoint.timeout,
        threshold: u32::try_from(endpoint.threshold).unwrap_or(u32::MAX),
        backoff: endpoint.backoff,
        ignored_media_types: endpoint.ignored_media_types.clone(),
        ignored_actions: endpoint.ignored_actions.clone(),
        secret: endpoint.secret.as_ref().map(|secret| Secret::new(secret.reveal())),
    }
}

/// Where events wait.
fn directory(config: &Config) -> Option<PathBuf> {
    let configured = config.notifications.outbox.path.clone();
    configured.or_else(|| match &config.storage.driver {
        Driver::Filesystem(filesystem) => Some(filesystem.root_directory.join(OUTBOX_BELOW_ROOT)),
        _ => None,
    })
}

/// What events say about this registry.
fn source(config: &Config) -> Source {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let address = match &config.http.listen {
        Listen::Tcp { port, .. } => format!("{name}:{port}"),
        Listen::Unix(_) => name,
    };
    Source { address, instance_id: uuid::Uuid::new_v4().to_string() }
}
