//! What a manifest that is being pushed relies on.

use oci::{Algorithm, Digest, Manifest, ManifestKind, RepositoryName, Tag};

use super::{Claim, View};
use crate::limits::CLAIMED_DEPTH_MAX;
use crate::{Error, ReferenceFault, Registry, Result};

/// What the children of an index are made of.
#[derive(Debug, Default)]
struct Parts {
    claims: Vec<Claim>,
    /// What the children name, and that is theirs and not the index's.
    of_children: Vec<Digest>,
}

impl Registry {
    /// Claims everything that a manifest is made of, itself and its tags. While something is being
    /// collected that goes down to what the children of an index are made of: they may all be on
    /// the list, or on the next one, with nothing but this index to keep them.
    ///
    /// Returns what of the children's parts is on the list, and may have gone before it was claimed:
    /// nobody else looks for it.
    pub(crate) async fn claim_manifest(
        &self,
        view: &View,
        name: &RepositoryName,
        (canonical, manifest): (&Digest, &Manifest),
        tags: &[Tag],
    ) -> Result<Vec<Digest>> {
        if view.is_quiet() {
            return Ok(Vec::new());
        }
        let mut parts = Parts::default();
        parts.claims.extend(tags.iter().map(|tag| Claim::tag(name, tag)));
        parts.claims.push(Claim::content(canonical));
        let mut level = vec![manifest.clone()];
        for depth in 0..CLAIMED_DEPTH_MAX {
            let mut next = Vec::new();
            for manifest in &level {
                next.extend(self.take_parts(name, manifest, depth > 0, &mut parts).await?);
            }
            level = next;
        }
        self.claim(view, &parts.claims).await?;
        parts.of_children.retain(|digest| view.lists(Claim::content(digest)));
        Ok(parts.of_children)
    }

    /// Notes what a manifest names; returns its children, as far as they can be read.
    async fn take_parts(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        is_child: bool,
        parts: &mut Parts,
    ) -> Result<Vec<Manifest>> {
        let mut children = Vec::new();
        for descriptor in manifest.references() {
            let Ok(digest) = descriptor.parsed_digest() else { continue };
            let canonical = match digest.algorithm() {
                Algorithm::Sha256 => Some(digest),
                _ => self.linked_part(name, &digest).await?,
            };
            let Some(canonical) = canonical else { continue };
            parts.claims.push(Claim::content(&canonical));
            if is_child {
                parts.of_children.push(canonical);
            }
            if matches!(manifest.kind, ManifestKind::Index { .. }) {
                children.extend(self.child(&canonical).await);
            }
        }
        Ok(children)
    }

    /// A child of an index. One that can't be read is the concern of the check of the index.
    async fn child(&self, canonical: &Digest) -> Option<Manifest> {
        let (_, content) = self.load_manifest(canonical).await.ok()??;
        Manifest::parse_stored(&content).ok()
    }

    /// Looks whether what children are made of is there.
    pub(crate) async fn check_parts(
        &self,
        name: &RepositoryName,
        digests: &[Digest],
    ) -> Result<()> {
        let mut faults = Vec::new();
        for digest in digests {
            if !self.has_blob(name, digest).await? && !self.has_manifest(name, digest).await? {
                faults.push(ReferenceFault {
                    digest: digest.to_string(),
                    missing: true,
                    reason: format!(
                        "{digest}, a part of a child of this index, was just collected from \
                         {name}; push the child again"
                    ),
                });
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::ManifestReferences(faults)) }
    }

    /// Looks whether a manifest is whole, down to what its children are made of.
    pub(crate) async fn check_whole(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<()> {
        let mut level = vec![manifest.clone()];
        for _ in 0..CLAIMED_DEPTH_MAX {
            let mut next = Vec::new();
            for manifest in level {
                self.check_manifest(name, &manifest).await?;
                next.extend(self.take_parts(name, &manifest, false, &mut Parts::default()).await?);
            }
            level = next;
        }
        Ok(())
    }
}
