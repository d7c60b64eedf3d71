//! Blobs of a mirrored repository.

use std::sync::Arc;
use std::time::Duration;

use oci::Digest;
use registry::{Blob, BlobStat, Error};

use super::Mirrored;
use crate::error::{Result, Wanted};
use crate::fetch::Order;

impl Mirrored<'_> {
    /// Size and digest of a blob, which is not fetched because of it.
    ///
    /// # Errors
    /// [`MirrorError`](crate::MirrorError).
    pub async fn stat_blob(&self, digest: &Digest) -> Result<BlobStat> {
        let registry = &self.mirror.registry;
        // It is not promised to whoever asks: there are no pushes that could rely on it.
        match registry.stat_blob(self.name, digest).await {
            Err(Error::BlobUnknown { .. }) => {}
            found => return Ok(found?),
        }
        let size_bytes = self.size_there(digest).await?;
        Ok(BlobStat { digest: *digest, size_bytes })
    }

    async fn size_there(&self, digest: &Digest) -> Result<u64> {
        let wanted = Wanted::Blob(*digest);
        let there = self.there(&wanted)?;
        let size = self.covering.upstream.stat_blob(&there, digest, &self.asking).await;
        let size = size.map_err(Into::into);
        self.note_absence(&wanted, &size);
        size
    }

    /// Whether a blob is here already.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        match self.mirror.registry.stat_blob(self.name, digest).await {
            Ok(_) => Ok(true),
            Err(Error::BlobUnknown { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a blob: the one that is here, or one that is just coming, which can be read as it comes.
    ///
    /// # Errors
    /// [`MirrorError`](crate::MirrorError).
    pub async fn open_blob(&self, digest: &Digest) -> Result<Blob> {
        let Mirrored { mirror, name, .. } = *self;
        let ended_before = mirror.fetches.ended();
        match mirror.registry.open_blob(name, digest).await {
            Err(Error::BlobUnknown { .. }) => {}
            found => {
                let blob = found?;
                mirror.memory.blobs().hit();
                return Ok(self.pushed(blob));
            }
        }
        mirror.memory.blobs().miss();
        if let Some(blob) = self.mounted(digest).await? {
            return Ok(self.pushed(blob));
        }
        let order = self.order(digest, ended_before, mirror.unattended)?;
        let opened = mirror.fetches.join(order).opened().await;
        self.note_absence(&Wanted::Blob(*digest), &opened);
        Ok(self.pushed(Blob { digest: *digest, object: opened? }))
    }

    /// What a fetch is told of a blob that was looked for when so many fetches had ended.
    pub(super) fn order(
        &self,
        digest: &Digest,
        ended_before: u64,
        unattended: Duration,
    ) -> Result<Order> {
        let Mirrored { mirror, covering, name, .. } = *self;
        Ok(Order {
            registry: Arc::clone(&mirror.registry),
            upstream: Arc::clone(&covering.upstream),
            name: (*name).clone(),
            there: self.there(&Wanted::Blob(*digest))?,
            digest: *digest,
            asking: self.asking.clone(),
            unattended,
            keeps: self.keeps,
            ended_before,
        })
    }

    /// Counts what goes to a client.
    fn pushed(&self, blob: Blob) -> Blob {
        self.mirror.memory.blobs().pushed(blob.object.size_bytes());
        blob
    }

    /// The blob, if its data lies in the storage because of another repository, and the upstream says
    /// that it is in this one as well.
    pub(super) async fn mounted(&self, digest: &Digest) -> Result<Option<Blob>> {
        let Mirrored { mirror, name, .. } = *self;
        if !self.keeps || !mirror.registry.is_blob_stored(digest).await? {
            return Ok(None);
        }
        self.size_there(digest).await?;
        match mirror.registry.mount_blob(name, digest, None).await? {
            Some(_) => Ok(Some(mirror.registry.open_blob(name, digest).await?)),
            None => Ok(None),
        }
    }
}
