//! What the manifests of a repository refer to.

use oci::{Algorithm, Descriptor, Digest};

use super::Check;
use super::content::Data;
use super::error::Failure;
use super::kind::Kind;
use super::known::fingerprint;
use super::manifests::Revision;
use super::quarantine::Repaired;
use super::report::Finding;
use crate::layout;
use crate::link::{self, Found};

/// How a repository has a blob.
enum Linked {
    /// By a link to this.
    To(Digest),
    /// By a link that is damaged, which is reported elsewhere.
    Damaged,
    /// Not at all.
    No,
}

impl Check {
    /// Looks at the configuration or a layer of an image.
    pub(super) async fn check_part(
        &self,
        revision: &Revision<'_>,
        descriptor: &Descriptor,
    ) -> Result<(), Failure> {
        // An older artifact's manifest has no configuration.
        if descriptor.digest.is_empty() {
            return Ok(());
        }
        let Ok(digest) = descriptor.parsed_digest() else {
            let reason = format!("it refers to {}, which no registry has", descriptor.digest);
            return self.report_of(revision, Kind::ManifestBlobMissing, None, reason).await;
        };
        let linked = self.layer_of(revision, &digest).await?;
        let canonical = match linked {
            Linked::To(canonical) => Some(canonical),
            Linked::Damaged | Linked::No => self.named_by(&digest).await?,
        };
        let data = match &canonical {
            Some(canonical) => self.data(canonical).await?,
            None => Data::Missing,
        };
        if let Some(canonical) = &canonical {
            self.note_used(canonical);
        }
        match (data, canonical) {
            (Data::There { size_bytes }, Some(canonical)) => {
                if let Linked::No = linked {
                    self.link_layer(revision, &digest, &canonical).await?;
                }
                self.compare_sizes(revision, descriptor, &canonical, size_bytes).await
            }
            (Data::Corrupt, _) => {
                let reason = format!("the content of {digest} is damaged");
                let kind = Kind::ManifestBlobCorrupt;
                self.report_of(revision, kind, Some(&digest), reason).await
            }
            // Nobody has to have it, where everybody may fetch it from elsewhere.
            _ if descriptor.is_foreign() => Ok(()),
            _ => {
                let reason = format!("{digest} ({}) is not there", descriptor.media_type);
                let kind = Kind::ManifestBlobMissing;
                self.report_of(revision, kind, Some(&digest), reason).await
            }
        }
    }

    /// Looks at a child of an index.
    pub(super) async fn check_child(
        &self,
        revision: &Revision<'_>,
        descriptor: &Descriptor,
    ) -> Result<(), Failure> {
        let Ok(digest) = descriptor.parsed_digest() else { return Ok(()) };
        let path = layout::revision_link(revision.name, &digest);
        let canonical = match self.look_at(&path, &digest).await? {
            Found::Link(canonical) => canonical,
            // It is reported as a manifest of the repository.
            Found::Damaged { .. } => return Ok(()),
            // BuildKit's registry cache is an index whose children are layers.
            Found::Nothing => match self.layer_of(revision, &digest).await? {
                Linked::No => return self.report_child(revision, descriptor, &digest).await,
                Linked::To(_) | Linked::Damaged => {
                    return self.check_part(revision, descriptor).await;
                }
            },
        };
        self.note_used(&canonical);
        match self.data(&canonical).await? {
            Data::There { size_bytes } if size_bytes != descriptor.size => {
                self.compare_sizes(revision, descriptor, &canonical, size_bytes).await
            }
            // What else may be wrong is reported as a manifest of the repository.
            _ => Ok(()),
        }
    }

    async fn report_child(
        &self,
        revision: &Revision<'_>,
        descriptor: &Descriptor,
        digest: &Digest,
    ) -> Result<(), Failure> {
        let platform = descriptor.platform.as_ref();
        let platform =
            platform.map_or_else(String::new, |p| format!(" for {}/{}", p.os, p.architecture));
        let reason = format!("its child {digest}{platform} is not in the repository");
        self.report_of(revision, Kind::IndexChildMissing, Some(digest), reason).await
    }

    /// How the repository has a blob.
    async fn layer_of(&self, revision: &Revision<'_>, digest: &Digest) -> Result<Linked, Failure> {
        let is_known = revision.layers.binary_search(&fingerprint(digest)).is_ok();
        if is_known && digest.algorithm() == Algorithm::Sha256 {
            return Ok(Linked::To(*digest));
        }
        let path = layout::layer_link(revision.name, digest);
        Ok(match self.look_at(&path, digest).await? {
            Found::Link(canonical) => Linked::To(canonical),
            Found::Damaged { .. } => Linked::Damaged,
            Found::Nothing => Linked::No,
        })
    }

    /// What a digest is said to name, without a link.
    async fn named_by(&self, digest: &Digest) -> Result<Option<Digest>, Failure> {
        if digest.algorithm() == Algorithm::Sha256 {
            return Ok(Some(*digest));
        }
        Ok(match link::look(&*self.driver, &layout::alias(digest)).await? {
            Found::Link(canonical) => Some(canonical),
            _ => None,
        })
    }

    /// A blob is there, and its repository does not have it.
    async fn link_layer(
        &self,
        revision: &Revision<'_>,
        digest: &Digest,
        canonical: &Digest,
    ) -> Result<(), Failure> {
        if !self.is_still_there(revision).await? {
            return Ok(());
        }
        let path = layout::layer_link(revision.name, digest);
        let reason = format!("the manifest {} refers to it", revision.digest);
        let finding = Finding::new(Kind::LayerLinkMissing, &path, reason);
        let repaired = self.write_layer_links(revision, digest, canonical).await;
        self.report(finding.of(digest).within(revision.name), repaired);
        Ok(())
    }

    async fn write_layer_links(
        &self,
        revision: &Revision<'_>,
        digest: &Digest,
        canonical: &Digest,
    ) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        let is_right = match digest == canonical {
            true => self.is_intact(canonical).await?,
            false => self.canonical_of(digest).await?.as_ref() == Some(canonical),
        };
        if !is_right {
            return Ok(Repaired::Remains("its content is not what its digest says".into()));
        }
        let path_of = |d: &Digest| layout::layer_link(revision.name, d);
        if let Found::Link(_) = link::look(&*self.driver, &path_of(digest)).await? {
            return Ok(Repaired::Elsewhere);
        }
        self.driver.apply(vec![link::changes(canonical, digest, path_of)]).await?;
        Ok(Repaired::Mended("link written".into()))
    }

    /// Compares the size of a blob with what a manifest says. In a quick check a difference is the
    /// only sign of damage, so the blob is read.
    async fn compare_sizes(
        &self,
        revision: &Revision<'_>,
        descriptor: &Descriptor,
        canonical: &Digest,
        size_bytes: u64,
    ) -> Result<(), Failure> {
        if size_bytes == descriptor.size {
            return Ok(());
        }
        let known = self.known.get().and_then(|known| known.get(canonical));
        if !known.is_some_and(|blob| blob.is_verified()) && self.suspect(canonical).await? {
            let path = layout::revision_link(revision.name, canonical);
            if let Found::Link(_) = link::look(&*self.driver, &path).await? {
                // It is reported as a manifest of the repository.
                return Ok(());
            }
            let reason = format!("the content of {canonical} is damaged");
            let kind = Kind::ManifestBlobCorrupt;
            return self.report_of(revision, kind, Some(canonical), reason).await;
        }
        let said = descriptor.size;
        let reason = format!("it says that {canonical} has {said} bytes, and it has {size_bytes}");
        self.report_of(revision, Kind::DescriptorSize, Some(canonical), reason).await
    }
}
