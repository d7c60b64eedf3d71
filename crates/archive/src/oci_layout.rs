//! The documents of an OCI image layout (image-spec, "Image Layout").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The content of `oci-layout`.
pub(crate) const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The annotation by which a manifest in an index is called.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An index as far as it is written and read here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(crate) manifests: Vec<Entry>,
}

/// A descriptor within an index.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(default)]
    pub(crate) media_type: String,
    #[serde(default)]
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<EntryPlatform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<Map<String, Value>>,
    /// What is not looked at.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Entry {
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key)?.as_str()
    }

    /// Whether it describes another manifest of its index, and is no image: BuildKit's attestations.
    pub(crate) fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type").is_some()
    }
}

/// What an image runs on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct EntryPlatform {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    /// What is not looked at.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// Go writes a list of nothing as `null`.
fn null_as_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
