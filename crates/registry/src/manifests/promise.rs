//! Manifests that a client is told of, and goes on to rely on.

use oci::{Algorithm, Digest, Manifest, Reference, RepositoryName};

use super::StoredManifest;
use crate::claims::View;
use crate::{Error, Registry, Result};

impl Registry {
    /// A manifest by its digest, for a client that may go on to name it in an index instead of
    /// sending it: from now on, no collection takes it, and what it is made of, before the grace
    /// time is over.
    ///
    /// # Errors
    /// As [`Registry::get_manifest`].
    pub async fn promise_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<StoredManifest> {
        let reference = Reference::Digest(*digest);
        let stored = self.get_manifest(name, &reference).await?;
        match Box::pin(self.promise_stored(name, &stored)).await {
            Ok(true) => Ok(stored),
            Ok(false) => Err(Error::ManifestUnknown { name: name.clone(), reference }),
            // A storage that can't be written to takes no push that it would matter for.
            Err(error) => {
                tracing::debug!(repository = %name, %digest, %error, "manifest can't be pinned");
                Ok(stored)
            }
        }
    }

    /// Returns whether it is still there, whole.
    async fn promise_stored(&self, name: &RepositoryName, stored: &StoredManifest) -> Result<bool> {
        let canonical = match stored.digest.algorithm() {
            Algorithm::Sha256 => stored.digest,
            _ => Digest::of(Algorithm::Sha256, &stored.content),
        };
        let view = self.view().await?;
        if !self.promise_parts(name, stored, &view, &canonical).await? {
            return Ok(false);
        }
        let Some(view) = self.overtaken(view).await? else { return Ok(true) };
        // A whole collection may have come and gone meanwhile.
        Ok(self.promise_parts(name, stored, &view, &canonical).await?
            && self.is_whole(name, stored).await?)
    }

    async fn is_whole(&self, name: &RepositoryName, stored: &StoredManifest) -> Result<bool> {
        if !self.has_manifest(name, &stored.digest).await? {
            return Ok(false);
        }
        let Ok(manifest) = Manifest::parse_stored(&stored.content) else { return Ok(true) };
        match self.check_whole(name, &manifest).await {
            Err(Error::ManifestReferences(_)) => Ok(false),
            Err(error @ Error::Storage(_)) => Err(error),
            Ok(()) | Err(_) => Ok(true),
        }
    }

    async fn promise_parts(
        &self,
        name: &RepositoryName,
        stored: &StoredManifest,
        view: &View,
        canonical: &Digest,
    ) -> Result<bool> {
        // Of what is announced everything has to be pinned, down to what children are made of: it
        // is marked no more because of this manifest's pin alone.
        let manifest = match view.is_quiet() {
            true => None,
            false => Manifest::parse_stored(&stored.content).ok(),
        };
        let listed = match &manifest {
            Some(manifest) => self.claim_manifest(view, name, (canonical, manifest), &[]).await?,
            None => Vec::new(),
        };
        if !self.promise(view, canonical).await? {
            return Ok(true);
        }
        // It may have gone just before, or some of its parts, after which it goes as well.
        if !self.has_manifest(name, &stored.digest).await? {
            return Ok(false);
        }
        let Some(manifest) = &manifest else { return Ok(true) };
        for checked in
            [self.check_manifest(name, manifest).await, self.check_parts(name, &listed).await]
        {
            match checked {
                Err(Error::ManifestReferences(_)) => return Ok(false),
                Err(error @ Error::Storage(_)) => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(true)
    }
}
