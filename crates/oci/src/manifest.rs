//! Manifests, parsed for what they refer to. The bytes themselves are never re-encoded.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::descriptor::{null_as_default, null_counts};
use crate::{Descriptor, Digest, DigestError, MediaType, sniff_media_type};

/// A manifest as far as a registry understands it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its media type.
    pub media_type: MediaType,
    /// What it refers to.
    pub kind: ManifestKind,
    /// The manifest this one refers to (image-spec, "subject").
    pub subject: Option<Descriptor>,
    /// The `artifactType` field, when present and not empty.
    pub artifact_type: Option<String>,
    /// The `annotations` field, as written.
    pub annotations: Option<Map<String, Value>>,
}

/// The shapes of manifest.
#[derive(Debug, Clone)]
pub enum ManifestKind {
    /// An image manifest: a configuration and layers.
    Image {
        /// The configuration blob.
        config: Descriptor,
        /// The layers, lowest first; may be empty.
        layers: Vec<Descriptor>,
    },
    /// An index or manifest list.
    Index {
        /// The child manifests; may be empty.
        manifests: Vec<Descriptor>,
    },
    /// An image of Docker's first schema, which is only served, from volumes that Distribution 2
    /// wrote.
    Schema1 {
        /// The layers (`fsLayers`), highest first, by their digests alone.
        layers: Vec<Descriptor>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "null_counts")]
    manifests: Option<Option<Vec<Descriptor>>>,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_as_default")]
    annotations: Map<String, Value>,
}

/// What an image of Docker's first schema is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSchema1 {
    fs_layers: Option<Vec<FsLayer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FsLayer {
    blob_sum: String,
}

impl Manifest {
    /// Parses a manifest that is being pushed as `media_type`, and checks the rules that need no
    /// storage: image-spec "Image Manifest" and "Image Index", and Distribution's own.
    ///
    /// # Errors
    /// [`ManifestError`] names the rule that is broken.
    pub fn parse(media_type: MediaType, content: &[u8]) -> Result<Self, ManifestError> {
        let raw = parse_raw(content)?;
        if raw.schema_version != Some(2) {
            return Err(ManifestError::SchemaVersion(raw.schema_version));
        }
        match raw.media_type.as_deref().filter(|t| !t.is_empty()) {
            None if media_type.is_docker() => {
                return Err(ManifestError::MediaTypeMissing(media_type.as_str()));
            }
            Some(field) if field != media_type.as_str() => {
                return Err(ManifestError::MediaTypeMismatch {
                    header: media_type.as_str(),
                    field: field.chars().take(128).collect(),
                });
            }
            _ => {}
        }
        let forbidden = if media_type.is_index() {
            [("config", raw.config.is_some()), ("layers", raw.layers.is_some())]
        } else {
            [("manifests", raw.manifests.is_some()), ("", false)]
        };
        if let Some((field, _)) = forbidden.into_iter().find(|(_, present)| *present) {
            return Err(ManifestError::ForbiddenField { media_type: media_type.as_str(), field });
        }
        // Without it and without "mediaType" nobody could tell later that this is an index.
        if media_type.is_index() && raw.manifests.is_none() {
            return Err(ManifestError::ManifestsMissing);
        }
        Self::build(media_type, raw)?.check_digests()
    }

    /// Parses a manifest that is already stored. Such a manifest may be older than some rule, so
    /// nothing is checked but that it is one, of a shape that says what it refers to.
    ///
    /// # Errors
    /// [`ManifestError::Json`] when the bytes are not a manifest, [`ManifestError::Shape`] when they
    /// are none that this registry knows.
    pub fn parse_stored(content: &[u8]) -> Result<Self, ManifestError> {
        let raw = parse_raw(content)?;
        let media_type = sniff_media_type(content).unwrap_or(MediaType::OciManifest);
        if media_type == MediaType::DockerSchema1 {
            return Ok(Self::of(media_type, schema_1(content)?, raw));
        }
        if !media_type.is_index() && raw.config.is_none() && raw.layers.is_none() {
            return Err(ManifestError::Shape);
        }
        Self::build(media_type, Raw { config: Some(raw.config.unwrap_or_default()), ..raw })
    }

