//! The manifests of a repository.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Digest, Manifest, ManifestKind, RepositoryName, sniff_media_type};
use storage::StorageError;

use super::Check;
use super::content::Data;
use super::error::Failure;
use super::kind::Kind;
use super::known::Fingerprint;
use super::links::{Of, OwnLink};
use super::quarantine::{Repaired, Unless};
use super::report::Finding;
use super::tally::Thing;
use crate::layout;
use crate::limits::STORED_MANIFEST_BYTES_MAX;
use crate::link::{self, Found};

/// A manifest of a repository that is being looked at.
pub(super) struct Revision<'a> {
    pub(super) name: &'a RepositoryName,
    pub(super) digest: Digest,
    /// The links of blobs that the repository has, sorted.
    pub(super) layers: &'a [Fingerprint],
}

impl Check {
    pub(super) async fn check_manifests(
        &self,
        name: &RepositoryName,
        digests: &[Digest],
        layers: &[Fingerprint],
    ) {
        let looks =
            stream::iter(digests.to_vec())
                .map(|digest| async move {
                    self.check_manifest(&Revision { name, digest, layers }).await
                })
                .buffer_unordered(self.options.concurrency);
        looks.collect::<()>().await;
    }

    pub(super) async fn check_manifest(&self, revision: &Revision<'_>) {
        let Ok(_turn) = self.turns.acquire().await else { return };
        if self.is_ending() {
            return;
        }
        let link = OwnLink { name: revision.name, own: revision.digest, of: Of::Revision };
        match self.look_at_manifest(revision, &link).await {
            Ok(()) => self.tally.checked(Thing::Manifest),
            Err(failure) => self.failed(&link.path(), &failure),
        }
    }

    async fn look_at_manifest(
        &self,
        revision: &Revision<'_>,
        link: &OwnLink<'_>,
    ) -> Result<(), Failure> {
        let Some(canonical) = self.check_link(link).await? else { return Ok(()) };
        // Under another digest it is the same manifest, and only counts together with this one, unless
        // its content is gone.
        if canonical != revision.digest {
            return match self.data(&canonical).await? {
                Data::Missing => self.content_is_gone(revision, &canonical).await,
                _ => Ok(()),
            };
        }
        self.note_used(&canonical);
        let Some(content) = self.load(revision).await? else { return Ok(()) };
        let media_type = sniff_media_type(&content);
        let manifest = match (media_type, Manifest::parse_stored(&content)) {
            (Some(_), Ok(manifest)) => manifest,
            (_, parsed) => {
                let reason = parsed.err().map_or("it is no manifest".into(), |e| e.to_string());
                return self.report_of(revision, Kind::ManifestInvalid, None, reason).await;
            }
        };
        if let ManifestKind::Schema1 { layers } = &manifest.kind {
            // Such an image is only served, and says no sizes to compare.
            layers.iter().filter_map(|l| l.parsed_digest().ok()).for_each(|d| self.note_used(&d));
            return Ok(());
        }
        let is_index = matches!(manifest.kind, ManifestKind::Index { .. });
        for descriptor in manifest.references() {
            if self.is_ending() {
                return Ok(());
            }
            match is_index {
                true => self.check_child(revision, descriptor).await?,
                false => self.check_part(revision, descriptor).await?,
            }
        }
        Ok(())
    }

    /// The content of a manifest, if it is what its digest says.
    async fn load(&self, revision: &Revision<'_>) -> Result<Option<Bytes>, Failure> {
        let digest = &revision.digest;
        let path = layout::blob_data(digest);
        if self.data(digest).await? == Data::Corrupt {
            let reason = format!("the content of {path} is damaged");
            self.report_of(revision, Kind::ManifestCorrupt, None, reason).await?;
            return Ok(None);
        }
        match self.driver.get(&path, STORED_MANIFEST_BYTES_MAX).await {
            Ok(content) if Digest::of(digest.algorithm(), &content) == *digest => {
                return Ok(Some(content));
            }
            Ok(_) => {
                if self.suspect(digest).await? {
                    let reason = format!("the content of {path} is damaged");
                    self.report_of(revision, Kind::ManifestCorrupt, None, reason).await?;
                }
            }
            Err(StorageError::NotFound { .. }) => {
                self.content_is_gone(revision, digest).await?;
            }
            Err(StorageError::TooLarge { size_bytes, .. }) => {
                let reason = format!("{size_bytes} bytes are too many for a manifest");
                self.report_of(revision, Kind::ManifestInvalid, None, reason).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Reports a manifest whose content is gone, and sets its link aside, which would keep collections
    /// from everything in its repository.
    async fn content_is_gone(
        &self,
        revision: &Revision<'_>,
        canonical: &Digest,
    ) -> Result<(), Failure> {
        // It may have been deleted, and collected, since it was read; or been pushed again.
        if self.is_still_there(revision).await? && self.data_now(canonical).await? == Data::Missing
        {
            let path = layout::revision_link(revision.name, &revision.digest);
            let reason = format!("there is no {}", layout::blob_data(canonical));
            let finding = Finding::new(Kind::ManifestMissing, &path, reason);
            let repaired = self.set_link_aside(&path, Unless::HasData(*canonical)).await;
            self.report(finding.of(&revision.digest).within(revision.name), repaired);
        }
        Ok(())
    }

    /// Whether the repository still has the manifest: it may be deleted while it is looked at.
    pub(super) async fn is_still_there(&self, revision: &Revision<'_>) -> Result<bool, Failure> {
        let path = layout::revision_link(revision.name, &revision.digest);
        Ok(matches!(link::look(&*self.driver, &path).await?, Found::Link(_)))
    }

    /// Reports something of a manifest that can't be mended.
    pub(super) async fn report_of(
        &self,
        revision: &Revision<'_>,
        kind: Kind,
        digest: Option<&Digest>,
        reason: impl Into<String>,
    ) -> Result<(), Failure> {
        let is_elsewhere = matches!(kind, Kind::ManifestBlobMissing | Kind::IndexChildMissing)
            && self.options.cached.as_ref().is_some_and(|cached| cached(revision.name));
        if !is_elsewhere && self.is_still_there(revision).await? {
            let path = layout::revision_link(revision.name, &revision.digest);
            let finding = Finding::new(kind, &path, reason).within(revision.name);
            let repaired = match self.options.repair {
                true => Repaired::Remains(kind.repair().into()),
                false => Repaired::NotTried,
            };
            self.report(finding.of(digest.unwrap_or(&revision.digest)), Ok(repaired));
        }
        Ok(())
    }
}
