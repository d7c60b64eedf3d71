//! Eviction of what is cached of other registries.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use config::Config;
use registry::collection::{Event, Garbage};
use registry::eviction::{Eviction, EvictionOptions, EvictionReport};
use registry::{CollectionError, Registry};
use tracing::{debug, error, info, warn};

use crate::{mirroring, remotes};

/// How often it is looked what there is too much of, on a disk.
const INTERVAL: Duration = Duration::from_secs(300);

/// The same where each link that is looked at is a request to another machine.
const REMOTE_INTERVAL: Duration = Duration::from_secs(1800);

/// How long to wait when a garbage collection is at work.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Whether anything ever goes.
pub(crate) fn is_wanted(config: &Config) -> bool {
    let proxy = &config.proxy;
    let has_ttl = |upstream: &config::Upstream| upstream.caching.ttl.is_some();
    !proxy.upstreams.is_empty()
        && (proxy.size_bytes_max.is_some() || proxy.upstreams.iter().any(has_ttl))
}

/// What evicts, as the configuration wants it.
///
/// # Errors
/// When nothing is mirrored, or a pattern that the configuration let pass is none.
pub(crate) fn eviction(
    config: &Config,
    registry: &Arc<Registry>,
    dry_run: bool,
) -> anyhow::Result<Eviction> {
    let proxy = &config.proxy;
    let coverage = mirroring::coverage(config)?.context("no mirror is configured")?;
    let options = EvictionOptions {
        max_bytes: proxy.size_bytes_max,
        low_water_percent: proxy.low_water_percent,
        keep: remotes::patterns(&proxy.keep).context("proxy.keep")?,
        dry_run,
        ..EvictionOptions::new(Arc::new(move |name| coverage.lifetime(name)))
    };
    Ok(Eviction::new(Arc::clone(registry), options))
}

/// Evicts for ever; dropping the future ends it, and does no harm.
pub(crate) async fn run(registry: Arc<Registry>, eviction: Arc<Eviction>) {
    let interval = if registry.driver().is_remote() { REMOTE_INTERVAL } else { INTERVAL };
    // A random part of it keeps replicas that are started together from beginning together.
    tokio::time::sleep(interval.mul_f64(crate::purging::random_fraction())).await;
    loop {
        let wait = match eviction.run().await {
            Ok(report) => {
                tell(&report);
                interval
            }
            Err(CollectionError::Running) => {
                debug!("a garbage collection, or another server's eviction, is at work");
                RETRY_AFTER
            }
            Err(failure) => {
                error!(error = %failure, "what is cached could not be evicted");
                interval
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Tells of what happens.
pub(crate) fn log(event: &Event<'_>) {
    match event {
        Event::Deleted { garbage: garbage @ (Garbage::Tag { .. } | Garbage::Manifest { .. }) } => {
            info!(%garbage, "evicted");
        }
        Event::Deleted { garbage } => debug!(%garbage, "evicted"),
        Event::Problem { problem } => {
            let repository = problem.repository.as_deref().unwrap_or_default();
            warn!(repository, "eviction: {}", problem.what);
        }
        _ => {}
    }
}

fn tell(report: &EvictionReport) {
    let (by_age, by_size) = (report.by_age.units(), report.by_size.units());
    if by_age + by_size + report.deleted.blobs > 0 {
        info!(
            by_age,
            by_size,
            freed_bytes = report.deleted.blob_bytes,
            cached_bytes = report.bytes_after,
            problems = report.problems_total,
            duration_secs = report.seconds,
            "eviction finished"
        );
    }
    if report.above_max {
        warn!(
            cached_bytes = report.bytes_after,
            max_bytes = report.max_bytes.unwrap_or_default(),
            "what is cached is larger than proxy.maxsize: the rest is in use, or in proxy.keep"
        );
    }
}
