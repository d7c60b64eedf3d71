//! The descriptor cache that several servers on one storage share: that a repository has a blob, or
//! a revision of a manifest, remembered where asking is cheaper than at the storage.
//!
//! What it says answers clients, and nothing more: what decides about a write, such as whether a
//! manifest's layers are there, is read from the storage. That a repository does *not* have
//! something is never remembered.

use std::fmt;

use async_trait::async_trait;
use oci::{Algorithm, Digest, RepositoryName};
use storage::StorageError;

use crate::blobs::blob_error;
use crate::{Blob, BlobStat, Registry, Result, layout};

/// How many revocations a repository had seen at some moment. What was read from the storage after
/// that moment may be remembered with it, unless there was another revocation meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// The answer of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<T> {
    /// What is known; `None` says nothing about the storage.
    pub known: Option<T>,
    /// What to remember with what the storage says; `None` when the cache can't be had.
    pub ticket: Option<Ticket>,
}

impl<T> Found<T> {
    /// The answer of a cache that can't be had.
    pub const NOTHING: Self = Self { known: None, ticket: None };
}

/// Where something is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It was taken out of the repository; others may have it.
    FromRepository,
    /// Its data is gone, so that no repository has it.
    FromStorage,
}

/// What a cache was asked since the start, and whether it can be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DescriptorCacheStats {
    /// Look-ups.
    pub requests: u64,
    /// Look-ups that it had an answer to.
    pub hits: u64,
    /// Operations of any kind that failed.
    pub errors: u64,
    /// Whether it answered lately.
    pub is_available: bool,
}

/// A descriptor cache. No operation fails: a cache that can't be had knows nothing, and keeps in
/// mind what it could not revoke.
#[async_trait]
pub trait DescriptorCache: fmt::Debug + Send + Sync {
    /// What is known of a blob of a repository.
    async fn find_blob(&self, name: &RepositoryName, digest: &Digest) -> Found<BlobStat>;

    /// What is known of a revision of a repository: its canonical digest.
    async fn find_manifest(&self, name: &RepositoryName, digest: &Digest) -> Found<Digest>;

    /// A ticket for what is about to be written. `None` when the cache can't be had.
    async fn ticket(&self, name: &RepositoryName) -> Option<Ticket>;

    /// Remembers that a repository has a blob under a digest.
    async fn remember_blob(
        &self,
        ticket: Ticket,
        name: &RepositoryName,
        digest: &Digest,
        stat: BlobStat,
    );

    /// Remembers that a repository has a revision under a digest.
    async fn remember_manifest(
        &self,
        ticket: Ticket,
        name: &RepositoryName,
        digest: &Digest,
        canonical: &Digest,
    );

    /// Forgets these digests of a repository, or with none all that it has, as blobs and as
    /// revisions, and makes its tickets void. On return nobody who asks this cache is told that it has them.
    async fn revoke(&self, name: &RepositoryName, digests: &[Digest], gone: Gone);

    /// What it was asked.
    fn stats(&self) -> DescriptorCacheStats;
}

impl Registry {
    /// What the shared descriptor cache was asked; `None` when there is none.
    #[must_use]
    pub fn descriptor_cache_stats(&self) -> Option<DescriptorCacheStats> {
        self.descriptors.as_ref().map(|cache| cache.stats())
    }

