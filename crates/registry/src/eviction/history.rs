//! What evictions did: of this process in sum, and the last one of any.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use storage::StorageError;

use super::EvictionReport;
use crate::{Registry, Result, layout};

/// What the evictions of this process did since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvictionTotals {
    /// Those that came to their end.
    pub finished: u64,
    /// Those that failed.
    pub failed: u64,
    /// How large the cached blobs were after the last of them, in bytes; none before the first.
    pub cached_bytes: Option<u64>,
    /// How many there were before it.
    pub cached_blobs: u64,
    /// Manifests that were taken, and blobs that no manifest named, by their age.
    pub taken_by_age: u64,
    /// The same, as there was no room.
    pub taken_by_size: u64,
    /// The size of the data that they deleted, in bytes.
    pub freed_bytes: u64,
    /// What the last of them could not read or delete.
    pub problems: u64,
    /// How long the last of them took, in milliseconds.
    pub last_milliseconds: u64,
    /// When the last of them came to its end.
    pub last_finished: Option<SystemTime>,
}

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<EvictionTotals>);

impl Registry {
    /// What the evictions of this process did.
    #[must_use]
    pub fn evictions(&self) -> EvictionTotals {
        *self.evictions.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When an eviction of any process on this storage last came to its end.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn last_eviction(&self) -> Result<Option<SystemTime>> {
        match self.driver.stat(&layout::eviction_last()).await {
            Ok(stat) => Ok(Some(stat.modified)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds what an eviction did; none if it failed. That it can't be noted for others is only
    /// logged.
    pub(super) async fn remember_eviction(&self, report: Option<&EvictionReport>) {
        self.add_eviction(report);
        let Some(report) = report.filter(|report| !report.dry_run) else { return };
        let content = Bytes::from(serde_json::to_vec(report).unwrap_or_default());
        let noted = self.driver.put_unsynced(&layout::eviction_last(), content).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "what the eviction did can't be noted");
        }
    }

    fn add_eviction(&self, report: Option<&EvictionReport>) {
        let mut totals = self.evictions.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(report) = report else {
            totals.failed += 1;
            return;
        };
        totals.finished += 1;
        totals.last_finished = Some(self.claims.clock().now());
        totals.last_milliseconds = (report.seconds * 1000.0) as u64;
        totals.problems = report.problems_total;
        totals.cached_blobs = report.blobs;
        if report.dry_run {
            totals.cached_bytes = Some(report.bytes_before);
            return;
        }
        totals.cached_bytes = Some(report.bytes_after);
        totals.taken_by_age += report.by_age.units();
        totals.taken_by_size += report.by_size.units();
        totals.freed_bytes += report.deleted.blob_bytes;
    }
}
