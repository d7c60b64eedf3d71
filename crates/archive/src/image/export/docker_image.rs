//! An image as `docker save` writes it. Layers stay as they are: docker, podman and skopeo unpack
//! compressed ones.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::{Digest, Manifest, ManifestKind, Reference};
use registry::StoredManifest;
use serde::de::DeserializeOwned;

use super::Export;
use super::plan::index_of;
use crate::image::docker::{self, Config};
use crate::image::sink::Sink;
use crate::image::{ImageError, platform};
use crate::limits::CONFIG_BYTES_MAX;

/// An image that fits a docker archive.
pub(super) struct DockerImage {
    config: Digest,
    config_bytes: Bytes,
    layers: Vec<Digest>,
}

impl Export<'_> {
    pub(super) async fn docker_image(&self, root: &Digest) -> Result<DockerImage, ImageError> {
        let stored = self.registry.get_manifest(self.name, &Reference::Digest(*root)).await?;
        if stored.media_type.is_index() {
            let index = index_of(&stored)?;
            let mut images = index.manifests.iter().filter(|entry| !entry.is_attestation());
            return match (images.next(), images.next()) {
                // There is nothing to choose.
                (Some(only), None) => {
                    let digest = Digest::parse(&only.digest)
                        .map_err(|error| ImageError::document(root, error))?;
                    Box::pin(self.docker_image(&digest)).await
                }
                _ => {
                    let platforms = platform::listed(&index.manifests);
                    Err(ImageError::PlatformNeeded { platforms })
                }
            };
        }
        let no_image =
            |reason: &str| ImageError::NotAnImage { digest: *root, reason: reason.into() };
        let manifest = Manifest::parse_stored(&stored.content)
            .map_err(|error| no_image(&error.to_string()))?;
        let ManifestKind::Image { config, layers } = &manifest.kind else {
            return Err(no_image("it is an index"));
        };
        let config = config.parsed_digest().map_err(|error| no_image(&error.to_string()))?;
        let config_bytes = self.small_blob(&config).await?;
        let config_bytes =
            config_bytes.ok_or_else(|| no_image("its configuration is too large"))?;
        let parsed: Config = serde_json::from_slice(&config_bytes)
            .map_err(|_| no_image("its configuration is none of an image"))?;
        if parsed.rootfs.diff_ids.unwrap_or_default().len() != layers.len() {
            return Err(no_image("its configuration does not describe its layers"));
        }
        let digests = layers.iter().map(oci::Descriptor::parsed_digest);
        let layers = digests.collect::<Result<_, _>>().map_err(|e| no_image(&e.to_string()))?;
        Ok(DockerImage { config, config_bytes, layers })
    }

    pub(super) async fn write_docker(
        &self,
        image: &DockerImage,
        sink: &mut Sink,
    ) -> Result<(), ImageError> {
        let config = format!("{}.json", image.config.hex());
        let path_of = |layer: &Digest| format!("{}.tar", layer.hex());
        let mut written: Vec<&Digest> = Vec::new();
        for layer in &image.layers {
            if !written.contains(&layer) {
                let blob = self.registry.open_blob(self.name, layer).await?;
                sink.blob(&path_of(layer), layer, blob.object, self.meter).await?;
                written.push(layer);
            }
        }
        sink.blob_bytes(&config, &image.config_bytes).await?;
        let listed = docker::Image {
            config,
            repo_tags: self.docker_name().map(|name| vec![name]),
            layers: Some(image.layers.iter().map(path_of).collect()),
        };
        let listed = serde_json::to_vec(&[listed]).unwrap_or_default();
        sink.document(docker::MANIFEST, &listed).await
    }

    /// What an image's configuration says; `None` for what is none.
    pub(super) async fn config<T: DeserializeOwned>(
        &self,
        stored: &StoredManifest,
    ) -> Result<Option<T>, ImageError> {
        let manifest = Manifest::parse_stored(&stored.content).ok();
        let Some(ManifestKind::Image { config, .. }) = manifest.map(|m| m.kind) else {
            return Ok(None);
        };
        let Ok(digest) = config.parsed_digest() else { return Ok(None) };
        let content = self.small_blob(&digest).await?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    }

    /// A blob that fits into memory, compared with its digest; `None` for a larger one.
    async fn small_blob(&self, digest: &Digest) -> Result<Option<Bytes>, ImageError> {
        let blob = self.registry.open_blob(self.name, digest).await?;
        let size_bytes = blob.object.size_bytes();
        if size_bytes > CONFIG_BYTES_MAX {
            return Ok(None);
        }
        let pieces: Vec<Bytes> = blob.object.stream(0..size_bytes).try_collect().await?;
        let content = Bytes::from(pieces.concat());
        let actual = Digest::of(digest.algorithm(), &content);
        if actual != *digest {
            let path = digest.to_string();
            return Err(ImageError::Corrupt { path, expected: *digest, actual });
        }
        Ok(Some(content))
    }
}
