//! Docker archives: what `docker save` writes, and `docker load` reads.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt as _;
use oci::{Algorithm, Digest, Hasher, MediaType};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::files::Source;
use super::spool::{GZIP, ZSTD};
use super::{ImageError, PlatformSelector};
use crate::Meter;
use crate::limits::{CONFIG_BYTES_MAX, INDEX_BYTES_MAX};
use crate::oci_layout::EntryPlatform;

/// Where the images of a docker archive are listed.
pub(super) const MANIFEST: &str = "manifest.json";

const CONFIG_TYPE: &str = "application/vnd.docker.container.image.v1+json";
const GZIP_LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const PLAIN_LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// An image of `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Image {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) layers: Option<Vec<String>>,
}

/// What is looked at of an image's configuration.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) rootfs: RootFs,
    #[serde(flatten)]
    pub(super) platform: EntryPlatform,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RootFs {
    #[serde(default)]
    pub(super) diff_ids: Option<Vec<String>>,
}

/// A layer as it lies in an archive.
pub(super) struct Layer {
    pub(super) path: String,
    /// Of the content as it is.
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
}

/// An image of a docker archive, ready to be pushed.
pub(super) struct Prepared {
    pub(super) config: Bytes,
    pub(super) config_digest: Digest,
    pub(super) layers: Vec<Layer>,
    /// The manifest that goes with them.
    pub(super) manifest: Bytes,
}

/// Looks an image of a docker archive over. Layers stay as they are; those that are compressed are
/// read here, to compare what is in them with what the configuration says.
pub(super) async fn prepare(
    source: &Source,
    wanted: Option<&str>,
    platform: Option<&PlatformSelector>,
    meter: &Meter,
) -> Result<Prepared, ImageError> {
    let images: Vec<Image> = source.document(MANIFEST, INDEX_BYTES_MAX).await?;
    let image = choose(&images, wanted)?;
    let config = source.get(&image.config, CONFIG_BYTES_MAX).await?;
    let config = config.ok_or_else(|| ImageError::Missing { path: image.config.clone() })?;
    let config_digest = Digest::of(Algorithm::Sha256, &config);
    check_name(&image.config, config_digest)?;
    let parsed: Config = serde_json::from_slice(&config)
        .map_err(|error| ImageError::document(&image.config, error))?;
    if let Some(wanted) = platform.filter(|wanted| !wanted.fits(&parsed.platform)) {
        let platforms = format!("{}/{}", parsed.platform.os, parsed.platform.architecture);
        return Err(ImageError::NoPlatform { wanted: wanted.to_string(), platforms });
    }
    let paths = image.layers.clone().unwrap_or_default();
    let diff_ids = parsed.rootfs.diff_ids.unwrap_or_default();
    if paths.len() != diff_ids.len() {
        let (layers, ids) = (paths.len(), diff_ids.len());
        let reason = format!("it describes {ids} layers, and the archive has {layers}");
        return Err(ImageError::document(&image.config, reason));
    }
    let mut layers = Vec::new();
    let mut descriptors = Vec::new();
    for (path, diff_id) in paths.into_iter().zip(diff_ids) {
        let diff_id =
            Digest::parse(&diff_id).map_err(|error| ImageError::document(&image.config, error))?;
        let (layer, media_type) = look_at_layer(source, path, diff_id, meter).await?;
        descriptors.push(json!({
            "mediaType": media_type,
            "size": layer.size_bytes,
            "digest": layer.digest.to_string(),
        }));
        layers.push(layer);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DockerManifest.as_str(),
        "config": {
            "mediaType": CONFIG_TYPE,
            "size": config.len(),
            "digest": config_digest.to_string(),
        },
        "layers": descriptors,
    });
    let manifest = Bytes::from(manifest.to_string());
    Ok(Prepared { config, config_digest, layers, manifest })
}

fn choose<'a>(images: &'a [Image], wanted: Option<&str>) -> Result<&'a Image, ImageError> {
    let names_of = |image: &Image| image.repo_tags.clone().unwrap_or_default();
    let all = || {
        let mut names = images.iter().flat_map(names_of).take(50).collect::<Vec<_>>();
        names.extend(images.is_empty().then(|| "none".to_owned()));
        names.join(", ")
    };
    match (wanted, images) {
        (None, [image]) => Ok(image),
        (None, []) => Err(ImageError::Unrecognised),
        (None, _) => Err(ImageError::SeveralImages { names: all() }),
        (Some(wanted), _) => {
            let found = images.iter().find(|image| names_of(image).iter().any(|n| n == wanted));
            found.ok_or_else(|| ImageError::NoImage { wanted: wanted.into(), names: all() })
        }
    }
}

/// A configuration is called by its digest.
fn check_name(path: &str, actual: Digest) -> Result<(), ImageError> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let hex = name.strip_suffix(".json").unwrap_or(name);
    match Digest::from_hex(Algorithm::Sha256, hex) {
        Ok(expected) if expected != actual => {
            Err(ImageError::Corrupt { path: path.into(), expected, actual })
        }
        _ => Ok(()),
    }
}

async fn look_at_layer(
    source: &Source,
    path: String,
    diff_id: Digest,
    meter: &Meter,
) -> Result<(Layer, &'static str), ImageError> {
    let content = source.open_file(&path).await?;
    let mut content = content.ok_or_else(|| ImageError::Missing { path: path.clone() })?;
    let size_bytes = content.size_bytes;
    let Some(first) = content.stream.next().await.transpose()? else {
        return Ok((Layer { path, digest: diff_id, size_bytes }, PLAIN_LAYER_TYPE));
    };
    if first.starts_with(ZSTD) {
        return Err(ImageError::Compression { path });
    }
    if !first.starts_with(GZIP) {
        // Its digest is compared when it is pushed.
        return Ok((Layer { path, digest: diff_id, size_bytes }, PLAIN_LAYER_TYPE));
    }
    let mut hasher = Algorithm::Sha256.hasher();
    let mut unpacked = MultiGzDecoder::new(HashWriter(diff_id.algorithm().hasher()));
    let damaged = |error: io::Error| ImageError::document(&path, error);
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if meter.is_stopped() {
            return Err(ImageError::Stopped);
        }
        hasher.update(&bytes);
        meter.read(bytes.len());
        unpacked.write_all(&bytes).map_err(damaged)?;
        piece = content.stream.next().await.transpose()?;
    }
    let actual = unpacked.finish().map_err(damaged)?.0.finish();
    if actual != diff_id {
        return Err(ImageError::Corrupt { path, expected: diff_id, actual });
    }
    Ok((Layer { path, digest: hasher.finish(), size_bytes }, GZIP_LAYER_TYPE))
}

/// What was unpacked is hashed and forgotten.
struct HashWriter(Hasher);

impl Write for HashWriter {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.0.update(content);
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
