//! Removal of uploads that nobody will finish.

use std::time::{Duration, SystemTime};

use oci::RepositoryName;
use storage::{StorageError, StoragePath};

use crate::catalog::RepositoryWalk;
use crate::layout::{self, UPLOADS_DIRECTORY};
use crate::trail::Trail;
use crate::{Registry, Result, UploadId};

/// What a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// The paths of the uploads that were deleted, or would be in a dry run.
    pub purged: Vec<String>,
    /// How many uploads were left because they are not old enough.
    pub kept: usize,
    /// What could not be looked at or deleted, with the reason.
    pub failed: Vec<String>,
}

impl Registry {
    /// Deletes the uploads that nothing has happened to for longer than `older_than`; with
    /// `dry_run` only says which. An upload without a readable start time, which Distribution
    /// would keep for ever, is judged by when its directory was last changed. One that can't be
    /// deleted is reported and does not keep the others.
    ///
    /// # Errors
    /// [`crate::Error::Storage`] when the repositories themselves can't be walked.
    pub async fn purge_uploads(&self, older_than: Duration, dry_run: bool) -> Result<PurgeReport> {
        let mut report = PurgeReport::default();
        let now = SystemTime::now();
        let mut walk = RepositoryWalk::starting_after(self, None);
        while let Some((name, directories)) = walk.next(&mut Trail::none()).await? {
            if !directories.contains(UPLOADS_DIRECTORY) {
                continue;
            }
            let Ok(uploads) = layout::repository(&name).join(UPLOADS_DIRECTORY) else { continue };
            let entries = match self.driver.list(&uploads).await {
                Ok(listing) => listing.entries,
                Err(StorageError::NotFound { .. }) => continue,
                Err(error) => {
                    report.failed.push(error.to_string());
                    continue;
                }
            };
            for entry in entries {
                let Ok(path) = uploads.join(&entry.name) else { continue };
                match self.purge_upload(&name, &path, now, older_than, dry_run).await {
                    Ok(true) => report.purged.push(path.to_string()),
                    Ok(false) => report.kept += 1,
                    Err(error) => report.failed.push(error.to_string()),
                }
            }
        }
        match self.driver.abandon(older_than, dry_run).await {
            Ok(abandoned) => report.purged.extend(abandoned),
            Err(error) => report.failed.push(error.to_string()),
        }
        Ok(report)
    }

    async fn purge_upload(
        &self,
        name: &RepositoryName,
        path: &StoragePath,
        now: SystemTime,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<bool> {
        let touched = match self.upload_touched(name, path).await {
            Ok(touched) => touched,
            Err(StorageError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // A time in the future is a clock that was set back: not old.
        if now.duration_since(touched).is_ok_and(|age| age > older_than) {
            if !dry_run {
                self.delete_if_there(path).await?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// When an upload was last worked on.
    async fn upload_touched(
        &self,
        name: &RepositoryName,
        path: &StoragePath,
    ) -> std::result::Result<SystemTime, StorageError> {
        let id = UploadId::parse(path.file_name());
        let started = match &id {
            Some(id) => match self.read_started_at(name, id).await {
                Err(StorageError::NotFound { .. }) => None,
                other => other?,
            },
            None => None,
        };
        let Some(started) = started else {
            return Ok(self.driver.stat(path).await?.modified);
        };
        let data = match id.map(|id| layout::upload_data(name, &id)) {
            Some(data) => self.driver.stat_staged(&data).await,
            None => return Ok(started.into()),
        };
        match data {
            // The empty file was made with the upload.
            Ok(stat) if stat.size_bytes > 0 => Ok(stat.modified.max(started.into())),
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(started.into()),
            Err(error) => Err(error),
        }
    }
}
