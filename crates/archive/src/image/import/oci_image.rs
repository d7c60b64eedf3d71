//! Images of OCI layouts.

use oci::{Digest, Manifest, ManifestKind, MediaType, Reference, sniff_media_type};

use super::Import;
use crate::image::{ImageError, platform};
use crate::limits::{INDEX_BYTES_MAX, INDEX_DEPTH_MAX, MANIFEST_BYTES_MAX, MANIFESTS_MAX};
use crate::oci_layout::{Entry, Index, REF_NAME};

/// By which containerd, and so docker, calls an image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

impl Import<'_> {
    pub(super) async fn import_layout(&mut self, reference: &Reference) -> Result<(), ImageError> {
        let index: Index = self.source.document("index.json", INDEX_BYTES_MAX).await?;
        let mut entry = choose(&index.manifests, self.options.image.as_deref())?.clone();
        if let Some(wanted) = &self.options.platform {
            for _ in 0..INDEX_DEPTH_MAX {
                let digest = digest_of(&entry)?;
                let content = self.manifest(&digest).await?;
                if !sniff_media_type(&content).is_some_and(MediaType::is_index) {
                    break;
                }
                let index: Index = serde_json::from_slice(&content)
                    .map_err(|error| ImageError::document(path_of(&digest), error))?;
                let fits = |entry: &&Entry| entry.platform.as_ref().is_some_and(|p| wanted.fits(p));
                entry = index.manifests.iter().find(fits).cloned().ok_or_else(|| {
                    let platforms = platform::listed(&index.manifests);
                    ImageError::NoPlatform { wanted: wanted.to_string(), platforms }
                })?;
            }
        }
        let digest = digest_of(&entry)?;
        self.import_manifest(&digest, &entry.media_type, reference, 0).await
    }

    /// Pushes a manifest, and before it what it is made of.
    async fn import_manifest(
        &mut self,
        digest: &Digest,
        media_type: &str,
        reference: &Reference,
        depth: usize,
    ) -> Result<(), ImageError> {
        if depth > INDEX_DEPTH_MAX || self.report.manifests >= MANIFESTS_MAX as u64 {
            return Err(ImageError::TooMany);
        }
        let content = self.manifest(digest).await?;
        let path = path_of(digest);
        let no_manifest = |reason: &dyn std::fmt::Display| ImageError::document(&path, reason);
        let manifest = Manifest::parse_stored(&content).map_err(|error| no_manifest(&error))?;
        let media_type = MediaType::from_content_type(media_type)
            .or_else(|| sniff_media_type(&content))
            .ok_or_else(|| no_manifest(&"it is no manifest"))?;
        let is_index = matches!(manifest.kind, ManifestKind::Index { .. });
        for part in manifest.references() {
            let part_digest = part.parsed_digest().map_err(|error| no_manifest(&error))?;
            let part_path = path_of(&part_digest);
            let is_there = self.source.has(&part_path).await?;
            let is_manifest = MediaType::from_content_type(&part.media_type).is_some();
            if is_there && is_index && is_manifest {
                let child = Reference::Digest(part_digest);
                let import =
                    self.import_manifest(&part_digest, &part.media_type, &child, depth + 1);
                Box::pin(import).await?;
            } else if is_there {
                self.push_file(&part_path, &part_digest).await?;
            } else if is_index && !self.has_manifest(&part_digest).await? {
                let index: Index =
                    serde_json::from_slice(&content).map_err(|error| no_manifest(&error))?;
                return Err(ImageError::Sparse {
                    index: *digest,
                    missing: part_digest.to_string(),
                    platforms: platform::listed(&index.manifests),
                });
            } else if !is_index && !part.is_foreign() {
                return Err(ImageError::Missing { path: part_path });
            }
        }
        self.push_manifest(reference, media_type, content).await?;
        Ok(())
    }

    async fn has_manifest(&self, digest: &Digest) -> Result<bool, ImageError> {
        match self.registry.get_manifest(self.name, &Reference::Digest(*digest)).await {
            Ok(_) => Ok(true),
            Err(registry::Error::ManifestUnknown { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a manifest and compares it with its digest.
    async fn manifest(&self, digest: &Digest) -> Result<bytes::Bytes, ImageError> {
        let path = path_of(digest);
        let content = self.source.get(&path, MANIFEST_BYTES_MAX).await?;
        let content = content.ok_or_else(|| ImageError::Missing { path: path.clone() })?;
        let actual = Digest::of(digest.algorithm(), &content);
        if actual != *digest {
            return Err(ImageError::Corrupt { path, expected: *digest, actual });
        }
        Ok(content)
    }
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn digest_of(entry: &Entry) -> Result<Digest, ImageError> {
    Digest::parse(&entry.digest).map_err(|error| ImageError::document("index.json", error))
}

/// The image that is meant.
fn choose<'a>(entries: &'a [Entry], wanted: Option<&str>) -> Result<&'a Entry, ImageError> {
    let names = || {
        let mut names: Vec<_> = entries.iter().take(50).map(name_of).collect();
        names.dedup();
        names.join(", ")
    };
    let Some(wanted) = wanted else {
        return match entries {
            [] => Err(ImageError::Unrecognised),
            // The same one under several names.
            [first, rest @ ..] if rest.iter().all(|other| other.digest == first.digest) => {
                Ok(first)
            }
            _ => Err(ImageError::SeveralImages { names: names() }),
        };
    };
    let is_meant = |entry: &&Entry| {
        entry.digest == wanted
            || [REF_NAME, CONTAINERD_NAME].iter().any(|key| entry.annotation(key) == Some(wanted))
    };
    let found = entries.iter().find(is_meant);
    found.ok_or_else(|| ImageError::NoImage { wanted: wanted.into(), names: names() })
}

fn name_of(entry: &Entry) -> String {
    let name = entry.annotation(CONTAINERD_NAME).or_else(|| entry.annotation(REF_NAME));
    name.unwrap_or(&entry.digest).chars().take(300).collect()
}
