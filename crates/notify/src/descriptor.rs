//! Descriptors as events show them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// A content descriptor (OCI image-spec, "Descriptor") with all its fields, in the order in which
/// Go's image-spec package writes them. What the specification does not name is dropped, as it is
/// there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(deserialize_with = "null_as_default")]
    pub media_type: String,
    /// Digest of the content, as written.
    #[serde(deserialize_with = "null_as_default")]
    pub digest: String,
    /// Size of the content, in bytes.
    #[serde(rename = "size", deserialize_with = "null_as_default")]
    pub size_bytes: u64,
    /// Where else the content may be had.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations, which Go writes sorted by key.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, in base64, as written.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// What the content runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of the artifact that the descriptor leads to.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
}

/// What an image runs on (OCI image-spec, "Image Index").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// CPU architecture, by its Go name.
    #[serde(deserialize_with = "null_as_default")]
    pub architecture: String,
    /// Operating system, by its Go name.
    #[serde(deserialize_with = "null_as_default")]
    pub os: String,
    /// Version of the operating system.
    #[serde(
        rename = "os.version",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Features that the operating system must have.
    #[serde(
        rename = "os.features",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Variant of the CPU.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Go's JSON decoder treats `null` as absent.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The parts of a manifest or index that hold references.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    config: Option<Descriptor>,
    #[serde(deserialize_with = "null_as_default")]
    layers: Vec<Descriptor>,
    #[serde(deserialize_with = "null_as_default")]
    manifests: Vec<Descriptor>,
}

/// What a manifest refers to, in Distribution's order: the config and the layers of an image, or
/// the children of an index. Nothing when the content can't be read as either: an event without
/// references is better than none.
#[must_use]
pub fn references(manifest: &[u8]) -> Vec<Descriptor> {
    let parts: Parts = serde_json::from_slice(manifest).unwrap_or_default();
    parts.config.into_iter().chain(parts.layers).chain(parts.manifests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_refers_to_its_config_and_layers_in_that_order() {
        let manifest = br#"{"layers":[{"digest":"b","size":2},{"digest":"c","annotations":null}],
            "config":{"mediaType":"m","digest":"a","size":1,"x":3}}"#;
        let found = references(manifest);
        assert_eq!(found.iter().map(|d| d.digest.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(found[0].size_bytes, 1);
    }

    #[test]
    fn an_index_refers_to_its_children() {
        let index = br#"{"manifests":[{"digest":"a","platform":{"os":"linux","architecture":"arm",
            "variant":"v7","os.features":["x"]}}]}"#;
        let found = references(index);
        let platform = found[0].platform.as_ref().unwrap();
        assert_eq!((platform.variant.as_str(), platform.os_features.len()), ("v7", 1));
    }

    #[test]
    fn what_is_no_manifest_refers_to_nothing() {
        assert!(references(b"[1").is_empty());
        assert!(references(br#"{"layers":[{"size":-1}]}"#).is_empty());
    }
}
