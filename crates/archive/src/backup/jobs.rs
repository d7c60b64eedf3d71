//! Who is at work on a backup: what is removed must not be what another one is just relying on.
//!
//! A job leaves its mark before it looks for those of others, so that of two which begin at the same
//! time at least one sees the other. A mark is renewed as long as the job lives. Times are the
//! storage's own, so that clocks need not agree.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use storage::{Driver, StoragePath, delete_remains, found};
use tokio::task::JoinHandle;

use super::{Backup, BackupError};
use crate::layout;
use crate::limits::{MARK_AGE_SECS_MAX, MARK_INTERVAL_SECS};

/// The longest word in a mark, in bytes.
const WORD_BYTES_MAX: u64 = 64;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Prune,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Prune => "prune",
        }
    }
}

/// The mark of a job.
pub(super) struct Mark {
    driver: Arc<dyn Driver>,
    path: StoragePath,
    renewal: JoinHandle<()>,
}

impl Mark {
    /// Takes it away.
    pub(super) async fn end(self) {
        self.renewal.abort();
        delete_remains(&*self.driver, &self.path).await;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Backup {
    /// Begins a job, unless one is at work that does not go together with it.
    pub(super) async fn begin(&self, kind: Kind) -> Result<Mark, BackupError> {
        let path = layout::job(&uuid::Uuid::new_v4());
        let word = Bytes::from_static(kind.word().as_bytes());
        self.driver.put(&path, word.clone()).await?;
        let other = self.find_other(kind, &path).await;
        if !matches!(other, Ok(None)) {
            delete_remains(&*self.driver, &path).await;
        }
        if let Some((path, what)) = other? {
            return Err(BackupError::Busy { what, path });
        }
        let (driver, renewed) = (Arc::clone(&self.driver), path.clone());
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(MARK_INTERVAL_SECS)).await;
                if let Err(error) = driver.put(&renewed, word.clone()).await {
                    tracing::warn!(path = %renewed, %error, "the mark of a job is not renewed");
                }
            }
        });
        Ok(Mark { driver: Arc::clone(&self.driver), path, renewal })
    }

    /// A job that does not go together with one of this kind, whose mark is at `own`.
    async fn find_other(
        &self,
        kind: Kind,
        own: &StoragePath,
    ) -> Result<Option<(StoragePath, String)>, BackupError> {
        let now = self.driver.stat(own).await?.modified;
        let entries = self.driver.list(&layout::jobs()).await?.entries;
        for entry in entries.iter().filter(|entry| *entry.name != *own.file_name()) {
            let Ok(path) = layout::jobs().join(&entry.name) else { continue };
            let Some(stat) = found(self.driver.stat(&path).await)? else { continue };
            let age = now.duration_since(stat.modified).unwrap_or_default();
            if age > Duration::from_secs(MARK_AGE_SECS_MAX) {
                delete_remains(&*self.driver, &path).await;
                continue;
            }
            let Some(word) = found(self.driver.get(&path, WORD_BYTES_MAX).await)? else { continue };
            if kind == Kind::Prune || &*word == Kind::Prune.word().as_bytes() {
                return Ok(Some((path, String::from_utf8_lossy(&word).into_owned())));
            }
        }
        Ok(None)
    }
}
