//! What collections did: of this process in sum, and the last one of any.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use storage::StorageError;

use super::report::{Counts, Report};
use crate::{Registry, Result, layout};

/// What the collections of this process did since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that came to their end.
    pub finished: u64,
    /// Those that failed.
    pub failed: u64,
    /// What they deleted.
    pub deleted: Counts,
    /// What they found and left, as a client relied on it.
    pub rescued: u64,
    /// Uploads that nobody would have finished.
    pub uploads: u64,
    /// What the last of them could not read or delete.
    pub problems: u64,
    /// How long the last of them took, in milliseconds.
    pub last_milliseconds: u64,
    /// When the last of them came to its end.
    pub last_finished: Option<SystemTime>,
}

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Totals>);

impl Registry {
    /// What the collections of this process did.
    #[must_use]
    pub fn collections(&self) -> Totals {
        *self.history.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a collection of any process on this storage last came to its end.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn last_collection(&self) -> Result<Option<SystemTime>> {
        match self.driver.stat(&layout::collection_last()).await {
            Ok(stat) => Ok(Some(stat.modified)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds what a collection did. That it can't be noted for others is only logged.
    pub(super) async fn remember_collection(&self, report: &Report, is_finished: bool) {
        {
            let mut totals = self.history.0.lock().unwrap_or_else(PoisonError::into_inner);
            totals.deleted += report.deleted;
            totals.rescued += report.rescued;
            totals.uploads += if report.dry_run { 0 } else { report.uploads };
            totals.problems = report.problems_total;
            totals.last_milliseconds = (report.seconds * 1000.0) as u64;
            if is_finished {
                totals.finished += 1;
                totals.last_finished = Some(self.claims.clock().now());
            } else {
                totals.failed += 1;
            }
        }
        if !is_finished || report.dry_run {
            return;
        }
        let content = Bytes::from(serde_json::to_vec(report).unwrap_or_default());
        let noted = self.driver.put_unsynced(&layout::collection_last(), content).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "what the collection did can't be noted");
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.tags += more.tags;
        self.manifests += more.manifests;
        self.layers += more.layers;
        self.blobs += more.blobs;
        self.blob_bytes += more.blob_bytes;
    }
}
