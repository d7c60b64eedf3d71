//! Whether a backup can be put back.

use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use quick_cache::sync::Cache;
use storage::found;

use super::record::{Item, Record};
use super::{Backup, BackupError, Snapshot, VerifyReport};
use crate::content::{self, CopyError};
use crate::limits::{CONCURRENCY_MAX, SETTLED_BLOBS};
use crate::{Meter, layout};

impl Backup {
    /// Reads every blob that the snapshots name and compares it with its digest: those of one
    /// snapshot, or of all of them. `concurrency` blobs are read at once.
    ///
    /// # Errors
    /// [`BackupError`], also when a snapshot itself can't be read.
    pub async fn verify(
        &self,
        snapshot: Option<&str>,
        concurrency: usize,
        meter: &Meter,
    ) -> Result<VerifyReport, BackupError> {
        let snapshots = match snapshot {
            Some(name) => vec![self.find_snapshot(Some(name)).await?],
            None => self.snapshots().await?,
        };
        if snapshots.is_empty() {
            return Err(BackupError::NoSnapshots);
        }
        let verification = Verification {
            backup: self,
            meter,
            concurrency: concurrency.clamp(1, CONCURRENCY_MAX),
            seen: Cache::new(SETTLED_BLOBS),
            report: Mutex::default(),
        };
        for snapshot in &snapshots {
            verification.look_at(snapshot).await?;
        }
        let mut report = verification.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.snapshots = snapshots.into_iter().map(|snapshot| snapshot.name).collect();
        Ok(report)
    }
}

struct Verification<'a> {
    backup: &'a Backup,
    meter: &'a Meter,
    concurrency: usize,
    /// What is wrong with blobs, if anything.
    seen: Cache<Item, Option<String>>,
    report: Mutex<VerifyReport>,
}

impl Verification<'_> {
    async fn look_at(&self, snapshot: &Snapshot) -> Result<(), BackupError> {
        let mut records = std::pin::pin!(self.backup.records(snapshot, self.meter).await?);
        while let Some(record) = records.try_next().await? {
            self.look_at_repository(snapshot, &record).await?;
            self.meter.repository_done();
        }
        Ok(())
    }

    async fn look_at_repository(
        &self,
        snapshot: &Snapshot,
        record: &Record,
    ) -> Result<(), BackupError> {
        let looks = stream::iter(record.items()).map(async |item| {
            if let Some(fault) = self.fault_of(item).await? {
                let place = format!("{} {}@{}", snapshot.name, record.name, item.digest);
                let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
                report.damaged.add(place, fault);
            }
            Ok(())
        });
        looks.buffer_unordered(self.concurrency).try_collect().await
    }

    /// What is wrong with a blob, if anything.
    async fn fault_of(&self, item: &Item) -> Result<Option<String>, BackupError> {
        if let Some(known) = self.seen.get(item) {
            return Ok(known);
        }
        let path = layout::blob(&item.digest);
        let fault = match found(self.backup.driver.open(&path).await)? {
            None => Some("it is missing".to_owned()),
            Some(object) if object.size_bytes() != item.size => {
                Some(format!("it has {} bytes, not {}", object.size_bytes(), item.size))
            }
            Some(object) => match content::check(object, &item.digest, self.meter).await {
                Ok(()) => None,
                Err(CopyError::Stopped) => return Err(BackupError::Stopped),
                Err(CopyError::Source(error)) => return Err(error.into()),
                Err(fault) => Some(fault.to_string()),
            },
        };
        self.meter.blob_done();
        {
            let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
            report.blobs += 1;
            report.bytes += item.size;
        }
        self.seen.insert(*item, fault.clone());
        Ok(fault)
    }
}
