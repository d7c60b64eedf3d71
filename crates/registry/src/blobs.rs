//! Blobs: stored once under their SHA-256, and linked into every repository that has them.

use std::sync::Arc;

use oci::{Algorithm, Digest, RepositoryName};
use storage::{Object, StorageError};

use crate::descriptors::Gone;
use crate::{Error, Registry, Result, layout, link};

/// A blob's canonical digest and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobStat {
    /// The SHA-256, under which the content is stored.
    pub digest: Digest,
    /// Size of the content, in bytes.
    pub size_bytes: u64,
}

/// A blob that is open for reading.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The SHA-256, under which the content is stored.
    pub digest: Digest,
    /// The content.
    pub object: Arc<dyn Object>,
}

impl Registry {
    /// Size and canonical digest of a blob.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] when the repository does not have it, or its data is gone.
    pub async fn stat_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<BlobStat> {
        match &self.descriptors {
            None => self.stat_stored_blob(name, digest).await,
            // In a box, so that requests without a cache don't carry its state along.
            Some(cache) => Box::pin(self.stat_blob_by(&**cache, name, digest)).await,
        }
    }

    /// [`Registry::stat_blob`] for a client that may go on to rely on the blob instead of sending
    /// it: from now on, no collection takes it before the grace time is over.
    ///
    /// # Errors
    /// As [`Registry::stat_blob`].
    pub async fn promise_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<BlobStat> {
        let stat = self.stat_blob(name, digest).await?;
        match Box::pin(self.promise_linked(&stat.digest)).await {
            Ok(false) => Ok(stat),
            Ok(true) => self.stat_stored_blob(name, digest).await,
            // A storage that can't be written to takes no push that it would matter for.
            Err(error) => {
                tracing::debug!(repository = %name, %digest, %error, "blob can't be pinned");
                Ok(stat)
            }
        }
    }

    /// Size and canonical digest of a blob, from the storage whatever a cache says.
    pub(crate) async fn stat_stored_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobStat> {
        let canonical = self.linked_blob(name, digest).await?;
        match self.driver.stat(&layout::blob_data(&canonical)).await {
            Ok(stat) => Ok(BlobStat { digest: canonical, size_bytes: stat.size_bytes }),
            Err(error) => Err(blob_error(name, digest, error)),
        }
    }

    /// Opens a blob. What is open stays readable to its end, whatever happens to the blob.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] when the repository does not have it, or its data is gone.
    pub async fn open_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Blob> {
        match &self.descriptors {
            None => self.open_stored_blob(name, digest).await,
            Some(cache) => Box::pin(self.open_blob_by(&**cache, name, digest)).await,
        }
    }

    pub(crate) async fn open_stored_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Blob> {
        let canonical = self.linked_blob(name, digest).await?;
        match self.driver.open(&layout::blob_data(&canonical)).await {
            Ok(object) => Ok(Blob { digest: canonical, object }),
            Err(error) => Err(blob_error(name, digest, error)),
        }
    }

    /// Takes a blob out of a repository. Its data stays until it is collected.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] when the repository does not have it.
    pub async fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<()> {
        let linked = self.linked_blob(name, digest).await;
        let canonical = *linked.as_ref().unwrap_or(digest);
        let outcome = match linked {
            Ok(canonical) => self.delete_blob_links(name, &canonical, digest).await,
            Err(error) => Err(error),
        };
        // Whatever came of it: what a failure left of the blob is not known, and what another
        // program has deleted may be remembered still.
        self.revoke(name, &[canonical, *digest], Gone::FromRepository).await;
        outcome
    }

    async fn delete_blob_links(
        &self,
        name: &RepositoryName,
        canonical: &Digest,
        digest: &Digest,
    ) -> Result<()> {
        // Without its canonical link a blob is gone under every other digest as well.
        for digest in [canonical, digest] {
            self.delete_if_there(&layout::layer_link(name, digest)).await?;
        }
        Ok(())
    }

    /// Makes a blob of another repository part of this one, without moving its data. With no
    /// source repository, any blob of the storage will do (distribution-spec, "Mounting a blob
    /// from another repository").
    ///
    /// Returns the canonical digest; `None` when there is nothing to mount, so that the client
    /// must upload.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn mount_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<Option<Digest>> {
        let stat = match from {
            Some(source) => match self.stat_stored_blob(source, digest).await {
                Ok(stat) => Some(stat),
                Err(Error::BlobUnknown { .. }) => None,
                Err(error) => return Err(error),
            },
            None => self.find_blob(digest).await?,
        };
        let Some(stat) = stat else { return Ok(None) };
        let canonical = stat.digest;
        let view = self.view().await?;
        if self.promise(&view, &canonical).await? && !self.is_stored(&canonical).await? {
            return Ok(None);
        }
        match self.driver.settle(&layout::blob_data(&canonical)).await {
            Ok(()) => {}
            // It was collected while this stood still.
            Err(StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let links = link::changes(&canonical, digest, |d| layout::layer_link(name, d));
        let ticket = self.ticket(name).await;
        self.driver.apply(vec![links]).await?;
        if let Some(view) = self.overtaken(view).await? {
            self.promise(&view, &canonical).await?;
            if !self.has_blob(name, digest).await? {
                return Ok(None);
            }
        }
        self.remember_blob(ticket, name, digest, stat).await;
        Ok(Some(canonical))
    }

    /// Whether the data of a blob lies in the storage, because of whichever repository.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn is_blob_stored(&self, digest: &Digest) -> Result<bool> {
        Ok(self.find_blob(digest).await?.is_some())
    }

    /// Size and canonical digest of a blob that lies in the storage, because of whichever repository.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn find_blob(&self, digest: &Digest) -> Result<Option<BlobStat>> {
        let canonical = match digest.algorithm() {
            Algorithm::Sha256 => Some(*digest),
            _ => link::read(&*self.driver, &layout::alias(digest)).await?,
        };
        let Some(canonical) = canonical else { return Ok(None) };
        match self.driver.stat(&layout::blob_data(&canonical)).await {
            Ok(stat) => Ok(Some(BlobStat { digest: canonical, size_bytes: stat.size_bytes })),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a repository has a blob, data included, by the word of the storage alone: what is
    /// accepted because of it must not depend on a cache.
    pub(crate) async fn has_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        match self.stat_stored_blob(name, digest).await {
            Ok(_) => Ok(true),
            Err(Error::BlobUnknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Follows a repository's link, of a blob or of a manifest, to the canonical digest of what a
    /// manifest names.
    pub(crate) async fn linked_part(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Digest>> {
        match link::follow(&*self.driver, digest, |d| layout::layer_link(name, d)).await? {
            Some(canonical) => Ok(Some(canonical)),
            None => self.linked_manifest(name, digest).await,
        }
    }

    /// The canonical digest of a blob that the repository has.
    async fn linked_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Digest> {
        let canonical =
            link::follow(&*self.driver, digest, |d| layout::layer_link(name, d)).await?;
        canonical.ok_or_else(|| Error::BlobUnknown { name: name.clone(), digest: *digest })
    }
}

pub(crate) fn blob_error(name: &RepositoryName, digest: &Digest, error: StorageError) -> Error {
    if error.is_not_found() {
        tracing::warn!(repository = %name, %digest, "blob is linked but its data is gone");
        Error::BlobUnknown { name: name.clone(), digest: *digest }
    } else {
        error.into()
    }
}
