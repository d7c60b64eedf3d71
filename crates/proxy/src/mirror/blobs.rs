//! Blobs of a mirrored repository.

use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, RepositoryName};
use registry::{Blob, BlobStat, Error, Registry};
use tracing::warn;

use super::{Mirror, Mirrored};
use crate::error::{MirrorError, Result, Wanted};
use crate::fetch::{Keeping, Order, Reader};

impl Mirrored<'_> {
    /// Size and digest of a blob, which is not fetched because of it.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn stat_blob(&self, digest: &Digest) -> Result<BlobStat> {
        // It is not promised to whoever asks: there are no pushes that could rely on it.
        if let Some(stat) = stat_here(&self.mirror.registry, self.name, digest).await? {
            return Ok(stat);
        }
        let size_bytes = self.size_there(digest).await?;
        Ok(BlobStat { digest: *digest, size_bytes })
    }

    /// Asks the upstream how large a blob is, once for all who want to know.
    async fn size_there(&self, digest: &Digest) -> Result<u64> {
        let wanted = Wanted::Blob(*digest);
        let there = self.there(&wanted)?;
        let upstream = Arc::clone(&self.covering.upstream);
        let (digest, asking) = (*digest, self.asking.clone());
        let size = self.mirror.sizes.join((self.name.clone(), digest), || async move {
            Ok(upstream.stat_blob(&there, &digest, &asking).await?)
        });
        let size = size.await.unwrap_or_else(|| Err(self.given_up()));
        self.note_absence(&wanted, &size);
        size
    }

    /// Whether a blob is here already.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        Ok(stat_here(&self.mirror.registry, self.name, digest).await?.is_some())
    }

    /// Opens a blob: the one that is here, or one that is just coming, which can be read as it comes.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn open_blob(&self, digest: &Digest) -> Result<Blob> {
        let Mirrored { mirror, name, .. } = *self;
        let ended_before = mirror.fetches.ended();
        if let Some(blob) = open_here(&mirror.registry, name, digest).await? {
            mirror.memory.blobs().hit();
            return Ok(self.pushed(blob));
        }
        mirror.memory.blobs().miss();
        if let Some(blob) = self.mounted(digest).await? {
            return Ok(self.pushed(blob));
        }
        let order = self.order(digest, ended_before, mirror.unattended)?;
        if let Some(reader) = self.shared(&order).await?
            && let Ok(object) = reader.opened().await
        {
            return Ok(self.pushed(Blob { digest: *digest, object }));
        }
        let mut opened = mirror.fetches.join(order.clone()).opened().await;
        if matches!(opened, Err(MirrorError::NoRoom { .. })) {
            // It was being fetched for nobody. For somebody it is, kept or not.
            opened = mirror.fetches.join(order).opened().await;
        }
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
            keeping: if self.keeps { Keeping::IfPossible } else { Keeping::Never },
            ended_before,
        })
    }

    /// The fetch of the same blob for another repository, if there is one, and the upstream says that
    /// it is in this one as well. At its end it is.
    pub(super) async fn shared(&self, order: &Order) -> Result<Option<Reader>> {
        let Mirror { fetches, registry, .. } = self.mirror;
        let Some(other) = fetches.elsewhere(order) else { return Ok(None) };
        match self.size_there(&order.digest).await {
            Ok(_) => {
                if !fetches.adopt(order, &other) {
                    registry.mount_blob(self.name, &order.digest, None).await?;
                }
                Ok(Some(other))
            }
            Err(error) if error.is_not_found() => Err(error),
            Err(_) => Ok(None),
        }
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
        if !self.keeps {
            return Ok(None);
        }
        let Some(stored) = mirror.registry.find_blob(digest).await? else { return Ok(None) };
        // What has another size than it should is no such blob, and is replaced by what is fetched.
        if self.size_there(digest).await? != stored.size_bytes {
            return Ok(None);
        }
        match mirror.registry.mount_blob(name, digest, None).await? {
            Some(_) => Ok(Some(mirror.registry.open_blob(name, digest).await?)),
            None => Ok(None),
        }
    }
}

/// Size and digest of a blob that is here, if it is.
async fn stat_here(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<BlobStat>> {
    let found = known(registry.stat_blob(name, digest).await)?;
    Ok(found.filter(|stat| !is_torn(name, digest, stat.size_bytes)))
}

/// Opens a blob that is here, if it is.
pub(crate) async fn open_here(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Blob>> {
    let found = known(registry.open_blob(name, digest).await)?;
    Ok(found.filter(|blob| !is_torn(name, digest, blob.object.size_bytes())))
}

/// Tells a blob that is not here from what went wrong.
fn known<T>(found: registry::Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::BlobUnknown { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether what is stored of a blob is the empty file that a crash has left of it. Such a blob is not
/// here: it is fetched anew, which replaces what has another size.
fn is_torn(name: &RepositoryName, digest: &Digest, size_bytes: u64) -> bool {
    let is_torn = size_bytes == 0 && Digest::of(digest.algorithm(), b"") != *digest;
    if is_torn {
        warn!(repository = %name, %digest, "the cached blob is not used: its file is empty");
    }
    is_torn
}
