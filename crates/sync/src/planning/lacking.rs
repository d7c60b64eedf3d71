//! What the target lacks of a manifest that it has: children of an index, and what refers to any of
//! them.

use oci::{Digest, ManifestKind, Reference, RepositoryName};

use crate::companions::ByDigest;
use crate::engine::Engine;
use crate::fault::Result;
use crate::limits::{DEPTH_MAX, MANIFESTS_MAX, REFERRERS_DEPTH_MAX};
use crate::place::{Content, Place};
use crate::{Child, Reason};

impl Engine {
    /// A manifest of a side, and the manifests that are copied with it.
    pub(super) async fn tree_of(
        &self,
        place: &Place,
        name: &RepositoryName,
        root: Digest,
    ) -> Result<Vec<Digest>> {
        let (mut tree, mut level) = (vec![root], vec![root]);
        for _ in 0..DEPTH_MAX {
            let mut next = Vec::new();
            for digest in level {
                let found = place.manifest(name, &digest).await?;
                if !matches!(Content::parse(&found)?.manifest.kind, ManifestKind::Index { .. }) {
                    continue;
                }
                let children = Child::of_index(&found.content).unwrap_or_default();
                let chosen = self.job.platforms.chosen(&children);
                let manifests = chosen.into_iter().filter(|child| child.is_manifest());
                for digest in manifests.filter_map(Child::parsed_digest) {
                    if tree.len() < MANIFESTS_MAX && !tree.contains(&digest) {
                        tree.push(digest);
                        next.push(digest);
                    }
                }
            }
            level = next;
        }
        Ok(tree)
    }

    /// What the target lacks of a manifest that it has.
    pub(super) async fn lacked(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: Digest,
        companions: &ByDigest,
    ) -> Result<Option<Reason>> {
        // Nothing is asked of what is known to be there in whole, and has no referrers to look for.
        if !self.job.referrers && self.whole.has(to, &digest) {
            return Ok(None);
        }
        let Some(tree) = self.tree_at_target(from, to, digest).await? else {
            return Ok(Some(Reason::Incomplete));
        };
        self.whole.note(to, &digest);
        let lacks_referrers = self.job.referrers && self.lacks(from, to, tree, companions).await?;
        Ok(lacks_referrers.then_some(Reason::Referrers))
    }

    /// A manifest that both sides have, and the manifests that are copied with it; `None` when the
    /// target lacks one of these, as it does when they were left out by `platforms` before.
    async fn tree_at_target(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        root: Digest,
    ) -> Result<Option<Vec<Digest>>> {
        // Here it can be read without being counted by anybody.
        match &self.source {
            Place::There(_) => match self.tree_of(&self.target, to, root).await {
                Err(fault) if fault.is_unknown_here() => Ok(None),
                tree => tree.map(Some),
            },
            Place::Here(_) => {
                let tree = self.tree_of(&self.source, from, root).await?;
                if !self.whole.has(to, &root) {
                    for digest in tree.iter().skip(1) {
                        let by_digest = Reference::Digest(*digest);
                        if self.target.resolve(to, &by_digest).await?.is_none() {
                            return Ok(None);
                        }
                    }
                }
                Ok(Some(tree))
            }
        }
    }

    /// Whether the target lacks anything that refers to any of these manifests.
    async fn lacks(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        tree: Vec<Digest>,
        companions: &ByDigest,
    ) -> Result<bool> {
        let mut level = tree;
        // Gathered first: an iterator over closures may not wait in a future that is to be sent.
        let tags: Vec<_> = level.iter().filter_map(|d| companions.get(d)).flatten().collect();
        for tag in tags {
            let reference = Reference::Tag(tag.clone());
            let here = self.source.resolve(from, &reference).await?;
            if here.is_some() && here != self.target.resolve(to, &reference).await? {
                return Ok(true);
            }
        }
        for _ in 0..REFERRERS_DEPTH_MAX {
            let mut next = Vec::new();
            for subject in level {
                let referrers = self.source.referrers(from, &subject).await?;
                if referrers.is_empty() {
                    continue;
                }
                let there = self.target.referrers(to, &subject).await?;
                if referrers.iter().any(|referrer| !there.contains(referrer)) {
                    return Ok(true);
                }
                next.extend(referrers);
            }
            level = next;
        }
        Ok(false)
    }
}
