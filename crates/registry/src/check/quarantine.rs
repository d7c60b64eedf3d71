//! Setting aside what can't be mended. It is moved, and what was moved is looked at once more: if a
//! push has mended it a moment before, it goes back.

use oci::{Algorithm, Digest};
use storage::{PathError, StorageError, StoragePath, found};

use super::Check;
use super::content::{Content, Data};
use super::error::Failure;
use super::links::leads_rightly;
use crate::layout;
use crate::link::{self, Found};

/// What came of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repaired {
    /// Nothing was tried.
    NotTried,
    /// It is as it should be, and how.
    Mended(String),
    /// It was moved there.
    SetAside(StoragePath),
    /// It could not be mended, and why.
    Remains(String),
    /// It is as it should be, or gone, by the hand of somebody else.
    Elsewhere,
}

/// When a link that was set aside goes back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unless {
    /// When it is a link of what its own path says.
    LinksTo(Digest),
    /// When it is a link at all.
    IsLink,
    /// When the content of this is there.
    HasData(Digest),
}

impl Check {
    /// Moves damaged content to the quarantine.
    pub(super) async fn set_blob_aside(
        &self,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        let aside = checked(path, layout::quarantined_blob(digest, &now()))?;
        match self.driver.publish(path, &aside).await {
            Ok(()) => {}
            Err(StorageError::NotFound { .. }) => return Ok(Repaired::Elsewhere),
            Err(error) => return Err(error.into()),
        }
        // Not by its size and time: it may have been mended between being read and being moved. What
        // lies in another's place is damaged however it is.
        if *path == layout::blob_data(digest) {
            let examined = self.examine(&aside, digest).await;
            if !matches!(examined, Ok(Content::Damaged { .. })) {
                self.put_back(&aside, path).await?;
                return examined.map(|_| Repaired::Elsewhere);
            }
        }
        self.remove_empty(path).await;
        Ok(Repaired::SetAside(aside))
    }

    /// Moves a link to the quarantine.
    pub(super) async fn set_link_aside(
        &self,
        path: &StoragePath,
        unless: Unless,
    ) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        if self.is_mended(unless, &link::look(&*self.driver, path).await?).await? {
            return Ok(Repaired::Elsewhere);
        }
        let aside = checked(path, layout::quarantined_link(path, &now()))?;
        match self.driver.publish(path, &aside).await {
            Ok(()) => {}
            Err(StorageError::NotFound { .. }) => return Ok(Repaired::Elsewhere),
            Err(error) => return Err(error.into()),
        }
        if self.is_mended(unless, &link::look(&*self.driver, &aside).await?).await? {
            self.put_back(&aside, path).await?;
            return Ok(Repaired::Elsewhere);
        }
        self.remove_empty(path).await;
        Ok(Repaired::SetAside(aside))
    }

    async fn is_mended(&self, unless: Unless, found: &Found) -> Result<bool, Failure> {
        Ok(match (unless, found) {
            (Unless::LinksTo(own), Found::Link(target)) => leads_rightly(&own, target),
            (Unless::IsLink, Found::Link(_)) => true,
            (Unless::HasData(digest), _) => self.data_now(&digest).await? != Data::Missing,
            _ => false,
        })
    }

    /// Moves back what was moved too quickly, unless there is something new in its place.
    async fn put_back(&self, aside: &StoragePath, path: &StoragePath) -> Result<(), Failure> {
        if found(self.driver.stat(path).await)?.is_none() {
            self.driver.publish(aside, path).await?;
        }
        Ok(())
    }

    /// Removes the directory that something lay in, if nothing else does. It only takes space.
    async fn remove_empty(&self, path: &StoragePath) {
        let Some(directory) = path.parent() else { return };
        if let Err(error) = self.driver.delete_empty(&directory).await {
            tracing::debug!(path = %directory, %error, "an empty directory could not be deleted");
        }
    }

    /// The canonical digest of what a digest names, as far as that is known beyond doubt.
    pub(super) async fn canonical_of(&self, digest: &Digest) -> Result<Option<Digest>, Failure> {
        if digest.algorithm() == Algorithm::Sha256 {
            return Ok(Some(*digest));
        }
        let alias = link::look(&*self.driver, &layout::alias(digest)).await?;
        let Found::Link(canonical) = alias else { return Ok(None) };
        let content = self.examine(&layout::blob_data(&canonical), digest).await?;
        Ok(matches!(content, Content::Whole { .. }).then_some(canonical))
    }
}

/// The present time, as a component of a path that nothing else has.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%9fZ").to_string()
}

/// Digests, times and paths are all of characters that paths have.
fn checked(
    path: &StoragePath,
    aside: Result<StoragePath, PathError>,
) -> Result<StoragePath, Failure> {
    aside.map_err(|error| {
        let source = std::io::Error::other(error);
        StorageError::Io { operation: "set aside", path: path.clone(), source }.into()
    })
}
