//! Garbage collection, in the background.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{Config, When};
use registry::collection::{Event, Garbage, Report, Selection};
use registry::{Collection, CollectionError, CollectionOptions, Registry, RetentionRules};
use tracing::{debug, error, info, warn};

/// How long to wait before the first collection of a storage at most. A random part of it keeps
/// replicas that are started together from beginning together.
const FIRST_DELAY_MAX: Duration = Duration::from_secs(3600);

/// How often to look whether another server has collected meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_secs(600);

/// How long to wait after one that failed.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Collects for ever; dropping the future ends it, and does no harm.
pub(crate) async fn run(
    registry: Arc<Registry>,
    config: Config,
    rules: Option<RetentionRules>,
    cached: Option<Selection>,
) {
    let when = &config.storage.gc.when;
    let collection = collection(&registry, &config, rules, cached);
    let mut finished = None;
    loop {
        wait(&registry, when, finished).await;
        match collection.run().await {
            Ok(report) => {
                finished = Some(SystemTime::now());
                tell(&report);
            }
            Err(CollectionError::Running) => {
                info!("another server collects the garbage");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(failure) => {
                error!(error = %failure, "garbage collection failed");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Waits until it is time, by whichever server collected last. When this one did is `finished`: a dry
/// run leaves nothing on the storage that tells, nor does one that can't write.
async fn wait(registry: &Registry, when: &When, finished: Option<SystemTime>) {
    let begun = SystemTime::now();
    // A storage that was never collected is not kept waiting for a whole interval.
    let first = match when {
        When::Every(interval) => {
            FIRST_DELAY_MAX.min(*interval).mul_f64(crate::purging::random_fraction())
        }
        When::At(_) => Duration::ZERO,
    };
    info!("garbage is going to be collected");
    loop {
        let last = match registry.last_collection().await {
            Ok(last) => last.max(finished),
            Err(failure) => {
                warn!(error = %failure, "can't see when the garbage was last collected");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        };
        match when.due(last, begun, first).duration_since(SystemTime::now()) {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LOOK_INTERVAL)).await,
            _ => return,
        }
    }
}

fn collection(
    registry: &Arc<Registry>,
    config: &Config,
    retention: Option<RetentionRules>,
    cached: Option<Selection>,
) -> Collection {
    let only_told = retention.as_ref().is_some_and(|rules| rules.dry_run);
    let gc = &config.storage.gc;
    let purging = &config.storage.upload_purging;
    let options = CollectionOptions {
        older_than: gc.grace,
        promises: None,
        untagged: gc.untagged,
        referrers: gc.referrers,
        repositories: None,
        rate: gc.rate,
        dry_run: gc.dry_run,
        tells_parts: false,
        uploads_older_than: purging.enabled.then_some(purging.age),
        uploads_dry_run: purging.dry_run,
        retention: retention.map(Arc::new),
        cached,
    };
    let dry_run = gc.dry_run;
    Collection::new(Arc::clone(registry), options)
        .with_observer(Arc::new(move |event: &Event<'_>| log(event, dry_run, only_told)))
}

/// Tells of what happens. Nothing is deleted in a dry run, and no tag when the rules are only asked.
fn log(event: &Event<'_>, dry_run: bool, only_told: bool) {
    match event {
        Event::Retention { name, tag, decision } => {
            let repository = name.as_str();
            match decision.verdict.keeps() {
                true => debug!(repository, %tag, reason = %decision, "tag kept"),
                false if dry_run || only_told => {
                    info!(repository, %tag, reason = %decision, "tag would be deleted");
                }
                false => info!(repository, %tag, reason = %decision, "tag goes by retention"),
            }
        }
        // Told above.
        Event::Garbage { garbage: Garbage::Tag { .. }, .. } => {}
        Event::Garbage { garbage, reason } if dry_run => {
            info!(%garbage, reason = reason.as_str(), "would be deleted");
        }
        Event::Garbage { garbage, reason } => {
            debug!(%garbage, reason = reason.as_str(), "garbage found");
        }
        Event::Deleted { garbage } => debug!(%garbage, "garbage deleted"),
        Event::Upload { path, dry_run } => info!(path, dry_run, "upload purged"),
        Event::RepositoryRemoved { name } => info!(repository = %name, "empty repository removed"),
        Event::Problem { problem } => {
            let repository = problem.repository.as_deref().unwrap_or_default();
            warn!(repository, "garbage collection: {}", problem.what);
        }
        Event::Repository { .. } | Event::Marked { .. } | Event::MarkedPart { .. } => {}
    }
}

fn tell(report: &Report) {
    let counts = if report.dry_run { &report.garbage } else { &report.deleted };
    info!(
        dry_run = report.dry_run,
        blobs = counts.blobs,
        freed_bytes = counts.blob_bytes,
        manifests = counts.manifests,
        tags = counts.tags,
        layer_links = counts.layers,
        uploads = report.uploads,
        repositories = report.repositories_removed,
        rescued = report.rescued,
        problems = report.problems_total,
        duration_secs = report.seconds,
        "garbage collection finished"
    );
}

#[cfg(test)]
mod tests {
    use registry::Options;
    use storage::memory::Memory;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn there_is_a_pause_after_a_run_that_left_no_trace() {
        let registry = Arc::new(Registry::new(Arc::new(Memory::new()), Options::default()));
        let run = |dry_run| {
            let options = CollectionOptions { dry_run, ..CollectionOptions::default() };
            let collection = Collection::new(Arc::clone(&registry), options);
            async move { collection.run().await.unwrap() }
        };
        run(false).await;
        let interval = Duration::from_secs(1);
        std::thread::sleep(interval);
        let when = When::Every(interval);
        let at_once = Duration::from_millis(10);
        timeout(at_once, wait(&registry, &when, None)).await.expect("it is time");
        run(true).await;
        let finished = Some(SystemTime::now());
        assert!(timeout(at_once, wait(&registry, &when, finished)).await.is_err(), "not again");
    }
}