    pub(crate) async fn stat_blob_by(
        &self,
        cache: &dyn DescriptorCache,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobStat> {
        let found = find_blob(cache, name, digest).await;
        if let Some(stat) = found.known {
            return Ok(stat);
        }
        let stat = self.stat_stored_blob(name, digest).await?;
        self.remember_blob(found.ticket, name, digest, stat).await;
        Ok(stat)
    }

    pub(crate) async fn open_blob_by(
        &self,
        cache: &dyn DescriptorCache,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Blob> {
        let found = find_blob(cache, name, digest).await;
        if let Some(BlobStat { digest: canonical, .. }) = found.known {
            match self.driver.open(&layout::blob_data(&canonical)).await {
                Ok(object) => return Ok(Blob { digest: canonical, object }),
                Err(error @ StorageError::NotFound { .. }) => {
                    self.revoke(name, &[canonical, *digest], Gone::FromStorage).await;
                    return Err(blob_error(name, digest, error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let blob = self.open_stored_blob(name, digest).await?;
        let stat = BlobStat { digest: blob.digest, size_bytes: blob.object.size_bytes() };
        self.remember_blob(found.ticket, name, digest, stat).await;
        Ok(blob)
    }

    pub(crate) async fn linked_manifest_by(
        &self,
        cache: &dyn DescriptorCache,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Digest>> {
        let found = find_manifest(cache, name, digest).await;
        if found.known.is_some() {
            return Ok(found.known);
        }
        let canonical = self.linked_manifest(name, digest).await?;
        if let Some(canonical) = &canonical {
            self.remember_revision(found.ticket, name, digest, canonical).await;
        }
        Ok(canonical)
    }

    /// A ticket for what is about to be written; `None` also when there is no cache.
    pub(crate) async fn ticket(&self, name: &RepositoryName) -> Option<Ticket> {
        self.descriptors.as_ref()?.ticket(name).await
    }

    /// Remembers a blob that the storage has.
    pub(crate) async fn remember_blob(
        &self,
        ticket: Option<Ticket>,
        name: &RepositoryName,
        digest: &Digest,
        stat: BlobStat,
    ) {
        let (Some(cache), Some(ticket)) = (&self.descriptors, ticket) else { return };
        cache.remember_blob(ticket, name, &stat.digest, stat).await;
        if stat.digest != *digest {
            cache.remember_blob(ticket, name, digest, stat).await;
        }
    }

    /// Remembers a revision that the storage has.
    pub(crate) async fn remember_revision(
        &self,
        ticket: Option<Ticket>,
        name: &RepositoryName,
        digest: &Digest,
        canonical: &Digest,
    ) {
        let (Some(cache), Some(ticket)) = (&self.descriptors, ticket) else { return };
        cache.remember_manifest(ticket, name, canonical, canonical).await;
        if canonical != digest {
            cache.remember_manifest(ticket, name, digest, canonical).await;
        }
    }

    /// Has what was deleted forgotten. Comes after the storage: what is read from it between the two
    /// must not be remembered.
    pub(crate) async fn revoke(&self, name: &RepositoryName, digests: &[Digest], gone: Gone) {
        if let Some(cache) = &self.descriptors {
            cache.revoke(name, digests, gone).await;
        }
    }
}

/// Asks for a blob as [`link::follow`](crate::link::follow) reads links: another digest only counts
/// together with the canonical one.
async fn find_blob(
    cache: &dyn DescriptorCache,
    name: &RepositoryName,
    digest: &Digest,
) -> Found<BlobStat> {
    let mut found = cache.find_blob(name, digest).await;
    if let Some(canonical) = found.known.map(|stat| stat.digest).filter(|d| d != digest) {
        found.known = match may_stand_for(digest, &canonical) {
            true => cache.find_blob(name, &canonical).await.known,
            false => None,
        };
        found.known = found.known.filter(|stat| stat.digest == canonical);
    }
    found
}

async fn find_manifest(
    cache: &dyn DescriptorCache,
    name: &RepositoryName,
    digest: &Digest,
) -> Found<Digest> {
    let mut found = cache.find_manifest(name, digest).await;
    if let Some(canonical) = found.known.filter(|canonical| canonical != digest) {
        found.known = match may_stand_for(digest, &canonical) {
            true => cache.find_manifest(name, &canonical).await.known,
            false => None,
        };
        found.known = found.known.filter(|known| *known == canonical);
    }
    found
}

/// Whether content can have both digests. A cache is no more to be trusted than who writes to it.
fn may_stand_for(digest: &Digest, canonical: &Digest) -> bool {
    digest.algorithm() != Algorithm::Sha256 && canonical.algorithm() == Algorithm::Sha256
}
