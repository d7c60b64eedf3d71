//! The scrub of the storage, in the background.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use registry::{Scrub, ScrubOptions, ScrubStatus};
use server::Health;
use storage::Driver;
use tracing::info;

use crate::mirroring;

/// How long to wait before the first look at most. A random part of it keeps replicas that are started
/// together from beginning together.
const FIRST_LOOK_DELAY_MAX: Duration = Duration::from_secs(30);

/// The name of its warning in `/readyz`.
const WARNING: &str = "scrub";

/// A scrub of a storage, if one is wanted.
///
/// # Errors
/// When it can't be said what is mirrored.
pub(crate) fn open(
    config: &Config,
    driver: &Arc<dyn Driver>,
) -> anyhow::Result<Option<Arc<Scrub>>> {
    let settings = &config.storage.scrub;
    let options = ScrubOptions {
        interval: settings.interval,
        rate: NonZeroU64::new(settings.rate),
        keeps_note: !config.storage.read_only,
        cached: mirroring::selection(config)?,
    };
    Ok(settings.enabled.then(|| Scrub::new(Arc::clone(driver), options)))
}

/// Scrubs for ever; dropping the future ends it, and the next start goes on.
pub(crate) async fn run(scrub: Arc<Scrub>, health: Arc<Health>) {
    let delay = FIRST_LOOK_DELAY_MAX.mul_f64(crate::purging::random_fraction());
    info!(delay_secs = delay.as_secs(), "the storage will be scrubbed");
    tokio::time::sleep(delay).await;
    scrub.run(|status| health.set_warning(WARNING, warning(status))).await;
}

/// What everybody may know who can ask `/readyz`.
fn warning(status: &ScrubStatus) -> Option<String> {
    let ScrubStatus { corrupt_blobs, structure_errors, .. } = *status;
    (corrupt_blobs + structure_errors > 0).then(|| {
        format!(
            "damaged blobs: {corrupt_blobs}, errors of links and manifests: {structure_errors}; the \
             log names them, and `wharf check` mends what can be mended"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_given_while_something_is_damaged() {
        assert_eq!(warning(&ScrubStatus { blobs: 7, failures: 1, ..ScrubStatus::default() }), None);
        let damaged = ScrubStatus { corrupt_blobs: 2, ..ScrubStatus::default() };
        assert!(warning(&damaged).unwrap().starts_with("damaged blobs: 2, errors"));
        let torn = ScrubStatus { structure_errors: 3, ..ScrubStatus::default() };
        assert!(warning(&torn).unwrap().contains("manifests: 3; "));
    }
}
