//! What a manifest that is being pushed relies on.

use oci::{Algorithm, Digest, Manifest, ManifestKind, RepositoryName, Tag};

use super::{Claim, View};
use crate::limits::CLAIMED_DEPTH_MAX;
use crate::{Registry, Result};

impl Registry {
    /// Claims everything that a manifest is made of, itself and its tags. While something is being
    /// collected that goes down to what the children of an index are made of: they may all be on
    /// the list, or on the next one, with nothing but this index to keep them.
    pub(crate) async fn claim_manifest(
        &self,
        view: &View,
        name: &RepositoryName,
        (canonical, manifest): (&Digest, &Manifest),
        tags: &[Tag],
    ) -> Result<()> {
        if view.is_quiet() {
            return Ok(());
        }
        let mut claims: Vec<_> = tags.iter().map(|tag| Claim::tag(name, tag)).collect();
        claims.push(Claim::content(canonical));
        let mut level = self.claim_parts(name, manifest, &mut claims).await?;
        for _ in 1..CLAIMED_DEPTH_MAX {
            let mut next = Vec::new();
            for child in level {
                // One that can't be read is the concern of the check that follows.
                let Ok(Some((_, content))) = self.load_manifest(&child).await else { continue };
                let Ok(manifest) = Manifest::parse_stored(&content) else { continue };
                next.extend(self.claim_parts(name, &manifest, &mut claims).await?);
            }
            level = next;
        }
        self.claim(view, &claims).await
    }

    /// Adds the claims on what a manifest names; returns its children.
    async fn claim_parts(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        claims: &mut Vec<Claim>,
    ) -> Result<Vec<Digest>> {
        let mut children = Vec::new();
        for descriptor in manifest.references() {
            let Ok(digest) = descriptor.parsed_digest() else { continue };
            let canonical = match digest.algorithm() {
                Algorithm::Sha256 => Some(digest),
                _ => self.linked_part(name, &digest).await?,
            };
            let Some(canonical) = canonical else { continue };
            claims.push(Claim::content(&canonical));
            if matches!(manifest.kind, ManifestKind::Index { .. }) {
                children.push(canonical);
            }
        }
        Ok(children)
    }
}