    fn build(media_type: MediaType, mut raw: Raw) -> Result<Self, ManifestError> {
        let kind = if media_type.is_index() {
            ManifestKind::Index { manifests: raw.manifests.take().flatten().unwrap_or_default() }
        } else {
            ManifestKind::Image {
                config: raw.config.take().ok_or(ManifestError::ConfigMissing)?,
                layers: raw.layers.take().unwrap_or_default(),
            }
        };
        Ok(Self::of(media_type, kind, raw))
    }

    fn of(media_type: MediaType, kind: ManifestKind, raw: Raw) -> Self {
        Self {
            media_type,
            kind,
            subject: raw.subject,
            artifact_type: raw.artifact_type.filter(|t| !t.is_empty()),
            annotations: (!raw.annotations.is_empty()).then_some(raw.annotations),
        }
    }

    /// A malformed digest makes the manifest invalid; one of an algorithm that this registry does
    /// not know is well-formed, and merely names something that can't be here.
    fn check_digests(self) -> Result<Self, ManifestError> {
        for descriptor in self.references().chain(&self.subject) {
            match descriptor.parsed_digest() {
                Ok(_) | Err(DigestError::UnsupportedAlgorithm(_)) => {}
                Err(reason) => {
                    let text = descriptor.digest.chars().take(160).collect();
                    return Err(ManifestError::Digest { text, reason });
                }
            }
        }
        Ok(self)
    }

    /// Everything the manifest is made of: configuration and layers, or children. Without the
    /// subject, which is not a part.
    pub fn references(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, rest) = match &self.kind {
            ManifestKind::Image { config, layers } => (Some(config), layers),
            ManifestKind::Index { manifests } => (None, manifests),
            ManifestKind::Schema1 { layers } => (None, layers),
        };
        config.into_iter().chain(rest)
    }

    /// The digest of the subject, when there is a usable one.
    #[must_use]
    pub fn subject_digest(&self) -> Option<Digest> {
        self.subject.as_ref().and_then(|s| s.parsed_digest().ok())
    }

    /// The artifact type under which the referrers API lists this manifest (distribution-spec,
    /// "Listing Referrers"): its own, else for an image the configuration's media type, else none.
    #[must_use]
    pub fn referrer_artifact_type(&self) -> Option<&str> {
        match (&self.artifact_type, &self.kind) {
            (Some(own), _) => Some(own),
            (None, ManifestKind::Image { config, .. }) => {
                Some(config.media_type.as_str()).filter(|t| !t.is_empty())
            }
            (None, ManifestKind::Index { .. } | ManifestKind::Schema1 { .. }) => None,
        }
    }
}

fn parse_raw(content: &[u8]) -> Result<Raw, ManifestError> {
    // serde would also read a struct from an array of its fields in order.
    if content.trim_ascii_start().first() != Some(&b'{') {
        return Err(ManifestError::Json("it does not begin with '{'".into()));
    }
    serde_json::from_slice(content).map_err(|e| ManifestError::Json(e.to_string()))
}

/// What an image of Docker's first schema refers to.
fn schema_1(content: &[u8]) -> Result<ManifestKind, ManifestError> {
    let raw: RawSchema1 =
        serde_json::from_slice(content).map_err(|e| ManifestError::Json(e.to_string()))?;
    let layers = raw.fs_layers.ok_or(ManifestError::Shape)?;
    let of_digest = |layer: FsLayer| Descriptor { digest: layer.blob_sum, ..Descriptor::default() };
    Ok(ManifestKind::Schema1 { layers: layers.into_iter().map(of_digest).collect() })
}

