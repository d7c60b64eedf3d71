//! The children of an index, as far as it matters whether they are copied.

use std::collections::BTreeMap;

use oci::{Digest, MediaType};
use serde::{Deserialize, Deserializer};

/// A child of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Child {
    /// The digest as written; see [`Child::parsed_digest`].
    #[serde(deserialize_with = "null_as_default")]
    pub digest: String,
    /// Its media type; empty when the index does not say it.
    #[serde(deserialize_with = "null_as_default")]
    pub media_type: String,
    /// What it runs on.
    pub platform: Option<ChildPlatform>,
    /// Its annotations in the index, those that are texts.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
}

/// What a child of an index runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ChildPlatform {
    /// Operating system, by its Go name.
    #[serde(deserialize_with = "null_as_default")]
    pub os: String,
    /// CPU architecture, by its Go name.
    #[serde(deserialize_with = "null_as_default")]
    pub architecture: String,
    /// The kind of CPU within the architecture, as `v7`; often empty.
    #[serde(deserialize_with = "null_as_default")]
    pub variant: String,
}

impl Child {
    /// The digest, if it is one of an algorithm that is known.
    #[must_use]
    pub fn parsed_digest(&self) -> Option<Digest> {
        Digest::parse(&self.digest).ok()
    }

    /// Whether it is a manifest itself. The cache of BuildKit is an index of layers.
    pub(crate) fn is_manifest(&self) -> bool {
        self.media_type.is_empty() || MediaType::from_content_type(&self.media_type).is_some()
    }

    /// The children of an index; `None` when the bytes are none.
    #[must_use]
    pub fn of_index(content: &[u8]) -> Option<Vec<Self>> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Option<Vec<Child>>,
        }
        let index: Index = serde_json::from_slice(content).ok()?;
        Some(index.manifests.unwrap_or_default())
    }
}

/// Go's JSON encoder writes `null` for what is empty.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_an_index() {
        let index = br#"{"manifests":[
            {"digest":"sha256:x","size":3,"platform":{"os":"linux","architecture":"arm","variant":"v7"}},
            {"digest":"sha256:y","platform":null,"annotations":null},
            {"digest":"sha256:z","annotations":{"vnd.docker.reference.digest":"sha256:x"}}]}"#;
        let children = Child::of_index(index).unwrap();
        let platform = children[0].platform.clone().unwrap();
        assert_eq!(
            (&*platform.os, &*platform.architecture, &*platform.variant),
            ("linux", "arm", "v7")
        );
        assert_eq!(children[1].platform, None);
        assert_eq!(children[2].annotations["vnd.docker.reference.digest"], "sha256:x");
        assert!(children[0].is_manifest());
        let layer = br#"{"manifests":[{"mediaType":"application/vnd.oci.image.layer.v1.tar"}]}"#;
        assert!(!Child::of_index(layer).unwrap()[0].is_manifest());
        assert_eq!(Child::of_index(br#"{"manifests":null}"#), Some(Vec::new()));
        assert_eq!(Child::of_index(b"no"), None);
    }
}
