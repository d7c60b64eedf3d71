//! An image that is taken out of files.

mod oci_image;
mod pushing;

use bytes::Bytes;
use oci::{Digest, MediaType, Reference, RepositoryName, Tag};
use registry::{ManifestPush, Registry};
use serde::Serialize;

use super::docker::{self, Prepared};
use super::files::Source;
use super::{ImageError, PlatformSelector};
use crate::Meter;
use crate::limits::OCI_LAYOUT_BYTES_MAX;

/// Which image of several is imported.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What it is called in there: a name or a digest.
    pub image: Option<String>,
    /// The image for one platform, out of an index. Without it, the index with all of them.
    pub platform: Option<PlatformSelector>,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The repository.
    pub repository: String,
    /// The tag, or the digest.
    pub reference: String,
    /// The digest.
    pub digest: String,
    /// The form it had: `oci` or `docker-archive`.
    pub format: &'static str,
    /// Manifests that were pushed, those of an index among them.
    pub manifests: u64,
    /// Blobs that were pushed.
    pub pushed_blobs: u64,
    /// Their content, in bytes.
    pub pushed_bytes: u64,
    /// Blobs that the registry had.
    pub there_blobs: u64,
}

/// Pushes an image out of files into a repository.
///
/// # Errors
/// [`ImageError`]. What was pushed by then is in the repository as after a push that was cut short:
/// blobs, and no manifest that leads to what is not there.
pub async fn import(
    source: &Source,
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    options: &ImportOptions,
    meter: &Meter,
) -> Result<ImportReport, ImageError> {
    let report = ImportReport {
        repository: name.to_string(),
        reference: reference.to_string(),
        ..ImportReport::default()
    };
    let mut import = Import { source, registry, name, options, meter, report };
    if source.has("oci-layout").await? && source.has("index.json").await? {
        import.check_layout().await?;
        import.report.format = "oci";
        import.import_layout(reference).await?;
    } else if source.has(docker::MANIFEST).await? {
        import.report.format = "docker-archive";
        import.import_docker(reference).await?;
    } else {
        return Err(ImageError::Unrecognised);
    }
    Ok(import.report)
}

/// An import that is being made.
struct Import<'a> {
    source: &'a Source,
    registry: &'a Registry,
    name: &'a RepositoryName,
    options: &'a ImportOptions,
    meter: &'a Meter,
    report: ImportReport,
}

impl Import<'_> {
    async fn check_layout(&self) -> Result<(), ImageError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let marker: Marker = self.source.document("oci-layout", OCI_LAYOUT_BYTES_MAX).await?;
        if marker.image_layout_version.starts_with("1.") {
            return Ok(());
        }
        let version: String = marker.image_layout_version.chars().take(32).collect();
        Err(ImageError::document("oci-layout", format!("version {version:?} is not known")))
    }

    async fn import_docker(&mut self, reference: &Reference) -> Result<(), ImageError> {
        let image = self.options.image.as_deref();
        let platform = self.options.platform.as_ref();
        let prepared = docker::prepare(self.source, image, platform, self.meter).await?;
        let Prepared { config, config_digest, layers, manifest } = prepared;
        for layer in &layers {
            self.push_file(&layer.path, &layer.digest).await?;
        }
        self.push_bytes(&config_digest, config).await?;
        self.push_manifest(reference, MediaType::DockerManifest, manifest).await?;
        Ok(())
    }

    async fn push_manifest(
        &mut self,
        reference: &Reference,
        media_type: MediaType,
        content: Bytes,
    ) -> Result<Digest, ImageError> {
        let tags: Vec<Tag> = Vec::new();
        let push = ManifestPush { reference: reference.clone(), tags, media_type, content };
        let pushed = self.registry.put_manifest(self.name, push).await?;
        self.report.manifests += 1;
        self.report.digest = pushed.digest.to_string();
        Ok(pushed.digest)
    }
}
