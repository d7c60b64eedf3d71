//! An image that is written to files.

mod docker_image;
mod plan;

use std::fmt;

use oci::{Digest, Reference, RepositoryName, sniff_media_type};
use registry::Registry;
use serde::Serialize;

use super::sink::{Destination, Sink};
use super::{ImageError, PlatformSelector, merge};
use crate::Meter;
use crate::oci_layout::{Entry, REF_NAME};
use plan::Plan;

/// The form in which an image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout.
    Oci,
    /// What `docker load` reads, of all versions.
    DockerArchive,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oci => "oci",
            Self::DockerArchive => "docker-archive",
        })
    }
}

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The form.
    pub format: Format,
    /// The image for one platform, out of an index. Without it, the index with all of them.
    pub platform: Option<PlatformSelector>,
    /// What docker shall call it; `NAME:TAG` unless told.
    pub name: Option<String>,
}

/// What came of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// The digest of the image, or index.
    pub digest: String,
    /// The form: `oci` or `docker-archive`.
    pub format: String,
    /// Manifests that were written, those of an index among them.
    pub manifests: u64,
    /// Blobs that were written, without manifests.
    pub blobs: u64,
    /// The content of both, in bytes.
    pub bytes: u64,
    /// What the registry does not have: images of an index, and layers that are to be fetched from
    /// elsewhere.
    pub missing: Vec<String>,
}

/// Writes an image of a repository to files. Everything is compared with its digest on the way.
///
/// # Errors
/// [`ImageError`]. After one there is no file; of a directory there may be blobs that nothing names.
pub async fn export(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    destination: &Destination,
    options: &ExportOptions,
    meter: &Meter,
) -> Result<ExportReport, ImageError> {
    let export = Export { registry, name, reference, options, meter };
    let root = export.root().await?;
    let docker = match options.format {
        Format::Oci => None,
        Format::DockerArchive => Some(export.docker_image(&root).await?),
    };
    let plan = match &docker {
        Some(_) => Plan::default(),
        None => export.plan(&root).await?,
    };
    let mut sink = Sink::open(destination).await?;
    let written = match &docker {
        Some(image) => export.write_docker(image, &mut sink).await,
        None => export.write_layout(&root, &plan, &mut sink).await,
    };
    match written {
        Ok(()) => {}
        Err(error) => {
            sink.discard().await;
            return Err(error);
        }
    }
    let (blobs, bytes) = sink.finish().await?;
    let manifests = match options.format {
        Format::Oci => plan.manifests.len() as u64,
        Format::DockerArchive => 1,
    };
    meter.repository_done();
    Ok(ExportReport {
        digest: root.to_string(),
        format: options.format.to_string(),
        manifests,
        blobs: blobs - if docker.is_some() { 0 } else { manifests.min(blobs) },
        bytes,
        missing: plan.missing,
    })
}

struct Export<'a> {
    registry: &'a Registry,
    name: &'a RepositoryName,
    reference: &'a Reference,
    options: &'a ExportOptions,
    meter: &'a Meter,
}

impl Export<'_> {
    /// What docker shall call the image.
    fn docker_name(&self) -> Option<String> {
        let given = self.options.name.clone();
        given.or_else(|| match self.reference {
            Reference::Tag(tag) => Some(format!("{}:{tag}", self.name)),
            Reference::Digest(_) => None,
        })
    }

    async fn write_layout(
        &self,
        root: &Digest,
        plan: &Plan,
        sink: &mut Sink,
    ) -> Result<(), ImageError> {
        let mut entry = Entry { digest: root.to_string(), ..Entry::default() };
        let mut annotations = serde_json::Map::new();
        if let Reference::Tag(tag) = self.reference {
            annotations.insert(REF_NAME.into(), tag.as_str().into());
        }
        if let Some(name) = &self.options.name {
            annotations.insert("io.containerd.image.name".into(), name.as_str().into());
        }
        entry.annotations = (!annotations.is_empty()).then_some(annotations);
        sink.oci_layout().await?;
        for digest in &plan.blobs {
            let blob = self.registry.open_blob(self.name, digest).await?;
            sink.blob(&blob_path(digest), digest, blob.object, self.meter).await?;
        }
        for digest in &plan.manifests {
            let reference = Reference::Digest(*digest);
            let content = self.registry.get_manifest(self.name, &reference).await?.content;
            let actual = Digest::of(digest.algorithm(), &content);
            if actual != *digest {
                let path = blob_path(digest);
                return Err(ImageError::Corrupt { path, expected: *digest, actual });
            }
            if digest == root {
                entry.size = content.len() as u64;
                let media_type = sniff_media_type(&content);
                entry.media_type = media_type.map_or("", |t| t.as_str()).into();
            }
            sink.blob_bytes(&blob_path(digest), &content).await?;
        }
        let index = merge::index_with(sink.index().await?, entry)?;
        sink.document("index.json", &index).await
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}