/// Why bytes are not an acceptable manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not of a manifest's types.
    #[error("the manifest is not valid JSON of the expected form: {0}")]
    Json(String),
    /// A stored document without anything that a known manifest refers to its content by. What it
    /// refers to can't be told.
    #[error("it has none of \"config\", \"layers\", \"manifests\" and \"fsLayers\"")]
    Shape,
    /// `schemaVersion` is not 2.
    #[error("unrecognized manifest schema version {}: it must be 2", .0.map_or("(none)".to_owned(), |v| v.to_string()))]
    SchemaVersion(Option<i64>),
    /// One of Docker's types without its mandatory `mediaType` field.
    #[error("the field \"mediaType\" is missing: a manifest pushed as {0} must have it")]
    MediaTypeMissing(&'static str),
    /// The field and the request's `Content-Type` disagree.
    #[error("the field \"mediaType\" is \"{field}\" but the Content-Type header is \"{header}\"")]
    MediaTypeMismatch {
        /// What the request said.
        header: &'static str,
        /// What the manifest says.
        field: String,
    },
    /// A field that belongs to the other shape; such a manifest could be read in two ways
    /// (CVE-2021-41190).
    #[error("a manifest of type {media_type} must not have the field \"{field}\"")]
    ForbiddenField {
        /// The type it was pushed as.
        media_type: &'static str,
        /// The field.
        field: &'static str,
    },
    /// An image manifest without configuration.
    #[error("the field \"config\" is missing")]
    ConfigMissing,
    /// An index must have its list, which may be empty or `null` (image-spec, "Image Index").
    #[error("the field \"manifests\" is missing")]
    ManifestsMissing,
    /// A descriptor whose digest is malformed.
    #[error("a descriptor has the digest \"{text}\": {reason}")]
    Digest {
        /// The digest as written, cut short.
        text: String,
        /// What is wrong with it.
        reason: DigestError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(media_type: MediaType, json: &str, expected: Result<usize, &str>) {
        let json = json.replace("$D", D).replace("$T", media_type.as_str());
        match (Manifest::parse(media_type, json.as_bytes()), expected) {
            (Ok(manifest), Ok(count)) => assert_eq!(manifest.references().count(), count, "{json}"),
            (Err(error), Err(text)) => {
                assert!(error.to_string().contains(text), "{json}: {error}");
            }
            (got, _) => panic!("{json}: {got:?}"),
        }
    }

    #[test]
    fn rules_of_a_push() {
        use MediaType::{DockerManifest, DockerManifestList, OciIndex, OciManifest};
        let config = r#""config":{"mediaType":"c","digest":"$D","size":2}"#;
        for (media_type, json, expected) in [
            (OciManifest, format!(r#"{{"schemaVersion":2,{config},"layers":[]}}"#), Ok(1)),
            (OciManifest, format!(r#"{{"schemaVersion":2,{config}}}"#), Ok(1)),
            (OciManifest, format!(r#"{{"schemaVersion":2,{config},"layers":null}}"#), Ok(1)),
            (
                OciManifest,
                format!(r#"{{"schemaVersion":2,"mediaType":"$T",{config},"x":1}}"#),
                Ok(1),
            ),
            (OciManifest, format!(r#"{{"schemaVersion":1,{config}}}"#), Err("schema version 1")),
            (OciManifest, format!("{{{config}}}"), Err("schema version (none)")),
            (
                OciManifest,
                r#"{"schemaVersion":2,"layers":[]}"#.into(),
                Err("\"config\" is missing"),
            ),
            (
                OciManifest,
                format!(r#"{{"schemaVersion":2,{config},"manifests":[]}}"#),
                Err("must not"),
            ),
            (
                OciManifest,
                format!(r#"{{"schemaVersion":2,"mediaType":"x",{config}}}"#),
                Err("\"x\""),
            ),
            (OciManifest, r#"{"schemaVersion":2,"config":{"digest":"no"}}"#.into(), Err("\"no\"")),
            (OciManifest, r#"{"schemaVersion":2,"config":{}}"#.into(), Err("digest")),
            (
                OciManifest,
                format!(r#"{{"schemaVersion":2,{config},"layers":[{{"digest":"blake3:00"}}]}}"#),
                Ok(2),
            ),
            (DockerManifest, format!(r#"{{"schemaVersion":2,{config}}}"#), Err("must have it")),
            (DockerManifest, format!(r#"{{"schemaVersion":2,"mediaType":"$T",{config}}}"#), Ok(1)),
            (OciIndex, r#"{"schemaVersion":2,"manifests":[]}"#.into(), Ok(0)),
            // As Go writes an index of nothing.
            (OciIndex, r#"{"schemaVersion":2,"manifests":null}"#.into(), Ok(0)),
            (OciIndex, r#"{"schemaVersion":2}"#.into(), Err("\"manifests\" is missing")),
            (OciIndex, r#"{"schemaVersion":2,"manifests":[{"digest":"$D"}]}"#.into(), Ok(1)),
            (OciIndex, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.into(), Err("must not")),
            (
                DockerManifestList,
                r#"{"schemaVersion":2,"manifests":[]}"#.into(),
                Err("must have it"),
            ),
            (OciIndex, "[]".into(), Err("JSON")),
            (OciIndex, r#"[2,null,null,null,null,[],null,{}]"#.into(), Err("JSON")),
            (OciIndex, "".into(), Err("JSON")),
            (OciIndex, r#"{"schemaVersion":2}{"#.into(), Err("JSON")),
            (OciIndex, "[".repeat(100_000), Err("JSON")),
        ] {
            check(media_type, &json, expected);
        }
    }

    #[test]
    fn what_stored_manifests_refer_to() {
        for (json, expected) in [
            (r#"{"schemaVersion":2,"config":{"digest":"c"},"layers":[{"digest":"l"}]}"#, "c l"),
            (r#"{"schemaVersion":2,"config":{"digest":"c"}}"#, "c"),
            (r#"{"schemaVersion":2,"layers":[{"digest":"l"}]}"#, " l"),
            (r#"{"schemaVersion":2,"manifests":[{"digest":"m"}]}"#, "m"),
            (r#"{"schemaVersion":2,"manifests":null}"#, ""),
            (
                r#"{"schemaVersion":1,"name":"n","tag":"t","signatures":[],
                    "fsLayers":[{"blobSum":"sha256:a"},{"blobSum":"b"}]}"#,
                "sha256:a b",
            ),
        ] {
            let manifest = Manifest::parse_stored(json.as_bytes()).unwrap();
            let digests: Vec<_> = manifest.references().map(|d| &*d.digest).collect();
            assert_eq!(digests.join(" "), expected, "{json}");
        }
    }

    #[test]
    fn of_a_stored_document_without_a_known_shape_nothing_can_be_told() {
        for json in [
            "{}",
            r#"{"schemaVersion":2}"#,
            r#"{"schemaVersion":1,"name":"n"}"#,
            // The artifact manifest of the image-spec's release candidates.
            r#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[{}]}"#,
        ] {
            let parsed = Manifest::parse_stored(json.as_bytes());
            assert_eq!(parsed.err(), Some(ManifestError::Shape), "{json}");
        }
        let odd = br#"{"schemaVersion":1,"fsLayers":[{"blobSum":5}]}"#;
        assert!(matches!(Manifest::parse_stored(odd), Err(ManifestError::Json(_))));
    }

    #[test]
    fn artifact_type_for_the_referrers_list() {
        for (json, expected) in [
            (r#"{"artifactType":"a","config":{"mediaType":"c"}}"#, Some("a")),
            (r#"{"config":{"mediaType":"c"}}"#, Some("c")),
            (r#"{"artifactType":"","config":{"mediaType":"c"}}"#, Some("c")),
            (r#"{"artifactType":"a","manifests":[]}"#, Some("a")),
            (r#"{"manifests":[]}"#, None),
        ] {
            let manifest = Manifest::parse_stored(json.as_bytes()).unwrap();
            assert_eq!(manifest.referrer_artifact_type(), expected, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(content in proptest::collection::vec(0u8.., 0..200)) {
            let _ = Manifest::parse(MediaType::OciManifest, &content);
            let _ = Manifest::parse_stored(&content);
        }
    }
}
