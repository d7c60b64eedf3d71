//! Writing down what was pulled, and clearing up.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Reference, RepositoryName};
use storage::StorageError;

use super::file::{self, Minutes};
use super::{Pulls, RESOLUTION_MINUTES, day_of, minute_of, times};
use crate::limits::{LINK_BYTES_MAX, PULLS_MERGED_MAX, PULLS_OF_DAY_MAX};
use crate::{Registry, Result, layout};

/// After how many days nobody writes a file any more, however wrong his clock.
const DAYS_UNTIL_SETTLED: u32 = 2;

impl Pulls {
    /// What was not written down yet.
    fn pending(&self) -> HashMap<RepositoryName, Vec<(Reference, u32)>> {
        let mut pending: HashMap<_, Vec<_>> = HashMap::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for noted in shard.values().filter(|noted| !noted.is_written()) {
                let minute = noted.minute.load(Ordering::Relaxed);
                let entry = (noted.reference.clone(), minute);
                pending.entry(noted.name.clone()).or_default().push(entry);
            }
        }
        pending
    }

    /// Takes in that these were written down.
    fn written(&self, name: &RepositoryName, entries: &[(Reference, u32)]) {
        use std::hash::BuildHasher as _;
        for (reference, minute) in entries {
            let hash = self.hasher.hash_one((name, reference));
            let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
            if let Some(noted) = shard.get(&hash) {
                noted.written.fetch_max(*minute, Ordering::Relaxed);
            }
        }
    }

    /// Forgets what is written down and would be noted anew in any case.
    fn forget_old(&self, minute: u32) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, noted| {
                let noted_at = noted.minute.load(Ordering::Relaxed);
                !noted.is_written() || noted_at + RESOLUTION_MINUTES > minute
            });
        }
    }
}

impl Registry {
    /// Writes down what was pulled since the last time. To be called every minute, and at the end.
    ///
    /// # Errors
    /// [`crate::Error::Storage`]: the first of them. What could not be written is still noted.
    pub async fn flush_pulls(&self) -> Result<()> {
        let Some(pulls) = &self.pulls else { return Ok(()) };
        let _turn = pulls.flushing.lock().await;
        let now = minute_of(self.claims.clock().now());
        self.begin_pulls(now).await?;
        let lost = pulls.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "more was pulled than can be noted; retention may not know of it");
        }
        let writes = stream::iter(pulls.pending()).map(async |(name, entries)| {
            self.write_pulls(pulls, &name, entries.clone(), day_of(now)).await?;
            pulls.written(&name, &entries);
            Ok(())
        });
        let outcomes: Vec<Result<()>> =
            writes.buffer_unordered(self.requests_at_once()).collect().await;
        pulls.forget_old(now);
        outcomes.into_iter().collect()
    }

    async fn write_pulls(
        &self,
        pulls: &Pulls,
        name: &RepositoryName,
        entries: Vec<(Reference, u32)>,
        day: u32,
    ) -> Result<()> {
        let path = layout::pulls_of_day(name, &pulls.server, day);
        let mut minutes = match file::read(&*self.driver, &path).await {
            Err(StorageError::TooLarge { .. }) => Minutes::new(),
            read => read?,
        };
        file::merge(&mut minutes, entries);
        self.driver.put_unsynced(&path, file::encode(&minutes, PULLS_OF_DAY_MAX)).await?;
        Ok(())
    }

    /// Notes since when pulls are noted, unless somebody did before.
    async fn begin_pulls(&self, now: u32) -> Result<()> {
        if times::since(&*self.driver).await?.is_none() {
            self.driver.put(&layout::pulls_since(), Bytes::from(now.to_string())).await?;
        }
        Ok(())
    }

    /// Takes in that pulls are not noted any more. When they are again, it is not known for a while
    /// what was pulled.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn end_pulls(&self) -> Result<()> {
        self.delete_if_there(&layout::pulls_since()).await
    }

    /// Puts a repository's files of earlier days together, without what was pulled before `oldest`.
    /// Only for the collector, of which there is one.
    pub(crate) async fn merge_pulls(&self, name: &RepositoryName, oldest: u32) -> Result<()> {
        let today = day_of(minute_of(self.claims.clock().now()));
        let directory = layout::pulls(name);
        let mut settled = Vec::new();
        for file in times::files(&*self.driver, &directory).await? {
            let day = file.split_once('.').and_then(|(_, day)| day.parse::<u32>().ok());
            if day.is_some_and(|day| day.saturating_add(DAYS_UNTIL_SETTLED) <= today) {
                settled.extend(directory.join(&file));
            }
        }
        if settled.is_empty() {
            return Ok(());
        }
        let merged = layout::pulls_merged(name);
        let mut minutes = file::read(&*self.driver, &merged).await?;
        for path in &settled {
            file::merge(&mut minutes, file::read(&*self.driver, path).await?);
        }
        minutes.retain(|_, minute| *minute >= oldest);
        let content = file::encode(&minutes, PULLS_MERGED_MAX);
        self.driver.put(&merged, content).await?;
        for path in &settled {
            self.delete_if_there(path).await?;
        }
        Ok(())
    }
}

/// What is read of the note of since when at most, in bytes.
pub(super) const SINCE_BYTES_MAX: u64 = LINK_BYTES_MAX;
