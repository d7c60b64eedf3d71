//! Links whose path says what is in them: those of blobs, of manifests, and of what tags named.

use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::StoragePath;

use super::Check;
use super::error::Failure;
use super::kind::Kind;
use super::quarantine::{Repaired, Unless};
use super::report::Finding;
use crate::layout;
use crate::limits::{CHECK_SECOND_LOOK, STORED_MANIFEST_BYTES_MAX};
use crate::link::{self, Found};

/// A link of a repository whose path names a digest.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnLink<'a> {
    pub(super) name: &'a RepositoryName,
    pub(super) own: Digest,
    pub(super) of: Of<'a>,
}

/// What a link makes known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    Layer,
    Revision,
    TagIndex(&'a Tag),
}

impl OwnLink<'_> {
    pub(super) fn path(&self) -> StoragePath {
        match self.of {
            Of::Layer => layout::layer_link(self.name, &self.own),
            Of::Revision => layout::revision_link(self.name, &self.own),
            Of::TagIndex(tag) => layout::tag_index(self.name, tag, &self.own),
        }
    }

    const fn torn(&self) -> Kind {
        match self.of {
            Of::Layer => Kind::LayerLinkTorn,
            Of::Revision => Kind::RevisionLinkTorn,
            Of::TagIndex(_) => Kind::TagIndexTorn,
        }
    }

    const fn wrong(&self) -> Kind {
        match self.of {
            Of::Layer => Kind::LayerLinkWrong,
            Of::Revision => Kind::RevisionLinkWrong,
            Of::TagIndex(_) => Kind::TagIndexWrong,
        }
    }

    fn is_right(&self, target: &Digest) -> bool {
        match self.of {
            Of::TagIndex(_) => *target == self.own,
            Of::Layer | Of::Revision => leads_rightly(&self.own, target),
        }
    }
}

/// Whether the link of one digest may hold another: a link under another algorithm holds the SHA-256.
pub(super) fn leads_rightly(own: &Digest, target: &Digest) -> bool {
    target == own
        || (own.algorithm() != Algorithm::Sha256 && target.algorithm() == Algorithm::Sha256)
}

impl Check {
    /// Looks at the link of a blob or manifest; one of something else counts as damaged.
    pub(super) async fn look_at(&self, path: &StoragePath, own: &Digest) -> Result<Found, Failure> {
        Ok(match link::look(&*self.driver, path).await? {
            Found::Link(target) if !leads_rightly(own, &target) => Found::Damaged { size_bytes: 0 },
            found => found,
        })
    }

    /// Looks at a link, and mends it. What it leads to; nothing if it is not there, or damaged.
    pub(super) async fn check_link(&self, link: &OwnLink<'_>) -> Result<Option<Digest>, Failure> {
        let path = link.path();
        if let Some(directory) = path.parent() {
            self.check_leftovers(&directory).await?;
        }
        let mut seen = link::look(&*self.driver, &path).await?;
        let is_settled = |seen: &Found| match seen {
            Found::Link(target) => link.is_right(target),
            Found::Nothing => true,
            Found::Damaged { .. } => false,
        };
        if !is_settled(&seen) {
            tokio::time::sleep(CHECK_SECOND_LOOK).await;
            seen = link::look(&*self.driver, &path).await?;
        }
        let finding = match seen {
            Found::Nothing => return Ok(None),
            Found::Link(target) if link.is_right(&target) => return Ok(Some(target)),
            Found::Link(target) => Finding::new(link.wrong(), &path, format!("it names {target}")),
            Found::Damaged { size_bytes } => {
                let reason = format!("{size_bytes} bytes that are no digest");
                Finding::new(link.torn(), &path, reason)
            }
        };
        // It was pushed there, whatever has become of the link.
        self.note_linked(&link.own);
        let repaired = self.mend_link(link, &path).await;
        let is_mended = matches!(repaired, Ok(Repaired::Mended(_) | Repaired::Elsewhere));
        self.report(finding.of(&link.own).within(link.name), repaired);
        match is_mended {
            true => match link::look(&*self.driver, &path).await? {
                Found::Link(target) => Ok(Some(target)),
                _ => Ok(None),
            },
            false => Ok(None),
        }
    }

    async fn mend_link(&self, link: &OwnLink<'_>, path: &StoragePath) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        let Some(content) = self.content_of(link).await? else {
            return self.set_link_aside(path, Unless::LinksTo(link.own)).await;
        };
        match link::look(&*self.driver, path).await? {
            Found::Nothing => return Ok(Repaired::Elsewhere),
            Found::Link(target) if link.is_right(&target) => return Ok(Repaired::Elsewhere),
            _ => {}
        }
        self.driver.put(path, link::content(&content)).await?;
        Ok(Repaired::Mended("written anew".into()))
    }

    /// What belongs into a link, if that is known beyond doubt.
    async fn content_of(&self, link: &OwnLink<'_>) -> Result<Option<Digest>, Failure> {
        if let Of::TagIndex(_) = link.of {
            let path_of = |d: &Digest| layout::revision_link(link.name, d);
            let manifest = link::follow(&*self.driver, &link.own, path_of).await?;
            return Ok(manifest.map(|_| link.own));
        }
        let Some(canonical) = self.canonical_of(&link.own).await? else { return Ok(None) };
        let is_right = match link.of {
            Of::Revision => self.is_manifest(&canonical).await?,
            _ => self.is_intact(&canonical).await?,
        };
        Ok(is_right.then_some(canonical))
    }

    /// Whether a blob is there, has its digest, and is a manifest.
    pub(super) async fn is_manifest(&self, canonical: &Digest) -> Result<bool, Failure> {
        let path = layout::blob_data(canonical);
        let content = match self.driver.get(&path, STORED_MANIFEST_BYTES_MAX).await {
            Ok(content) => content,
            Err(
                storage::StorageError::NotFound { .. } | storage::StorageError::TooLarge { .. },
            ) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Digest::of(canonical.algorithm(), &content) == *canonical
            && oci::Manifest::parse_stored(&content).is_ok())
    }
}
