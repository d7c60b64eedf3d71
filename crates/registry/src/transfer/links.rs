//! The links, and what has to be at the target before one is written.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use oci::{Digest, RepositoryName};
use storage::StoragePath;

use super::error::Failure;
use super::tally::Kind;
use super::{Transfer, has};
use crate::layout;
use crate::link::{self, Found};

/// A link to be copied.
pub(super) struct Link<'a> {
    pub(super) path: StoragePath,
    pub(super) leads_to: LeadsTo<'a>,
    /// Whether the target may have it already.
    pub(super) is_listed: bool,
}

/// What a link makes known.
#[derive(Clone, Copy)]
pub(super) enum LeadsTo<'a> {
    /// Another digest of a blob.
    Alias,
    /// A blob of a repository, under this digest.
    Layer(&'a RepositoryName, Digest),
    /// A manifest of a repository, under this digest.
    Manifest(&'a RepositoryName, Digest),
    /// What a tag of a repository has named.
    TagHistory(&'a RepositoryName),
    /// What a tag of a repository names.
    Tag(&'a RepositoryName),
}

impl LeadsTo<'_> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Alias => Kind::Alias,
            Self::Layer(..) => Kind::Layer,
            Self::Manifest(..) => Kind::Manifest,
            Self::TagHistory(_) => Kind::TagHistory,
            Self::Tag(_) => Kind::Tag,
        }
    }
}

impl Transfer {
    /// Copies the aliases of blobs.
    pub(super) async fn copy_aliases(self: &Arc<Self>) {
        for shard in self.shards(&layout::aliases()).await {
            let Some((digests, listed)) = self.list_shard(&shard).await else { continue };
            let links = digests.into_iter().map(|digest| Link {
                path: layout::alias(&digest),
                leads_to: LeadsTo::Alias,
                is_listed: has(&listed, &digest.hex()),
            });
            self.copy_links(links).await;
        }
    }

    /// Copies links side by side. Returns whether no storage failed.
    pub(super) async fn copy_links(&self, links: impl Iterator<Item = Link<'_>>) -> bool {
        let copied = stream::iter(links).map(|link| async move { self.copy_link(&link).await });
        let all = async |all, one| all & one;
        copied.buffer_unordered(self.options.concurrency).fold(true, all).await
    }

    /// Copies a link. Returns false if a storage failed, or it is the end.
    async fn copy_link(&self, link: &Link<'_>) -> bool {
        let Ok(_turn) = self.turns.acquire().await else { return false };
        if self.is_ending() {
            return false;
        }
        match link::look(&*self.source, &link.path).await {
            Ok(Found::Link(digest)) => self.write_link(link, &digest).await,
            Ok(Found::Damaged { size_bytes }) => {
                let reason = format!("it is no link: {size_bytes} bytes that are no digest");
                self.tally.left_out(&link.path, reason);
                true
            }
            Ok(Found::Nothing) => true,
            Err(error) => {
                self.failed(&link.path, &Failure::Source(error));
                false
            }
        }
    }

    /// Writes a link that leads to `digest`, unless the target has it. Returns false if a storage
    /// failed.
    pub(super) async fn write_link(&self, link: &Link<'_>, digest: &Digest) -> bool {
        let outcome = self.write_link_if_supported(link, digest).await;
        let kind = link.leads_to.kind();
        match outcome {
            Ok(Written::Copied) => self.tally.copied_link(kind),
            Ok(Written::There) => self.tally.there(kind),
            // Distribution never removes these notes, so that they say nothing of a fault.
            Ok(Written::LeadsToNothing) if kind == Kind::TagHistory => self.tally.stale(),
            Ok(Written::LeadsToNothing) => {
                self.tally
                    .left_out(&link.path, format!("it leads to {digest}, which is not there"));
            }
            Err(failure) if failure.is_corrupt() => {
                if matches!(failure, Failure::Corrupt { .. }) {
                    self.failed(layout::blob_data(digest), &failure);
                }
                self.tally.left_out(&link.path, format!("it leads to {digest}, which is damaged"));
            }
            Err(failure) => {
                self.failed(&link.path, &failure);
                return false;
            }
        }
        true
    }

    async fn write_link_if_supported(
        &self,
        link: &Link<'_>,
        digest: &Digest,
    ) -> Result<Written, Failure> {
        if link.is_listed
            && let Found::Link(there) =
                link::look(&*self.target, &link.path).await.map_err(Failure::Target)?
            && there == *digest
        {
            return Ok(Written::There);
        }
        if !self.is_supported(&link.leads_to, digest).await? {
            return Ok(Written::LeadsToNothing);
        }
        if !self.options.dry_run {
            let written = self.target.put(&link.path, link::content(digest)).await;
            written.map_err(Failure::Target)?;
        }
        Ok(Written::Copied)
    }

    /// Whether the target has what a link to `digest` leads to; of blobs, whether it has now.
    async fn is_supported(&self, link: &LeadsTo<'_>, digest: &Digest) -> Result<bool, Failure> {
        let (name, own, path_of) = match *link {
            LeadsTo::Alias => return self.has_blob(digest).await,
            LeadsTo::TagHistory(name) | LeadsTo::Tag(name) => {
                let path_of = |d: &Digest| layout::revision_link(name, d);
                let manifest = link::follow(self.copied_to(), digest, path_of).await;
                return Ok(manifest.map_err(Failure::Target)?.is_some());
            }
            LeadsTo::Layer(name, own) => (name, own, layout::layer_link as fn(&_, &_) -> _),
            LeadsTo::Manifest(name, own) => (name, own, layout::revision_link as fn(&_, &_) -> _),
        };
        // A link under another digest only counts together with the canonical one.
        if own != *digest {
            let canonical = link::look(self.copied_to(), &path_of(name, digest)).await;
            if !matches!(canonical.map_err(Failure::Target)?, Found::Link(_)) {
                return Ok(false);
            }
        }
        self.has_blob(digest).await
    }
}

/// What became of a link.
enum Written {
    Copied,
    There,
    LeadsToNothing,
}
