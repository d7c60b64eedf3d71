//! One pass over the storage.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use oci::{Algorithm, Digest};
use storage::{EntryKind, StorageError, StoragePath};

use super::{Scrub, ScrubStatus};
use crate::check::{Content, Reading, Severity};
use crate::limits::{SCRUB_FAILURES_IN_A_ROW_MAX, SCRUB_FINDINGS_LOGGED_MAX};
use crate::{Check, CheckOptions, layout};

impl Scrub {
    /// Goes on with a pass, or begins one.
    pub(super) async fn pass(
        &self,
        changed: &(impl Fn(&ScrubStatus) + Send + Sync),
    ) -> Result<(), StorageError> {
        self.is_running.store(true, Relaxed);
        let is_new = !self.note().is_in_pass;
        if is_new {
            let mut note = self.note();
            note.is_in_pass = true;
            note.begun = Some(SystemTime::now());
            note.position = None;
        }
        tracing::info!(goes_on = !is_new, "scrubbing the storage");
        changed(&self.status());
        if is_new {
            self.check_structure().await;
            self.write_note().await?;
            changed(&self.status());
        }
        self.read_blobs(changed).await?;
        self.recheck(changed).await?;
        {
            let mut note = self.note();
            note.is_in_pass = false;
            note.position = None;
            note.last_pass = Some(SystemTime::now());
        }
        let ScrubStatus { corrupt_blobs, structure_errors, .. } = self.status();
        tracing::info!(corrupt_blobs, structure_errors, "the storage was scrubbed");
        Ok(())
    }

    /// Looks at links and manifests.
    async fn check_structure(&self) {
        let options = CheckOptions {
            quick: true,
            concurrency: 1,
            rate: self.options.rate,
            cached: self.options.cached.clone(),
            ..CheckOptions::default()
        };
        let report = match Check::new(Arc::clone(&self.driver), options).run().await {
            Ok(report) => report,
            // Nothing was pushed yet.
            Err(error) => return tracing::debug!(%error, "there is nothing to check"),
        };
        self.note().structure_errors = report.errors;
        let errors = report.findings.iter().filter(|group| group.severity == Severity::Error);
        let findings = errors.flat_map(|group| group.listed.iter().map(move |f| (group, f)));
        for (group, finding) in findings.take(SCRUB_FINDINGS_LOGGED_MAX) {
            tracing::error!(
                path = %finding.path,
                reason = %finding.reason,
                "the scrub has found that {}; `wharf check` says more",
                group.meaning
            );
        }
    }

    /// Reads every blob behind the position.
    async fn read_blobs(
        &self,
        changed: &(impl Fn(&ScrubStatus) + Send + Sync),
    ) -> Result<(), StorageError> {
        let position = self.note().position;
        let mut failures_in_a_row = 0;
        for algorithm in Algorithm::ALL {
            let Ok(above) = layout::blobs().join(algorithm.as_str()) else { continue };
            for beginning in self.directories(&above).await? {
                let last = Digest::from_hex(algorithm, &padded(&beginning, algorithm)).ok();
                if last.is_none_or(|last| position.is_some_and(|position| last <= position)) {
                    continue;
                }
                let Ok(shard) = above.join(&beginning) else { continue };
                for name in self.directories(&shard).await? {
                    let Ok(digest) = Digest::from_hex(algorithm, &name) else { continue };
                    if position.is_some_and(|position| digest <= position) {
                        continue;
                    }
                    match self.read_blob(&digest).await {
                        Ok(()) => failures_in_a_row = 0,
                        Err(error) => {
                            failures_in_a_row += 1;
                            if failures_in_a_row >= SCRUB_FAILURES_IN_A_ROW_MAX {
                                return Err(error);
                            }
                        }
                    }
                    self.note().position = Some(digest);
                }
                changed(&self.status());
            }
        }
        Ok(())
    }

    /// Compares a blob with its digest. What can't be read is logged.
    async fn read_blob(&self, digest: &Digest) -> Result<(), StorageError> {
        let path = layout::blob_data(digest);
        let passed = |bytes| {
            self.bytes.fetch_add(bytes, Relaxed);
            true
        };
        let reading = Reading { driver: &*self.driver, pace: &self.pace, passed: &passed };
        match reading.examine(&path, digest).await {
            Ok(Some(Content::Damaged { actual, .. })) => {
                if self.note().add_corrupt(digest) {
                    tracing::error!(
                        %path, %digest, %actual,
                        "the content of a blob is damaged; `wharf check --repair` sets it aside, \
                         so that the next push of it heals"
                    );
                }
            }
            // It is whole again, or set aside.
            Ok(_) => {
                self.note().corrupt.remove(digest);
            }
            Err(error) => {
                self.failures.fetch_add(1, Relaxed);
                tracing::warn!(%path, %error, "the scrub could not read a blob");
                return Err(error);
            }
        }
        self.blobs.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Looks again at what is damaged: somebody may have mended it.
    pub(super) async fn recheck(
        &self,
        changed: &(impl Fn(&ScrubStatus) + Send + Sync),
    ) -> Result<(), StorageError> {
        for digest in self.corrupt_blobs() {
            self.read_blob(&digest).await?;
        }
        self.note().rechecked = Some(SystemTime::now());
        changed(&self.status());
        Ok(())
    }

    /// The names of the directories in a directory, sorted.
    async fn directories(&self, path: &StoragePath) -> Result<Vec<Box<str>>, StorageError> {
        match self.driver.list(path).await {
            Ok(listing) => {
                let entries = listing.entries.into_iter();
                let directories = entries.filter(|entry| entry.kind == EntryKind::Directory);
                Ok(directories.map(|entry| entry.name).collect())
            }
            Err(StorageError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The last hexadecimal digits that begin like this.
fn padded(beginning: &str, algorithm: Algorithm) -> String {
    let digits = algorithm.size_bytes() * 2;
    format!("{beginning:f<digits$}")
}
