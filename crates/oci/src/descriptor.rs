//! Content descriptors.

use serde::Deserialize;

use crate::{Digest, DigestError};

/// A descriptor within a manifest (OCI image-spec, "Descriptor"), reduced to what a registry looks
/// at. Unknown fields are passed over: the manifest's bytes are kept as they came.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(deserialize_with = "null_as_default")]
    pub media_type: String,
    /// The digest as written; see [`Descriptor::parsed_digest`].
    #[serde(deserialize_with = "null_as_default")]
    pub digest: String,
    /// Size of the content, in bytes.
    #[serde(deserialize_with = "null_as_default")]
    pub size: u64,
    /// Where else the content may be fetched from.
    #[serde(deserialize_with = "null_as_default")]
    pub urls: Vec<String>,
    /// For a child of an index: what it runs on.
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// The digest, checked.
    ///
    /// # Errors
    /// [`DigestError`] when the field is missing, malformed or of an unsupported algorithm.
    pub fn parsed_digest(&self) -> Result<Digest, DigestError> {
        Digest::parse(&self.digest)
    }

    /// Whether the content may be kept elsewhere, so that a registry must not insist on having it:
    /// Docker's foreign layers and OCI's non-distributable ones.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
            || self.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
    }
}

/// What a child of an index runs on (OCI image-spec, "Image Index").
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// CPU architecture, by its Go name.
    #[serde(deserialize_with = "null_as_default")]
    pub architecture: String,
    /// Operating system, by its Go name.
    #[serde(deserialize_with = "null_as_default")]
    pub os: String,
}

/// Go's JSON decoder, which wrote most of the manifests there are, treats `null` as absent.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Tells `null` (`Some(None)`) from a field that is absent.
pub(crate) fn null_counts<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
