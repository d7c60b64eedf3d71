//! What all servers noted.

use std::time::SystemTime;

use oci::{Digest, Reference, RepositoryName, Tag};
use storage::{Driver, EntryKind, Pages, StorageError, StoragePath};

use super::end_of;
use super::file::{self, Minutes};
use super::flush::SINCE_BYTES_MAX;
use crate::{Registry, Result, layout};

/// When a repository's manifests and tags were last pulled.
#[derive(Debug, Default)]
pub(crate) struct PullTimes {
    minutes: Minutes,
    /// Since when that is noted; none when it is not.
    since: Option<u32>,
}

impl PullTimes {
    /// When a tag, or what it names under these digests, was last pulled at the latest. None when
    /// that is not known.
    pub(crate) fn of_tag(
        &self,
        tag: &Tag,
        digests: impl IntoIterator<Item = Digest>,
    ) -> Option<SystemTime> {
        let by_tag = self.minutes.get(&Reference::Tag(tag.clone()));
        let by_digest = digests.into_iter().filter_map(|d| self.minutes.get(&Reference::Digest(d)));
        // What was pulled before there was a gap may have been pulled in it, too.
        by_digest
            .chain(by_tag)
            .copied()
            .chain(self.since)
            .max()
            .filter(|_| self.since.is_some())
            .map(end_of)
    }

    /// When a tag was last seen to be pulled.
    pub(crate) fn of_name(&self, tag: &Tag) -> Option<SystemTime> {
        self.minutes.get(&Reference::Tag(tag.clone())).copied().map(end_of)
    }

    /// Since when it is noted what is pulled; none when it is not, or not known.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        self.since.map(end_of)
    }

    /// When a manifest was last seen to be pulled by one of these digests.
    pub(crate) fn of_digests(
        &self,
        digests: impl IntoIterator<Item = Digest>,
    ) -> Option<SystemTime> {
        let minutes = digests.into_iter().filter_map(|d| self.minutes.get(&Reference::Digest(d)));
        minutes.max().copied().map(end_of)
    }
}

impl Registry {
    /// When a repository's manifests and tags were last pulled, by all that servers wrote down.
    pub(crate) async fn pulls_of(&self, name: &RepositoryName) -> Result<PullTimes> {
        let directory = layout::pulls(name);
        let mut minutes = Minutes::new();
        for file in files(&*self.driver, &directory).await? {
            let Ok(path) = directory.join(&file) else { continue };
            file::merge(&mut minutes, file::read(&*self.driver, &path).await?);
        }
        let since = since(&*self.driver).await?;
        Ok(PullTimes { minutes, since })
    }
}

/// Since when pulls are noted. None when that is not known: they may have been, or not.
pub(super) async fn since(driver: &dyn Driver) -> Result<Option<u32>, StorageError> {
    match driver.get(&layout::pulls_since(), SINCE_BYTES_MAX).await {
        Ok(content) => Ok(std::str::from_utf8(&content).ok().and_then(|text| text.parse().ok())),
        Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files of a repository.
pub(super) async fn files(
    driver: &dyn Driver,
    directory: &StoragePath,
) -> Result<Vec<Box<str>>, StorageError> {
    let mut found = Vec::new();
    let mut pages = Pages::of(directory.clone());
    while let Some(entries) = pages.next(driver).await? {
        let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
        found.extend(files.map(|entry| entry.name));
    }
    Ok(found)
}
