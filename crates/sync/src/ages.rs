//! When what a remote has was made. To ask for that may count as a pull there, and what a digest
//! stands for never changes: so it is asked once, and kept on the storage.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use oci::Digest;
use storage::{Driver, StorageError, StoragePath};

use crate::limits::{AGES_BYTES_MAX, AGES_MAX};

/// Times by digest; `None` for what says none.
#[derive(Debug, Default)]
pub(crate) struct Ages(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    times: HashMap<Digest, Option<Timestamp>>,
    has_changed: bool,
}

impl Ages {
    /// When something was made, if that was asked before.
    pub(crate) fn of(&self, digest: &Digest) -> Option<Option<SystemTime>> {
        let known = self.lock().times.get(digest).copied()?;
        Some(known.map(SystemTime::from))
    }

    pub(crate) fn note(&self, digest: &Digest, time: Option<SystemTime>) {
        let mut known = self.lock();
        if known.times.len() >= AGES_MAX {
            // What is forgotten is asked again.
            known.times.clear();
        }
        known.times.insert(*digest, time.and_then(|time| Timestamp::try_from(time).ok()));
        known.has_changed = true;
    }

    /// Reads what was kept, unless something is known already.
    pub(crate) async fn load(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
    ) -> Result<(), StorageError> {
        if !self.lock().times.is_empty() {
            return Ok(());
        }
        let content = match driver.get(path, AGES_BYTES_MAX).await {
            Ok(content) => content,
            Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&content);
        self.lock().times.extend(text.lines().filter_map(parse).take(AGES_MAX));
        Ok(())
    }

    /// Keeps what came to be known. It only saves work.
    pub(crate) async fn save(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
    ) -> Result<(), StorageError> {
        let content = {
            let mut known = self.lock();
            if !std::mem::take(&mut known.has_changed) {
                return Ok(());
            }
            let mut lines: Vec<_> = known.times.iter().map(line).collect();
            lines.sort_unstable();
            lines.concat()
        };
        driver.put_unsynced(path, content.into()).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line((digest, time): (&Digest, &Option<Timestamp>)) -> String {
    match time {
        Some(time) => format!("{digest} {time}\n"),
        None => format!("{digest} -\n"),
    }
}

fn parse(line: &str) -> Option<(Digest, Option<Timestamp>)> {
    let (digest, time) = line.split_once(' ')?;
    let time = match time {
        "-" => None,
        time => Some(time.parse().ok()?),
    };
    Some((Digest::parse(digest).ok()?, time))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use oci::Algorithm;
    use storage::memory::Memory;

    use super::*;

    #[tokio::test]
    async fn what_is_kept_comes_back() {
        let driver = Memory::new();
        let path = StoragePath::parse("/ages").unwrap();
        let [one, two, three] =
            ["1", "2", "3"].map(|t| Digest::of(Algorithm::Sha256, t.as_bytes()));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let ages = Ages::default();
        ages.note(&one, Some(time));
        ages.note(&two, None);
        ages.save(&driver, &path).await.unwrap();
        let again = Ages::default();
        again.load(&driver, &path).await.unwrap();
        assert_eq!(again.of(&one), Some(Some(time)));
        assert_eq!(again.of(&two), Some(None));
        assert_eq!(again.of(&three), None);
        for odd in ["", "x -", "sha256:00 -", &format!("{one} yesterday"), &one.to_string()] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
