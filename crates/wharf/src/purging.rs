//! Removal of abandoned uploads, in the background.

use std::sync::Arc;
use std::time::Duration;

use config::UploadPurging;
use registry::Registry;
use tracing::{error, info, warn};

/// How long to wait before the first round at most. A random part of it keeps replicas that are
/// started together from walking the storage together.
const FIRST_ROUND_DELAY_MAX: Duration = Duration::from_secs(3600);

/// Runs rounds for ever; dropping the future ends it between two deletions.
pub(crate) async fn run(registry: Arc<Registry>, settings: UploadPurging) {
    let delay = FIRST_ROUND_DELAY_MAX.min(settings.interval).mul_f64(random_fraction());
    info!(delay_secs = delay.as_secs(), "starting upload purge after a delay");
    tokio::time::sleep(delay).await;
    loop {
        round(&registry, &settings).await;
        tokio::time::sleep(settings.interval).await;
    }
}

async fn round(registry: &Registry, settings: &UploadPurging) {
    let UploadPurging { age, dry_run, .. } = *settings;
    info!(older_than_secs = age.as_secs(), dry_run, "purging uploads");
    match registry.purge_uploads(age, dry_run).await {
        Ok(report) => {
            for path in &report.purged {
                info!(%path, dry_run, "upload purged");
            }
            for failure in &report.failed {
                warn!(error = %failure, "upload could not be purged");
            }
            let (purged, failed) = (report.purged.len(), report.failed.len());
            info!(purged, kept = report.kept, failed, "purge of uploads finished");
        }
        Err(failure) => error!(error = %failure, "uploads could not be purged"),
    }
}

/// A number from 0 to 1, from the hasher keys that the standard library draws at random.
pub(crate) fn random_fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}
