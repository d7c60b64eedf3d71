//! An image that is added to an OCI layout.

use bytes::Bytes;
use oci::MediaType;

use super::ImageError;
use crate::oci_layout::{Entry, Index, REF_NAME};

/// The index with one more image, in place of one that is called the same; without a name, of the
/// same one without a name.
pub(super) fn index_with(there: Option<Bytes>, entry: Entry) -> Result<Vec<u8>, ImageError> {
    let mut index = match there {
        Some(content) => serde_json::from_slice(&content)
            .map_err(|error| ImageError::document("index.json", error))?,
        None => Index {
            schema_version: 2,
            media_type: Some(MediaType::OciIndex.as_str().into()),
            manifests: Vec::new(),
        },
    };
    let is_replaced = |other: &Entry| {
        let name = other.annotation(REF_NAME);
        name == entry.annotation(REF_NAME) && (name.is_some() || other.digest == entry.digest)
    };
    index.manifests.retain(|other| !is_replaced(other));
    index.manifests.push(entry);
    Ok(serde_json::to_vec(&index).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn entry(name: Option<&str>, digest: &str) -> Entry {
        let annotations = name.map(|name| Map::from_iter([(REF_NAME.to_owned(), name.into())]));
        Entry { digest: digest.into(), annotations, ..Entry::default() }
    }

    #[test]
    fn names_are_replaced_and_others_stay_as_they_are() {
        let there = json!({
            "schemaVersion": 2,
            "manifests": [
                {"digest": "a", "annotations": {REF_NAME: "one"}, "artifactType": "x"},
                {"digest": "b"},
            ],
        });
        let there = || Some(Bytes::from(there.to_string()));
        let digests = |entry| {
            let merged = index_with(there(), entry).unwrap();
            let merged: serde_json::Value = serde_json::from_slice(&merged).unwrap();
            assert!(
                merged["manifests"][0]["digest"] != "a"
                    || merged["manifests"][0]["artifactType"] == "x"
            );
            let entries = merged["manifests"].as_array().unwrap().clone();
            entries.iter().map(|e| e["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(digests(entry(Some("one"), "c")), ["b", "c"]);
        assert_eq!(digests(entry(Some("two"), "c")), ["a", "b", "c"]);
        assert_eq!(digests(entry(None, "b")), ["a", "b"]);
        assert_eq!(digests(entry(None, "c")), ["a", "b", "c"]);
        assert!(index_with(Some("[".into()), entry(None, "a")).is_err());
    }
}
