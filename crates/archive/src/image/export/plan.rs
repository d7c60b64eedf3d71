//! What belongs to an image, found out before anything is written.

use std::collections::BTreeSet;

use oci::{Digest, Manifest, Reference};
use registry::{Error, StoredManifest};

use super::Export;
use crate::image::{ImageError, platform};
use crate::limits::{INDEX_DEPTH_MAX, MANIFESTS_MAX};
use crate::oci_layout::{Entry, EntryPlatform, Index};

/// What is to be written.
#[derive(Default)]
pub(super) struct Plan {
    /// Each behind what it lists.
    pub(super) manifests: Vec<Digest>,
    pub(super) blobs: BTreeSet<Digest>,
    /// What the registry does not have.
    pub(super) missing: Vec<String>,
}

impl Export<'_> {
    /// The manifest that is meant: of an index the image for the platform, if one was asked for.
    pub(super) async fn root(&self) -> Result<Digest, ImageError> {
        let mut stored = self.registry.get_manifest(self.name, self.reference).await?;
        let Some(wanted) = &self.options.platform else { return Ok(stored.digest) };
        for _ in 0..INDEX_DEPTH_MAX {
            if !stored.media_type.is_index() {
                return self.check_platform(&stored, wanted).await;
            }
            let index = index_of(&stored)?;
            let fits = |entry: &&Entry| entry.platform.as_ref().is_some_and(|p| wanted.fits(p));
            let Some(entry) = index.manifests.iter().find(fits) else {
                let platforms = platform::listed(&index.manifests);
                return Err(ImageError::NoPlatform { wanted: wanted.to_string(), platforms });
            };
            let digest = Digest::parse(&entry.digest)
                .map_err(|error| ImageError::document(stored.digest, error))?;
            stored = self.registry.get_manifest(self.name, &Reference::Digest(digest)).await?;
            if !stored.media_type.is_index() {
                // The index has said what it is for.
                return Ok(stored.digest);
            }
        }
        Err(ImageError::TooMany)
    }

    /// An image that no index leads to says itself what it is for.
    async fn check_platform(
        &self,
        stored: &StoredManifest,
        wanted: &crate::image::PlatformSelector,
    ) -> Result<Digest, ImageError> {
        let config: Option<EntryPlatform> = self.config(stored).await?;
        match config {
            Some(platform) if !wanted.fits(&platform) => Err(ImageError::NoPlatform {
                wanted: wanted.to_string(),
                platforms: format!("{}/{}", platform.os, platform.architecture),
            }),
            _ => Ok(stored.digest),
        }
    }

    /// Everything that belongs to a manifest.
    pub(super) async fn plan(&self, root: &Digest) -> Result<Plan, ImageError> {
        let mut plan = Plan::default();
        self.add(root, &mut plan, 0).await?;
        Ok(plan)
    }

    async fn add(&self, digest: &Digest, plan: &mut Plan, depth: usize) -> Result<(), ImageError> {
        if plan.manifests.contains(digest) {
            return Ok(());
        }
        if depth > INDEX_DEPTH_MAX || plan.manifests.len() >= MANIFESTS_MAX {
            return Err(ImageError::TooMany);
        }
        let stored = self.registry.get_manifest(self.name, &Reference::Digest(*digest)).await?;
        let manifest = Manifest::parse_stored(&stored.content)
            .map_err(|error| ImageError::document(digest, error))?;
        let is_index = manifest.media_type.is_index();
        for part in manifest.references() {
            let Ok(part_digest) = part.parsed_digest() else {
                plan.missing.push(part.digest.chars().take(160).collect());
                continue;
            };
            if is_index {
                match Box::pin(self.add(&part_digest, plan, depth + 1)).await {
                    Ok(()) => continue,
                    Err(ImageError::Registry(Error::ManifestUnknown { reference, .. }))
                        if reference == Reference::Digest(part_digest) => {}
                    Err(error) => return Err(error),
                }
            }
            match self.registry.stat_blob(self.name, &part_digest).await {
                Ok(_) => drop(plan.blobs.insert(part_digest)),
                Err(Error::BlobUnknown { .. }) if is_index || part.is_foreign() => {
                    plan.missing.push(part_digest.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        plan.manifests.push(*digest);
        Ok(())
    }
}

/// A manifest as the index that it is.
pub(super) fn index_of(stored: &StoredManifest) -> Result<Index, ImageError> {
    serde_json::from_slice(&stored.content)
        .map_err(|error| ImageError::document(stored.digest, error))
}
