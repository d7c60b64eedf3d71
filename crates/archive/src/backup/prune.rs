//! The removal of old snapshots, and of the blobs that only they named.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use oci::{Algorithm, Digest};
use storage::{Pages, found};

use super::jobs::Kind;
use super::{Backup, BackupError, PruneReport, Snapshot};
use crate::content::file_size;
use crate::limits::PRUNED_AT_ONCE;
use crate::{Meter, layout};

/// A part of all digests, by their first byte: number `index` of `of`.
#[derive(Clone, Copy)]
struct Part {
    index: u64,
    of: u64,
}

impl Part {
    fn has(self, digest: &Digest) -> bool {
        u64::from(digest.as_bytes()[0]) * self.of / 256 == self.index
    }
}

impl Backup {
    /// Removes all snapshots but the newest `keep`, of which there has to be one, and then every blob
    /// that none of these names. With `dry_run` they are only counted.
    ///
    /// # Errors
    /// [`BackupError`]; [`BackupError::Busy`] while a snapshot is being made. After an error there
    /// may be blobs that nothing names; the next time they go.
    pub async fn prune(
        &self,
        keep: usize,
        dry_run: bool,
        meter: &Meter,
    ) -> Result<PruneReport, BackupError> {
        if dry_run {
            return self.prune_marked(keep, true, meter).await;
        }
        let mark = self.begin(Kind::Prune).await?;
        let pruned = self.prune_marked(keep, false, meter).await;
        mark.end().await;
        pruned
    }

    async fn prune_marked(
        &self,
        keep: usize,
        dry_run: bool,
        meter: &Meter,
    ) -> Result<PruneReport, BackupError> {
        let mut kept = self.snapshot_names().await?;
        let removed: Vec<_> = kept.drain(..kept.len().saturating_sub(keep.max(1))).collect();
        let mut snapshots = Vec::new();
        for name in &kept {
            // All of them can be read, or nothing is removed.
            let snapshot = self.snapshot(name).await?;
            drop(self.records(&snapshot, meter).await?);
            snapshots.push(snapshot);
        }
        if snapshots.is_empty() {
            return Err(BackupError::NoSnapshots);
        }
        let mut report = PruneReport { dry_run, kept, removed, ..PruneReport::default() };
        if !dry_run && !report.removed.is_empty() {
            // Should the index be that of an older one: what it names may go.
            if let Some(newest) = snapshots.last() {
                self.write_index(newest, meter).await?;
            }
            for name in &report.removed {
                found(self.driver.delete(&layout::snapshot(name)).await)?;
            }
        }
        let count: u64 = snapshots.iter().map(|s| s.manifests + s.blobs).sum();
        let of = count.div_ceil(PRUNED_AT_ONCE).clamp(1, 256);
        for index in 0..of {
            self.prune_part(&snapshots, Part { index, of }, &mut report, meter).await?;
        }
        Ok(report)
    }

    async fn prune_part(
        &self,
        snapshots: &[Snapshot],
        part: Part,
        report: &mut PruneReport,
        meter: &Meter,
    ) -> Result<(), BackupError> {
        let mut named = HashSet::new();
        for snapshot in snapshots {
            named.insert(snapshot.content.digest);
            let mut records = std::pin::pin!(self.records(snapshot, meter).await?);
            while let Some(record) = records.try_next().await? {
                let digests = record.items().map(|item| item.digest);
                named.extend(digests.filter(|digest| part.has(digest)));
            }
        }
        for algorithm in Algorithm::ALL {
            let mut pages = Pages::of(layout::blobs(algorithm));
            while let Some(page) = pages.next(&*self.driver).await? {
                let digests = page.iter().filter_map(|e| Digest::from_hex(algorithm, &e.name).ok());
                for digest in digests.filter(|d| part.has(d) && !named.contains(d)) {
                    if meter.is_stopped() {
                        return Err(BackupError::Stopped);
                    }
                    self.remove_blob(&digest, report).await?;
                    meter.blob_done();
                }
            }
        }
        Ok(())
    }

    async fn remove_blob(
        &self,
        digest: &Digest,
        report: &mut PruneReport,
    ) -> Result<(), BackupError> {
        let path = layout::blob(digest);
        let Some(size_bytes) = file_size(&*self.driver, &path).await? else { return Ok(()) };
        if !report.dry_run {
            found(self.driver.delete(&path).await)?;
        }
        report.removed_blobs += 1;
        report.removed_bytes += size_bytes;
        Ok(())
    }
}
