//! Who works on a job: one at a time, by a lease, and with a note for people.

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use registry::layout::SyncPaths;
use registry::{Lease, Registry};
use serde::{Deserialize, Serialize};
use storage::Driver;

use crate::limits::{HOLDER_AGE_MAX, ITEM_BYTES_MAX, LEASE_LOOK_INTERVAL};
use crate::queue::{note, read_note};
use crate::{Holder, SyncError};

/// The note as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    holder: Holder,
    /// When the holder was heard of last.
    #[serde(with = "crate::times")]
    seen: Timestamp,
}

/// Does something under the lease of a job. A future of a known kind, as the compiler does not find
/// out by itself that this one can be sent to another thread.
pub(crate) async fn under_lease<T>(
    registry: &Registry,
    paths: &SyncPaths,
    work: BoxFuture<'_, Result<T, SyncError>>,
) -> Result<T, SyncError> {
    let lease = Lease::acquire(registry, paths.lease()).await?;
    let mut lease = lease.ok_or(SyncError::Running)?;
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = hold(registry, paths, &mut lease) => Err(SyncError::Overtaken),
    };
    if !matches!(outcome, Err(SyncError::Overtaken)) {
        storage::delete_remains(&**registry.driver(), &paths.holder()).await;
        lease.release(registry).await;
    }
    outcome
}

/// Keeps the lease; ends when it is lost.
async fn hold(registry: &Registry, paths: &SyncPaths, lease: &mut Lease) {
    let process = std::process::id();
    let holder = Holder { host: host(), process, since: Timestamp::now() };
    for look in 0_u64.. {
        if look.is_multiple_of(3) {
            let kept = Kept { holder: holder.clone(), seen: Timestamp::now() };
            let put = registry.driver().put_unsynced(&paths.holder(), note(&kept)).await;
            if let Err(error) = put {
                tracing::debug!(%error, "it can't be noted who works on a job");
            }
        }
        tokio::time::sleep(LEASE_LOOK_INTERVAL).await;
        match lease.holds(registry).await {
            Ok(true) => {}
            Ok(false) => return,
            // As long as nobody can take it over, it is held.
            Err(error) => tracing::warn!(%error, "the lease of a job can't be looked at"),
        }
    }
}

/// Who works on a job, as far as anybody was heard of lately.
pub(crate) async fn holder(
    driver: &dyn Driver,
    paths: &SyncPaths,
) -> Result<Option<Holder>, SyncError> {
    let kept: Option<Kept> = read_note(driver, &paths.holder(), ITEM_BYTES_MAX).await?;
    let oldest = SignedDuration::try_from(HOLDER_AGE_MAX).unwrap_or(SignedDuration::ZERO);
    let is_fresh = |kept: &Kept| Timestamp::now().duration_since(kept.seen) <= oldest;
    Ok(kept.filter(is_fresh).map(|kept| kept.holder))
}

/// The name of this machine.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.chars().take(64).collect(),
    }
}
