//! Backups: snapshots of a registry in another storage.
//!
//! A backup is an OCI image layout. Content lies in it once, under its digest, for all snapshots
//! together, so that another snapshot copies only what is new. A snapshot is a list of everything
//! that its repositories have; it is written when all of that is there and durable, so that every
//! snapshot which can be seen is whole, also when the making of another one was cut short.
//!
//! The registry may be in use meanwhile. Of each repository the tags are read first, then its
//! manifests, then what these refer to: the other way round as it is pushed. What is deleted in
//! between is left out, a manifest together with everything that leads to it.

mod create;
mod error;
mod index;
mod jobs;
mod prune;
mod record;
mod report;
mod restore;
mod staged;
mod verify;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use storage::{Driver, StoragePath, found};

pub use create::CreateOptions;
pub use error::BackupError;
use record::Record;
pub use report::{CreateReport, PruneReport, RestoreReport, Snapshot, VerifyReport};
pub use restore::RestoreOptions;

use crate::content::{self, CopyError};
use crate::limits::{OCI_LAYOUT_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use crate::{Meter, layout, oci_layout};

/// A place for snapshots of a registry.
#[derive(Debug, Clone)]
pub struct Backup {
    driver: Arc<dyn Driver>,
}

impl Backup {
    /// The backup in a storage; an empty storage becomes one.
    ///
    /// # Errors
    /// [`BackupError::HoldsRegistry`], [`BackupError::OtherLayout`] and [`BackupError::NotEmpty`] where
    /// something else lies.
    pub async fn make(driver: Arc<dyn Driver>) -> Result<Self, BackupError> {
        if found(driver.stat(&registry::layout::registry()).await)?.is_some() {
            return Err(BackupError::HoldsRegistry);
        }
        let backup = Self { driver };
        let driver = &backup.driver;
        if found(driver.stat(&layout::snapshots()).await)?.is_none() {
            let has_index = found(driver.stat(&layout::index()).await)?.is_some();
            if has_index {
                return Err(BackupError::OtherLayout);
            }
        }
        let marker = found(driver.get(&layout::oci_layout(), OCI_LAYOUT_BYTES_MAX).await)?;
        if marker.is_none() {
            let there = found(driver.list_page(&StoragePath::root(), None, 1).await)?;
            if let Some(entry) = there.unwrap_or_default().first() {
                return Err(BackupError::NotEmpty { name: entry.name.clone() });
            }
            let marker = Bytes::from_static(oci_layout::OCI_LAYOUT.as_bytes());
            driver.put(&layout::oci_layout(), marker).await?;
        }
        Ok(backup)
    }

    /// The backup in a storage.
    ///
    /// # Errors
    /// [`BackupError::NoBackup`].
    pub async fn open(driver: Arc<dyn Driver>) -> Result<Self, BackupError> {
        let path = layout::snapshots();
        if found(driver.stat(&path).await)?.is_none() {
            return Err(BackupError::NoBackup { path });
        }
        Ok(Self { driver })
    }

    /// Its snapshots, the oldest first.
    ///
    /// # Errors
    /// [`BackupError::SnapshotDamaged`] when one can't be read.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, BackupError> {
        let mut snapshots = Vec::new();
        for name in self.snapshot_names().await? {
            snapshots.push(self.snapshot(&name).await?);
        }
        Ok(snapshots)
    }

    async fn snapshot_names(&self) -> Result<Vec<String>, BackupError> {
        let listing = found(self.driver.list(&layout::snapshots()).await)?;
        let entries = listing.map_or_else(Vec::new, |listing| listing.entries);
        let names = entries.iter().filter_map(|entry| entry.name.strip_suffix(".json"));
        Ok(names.filter(|name| record::is_name(name)).map(str::to_owned).collect())
    }

    /// One of its snapshots; the newest without a name.
    ///
    /// # Errors
    /// [`BackupError::NoSnapshots`], [`BackupError::SnapshotUnknown`],
    /// [`BackupError::SnapshotDamaged`].
    pub async fn find_snapshot(&self, name: Option<&str>) -> Result<Snapshot, BackupError> {
        let names = self.snapshot_names().await?;
        let newest = names.last().ok_or(BackupError::NoSnapshots)?;
        match name {
            None => self.snapshot(newest).await,
            Some(name) if names.iter().any(|known| known == name) => self.snapshot(name).await,
            Some(name) => Err(BackupError::SnapshotUnknown {
                name: name.chars().take(64).collect(),
                newest: newest.clone(),
            }),
        }
    }

    async fn snapshot(&self, name: &str) -> Result<Snapshot, BackupError> {
        let path = layout::snapshot(name);
        let content = self.driver.get(&path, SNAPSHOT_BYTES_MAX).await?;
        let damaged = |reason: String| BackupError::SnapshotDamaged { name: name.into(), reason };
        let snapshot: Snapshot = serde_json::from_slice(&content)
            .map_err(|error| damaged(format!("{path} is no snapshot: {error}")))?;
        if snapshot.media_type != record::SNAPSHOT_TYPE {
            let found: String = snapshot.media_type.chars().take(128).collect();
            return Err(damaged(format!("{path} has the media type {found:?}")));
        }
        Ok(Snapshot { name: name.into(), ..snapshot })
    }

    /// The repositories of a snapshot, once they were compared with their digest.
    async fn records(
        &self,
        snapshot: &Snapshot,
        meter: &Meter,
    ) -> Result<impl Stream<Item = Result<Record, BackupError>> + use<>, BackupError> {
        let path = layout::blob(&snapshot.content.digest);
        let damaged = |reason: String| BackupError::SnapshotDamaged {
            name: snapshot.name.clone(),
            reason: format!("{path}: {reason}"),
        };
        let object = found(self.driver.open(&path).await)?;
        let object = object.ok_or_else(|| damaged("it is not there".into()))?;
        let checked = content::check(Arc::clone(&object), &snapshot.content.digest, meter).await;
        checked.map_err(|error| match error {
            CopyError::Stopped => BackupError::Stopped,
            CopyError::Source(error) => error.into(),
            other => damaged(other.to_string()),
        })?;
        Ok(record::read(object, snapshot.name.clone()))
    }
}
