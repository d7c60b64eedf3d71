//! Manifest media types.

/// The manifest media types this registry knows by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/vnd.oci.image.manifest.v1+json`
    OciManifest,
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerManifestList,
    /// `application/vnd.docker.distribution.manifest.v1+prettyjws`: only ever served, from volumes
    /// that Distribution 2 wrote; no longer accepted.
    DockerSchema1,
}

impl MediaType {
    /// The media type as text, without parameters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerManifestList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::DockerSchema1 => "application/vnd.docker.distribution.manifest.v1+prettyjws",
        }
    }

    /// Recognises one of the four types a manifest can be pushed with. Parameters behind `;` are
    /// ignored, as the distribution-spec asks; case is too (RFC 9110, section 8.3.1).
    #[must_use]
    pub fn from_content_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        [Self::OciManifest, Self::OciIndex, Self::DockerManifest, Self::DockerManifestList]
            .into_iter()
            .find(|t| t.as_str().eq_ignore_ascii_case(essence))
    }

    /// Whether manifests of this type list other manifests.
    #[must_use]
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// Whether this is one of Docker's types, whose `mediaType` field is mandatory.
    #[must_use]
    pub const fn is_docker(self) -> bool {
        matches!(self, Self::DockerManifest | Self::DockerManifestList | Self::DockerSchema1)
    }
}

/// The media type of a stored manifest, from its bytes: the `mediaType` field where it is one this
/// registry knows, else by shape (an index has `manifests`). The storage layout keeps no media
/// type beside the bytes, so this is how Distribution does it as well. `None` when the bytes are
/// not a manifest at all.
#[must_use]
pub fn sniff_media_type(content: &[u8]) -> Option<MediaType> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        schema_version: Option<i64>,
        media_type: Option<String>,
        // Present, be it `null`, as Go writes an empty list.
        #[serde(default, deserialize_with = "crate::descriptor::null_counts")]
        manifests: Option<Option<serde::de::IgnoredAny>>,
    }
    let shape: Shape = serde_json::from_slice(content).ok()?;
    if shape.schema_version == Some(1) {
        return Some(MediaType::DockerSchema1);
    }
    let named = shape.media_type.as_deref().and_then(MediaType::from_content_type);
    Some(named.unwrap_or(match shape.manifests {
        Some(_) => MediaType::OciIndex,
        None => MediaType::OciManifest,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        let text = "Application/vnd.oci.image.index.v1+json; charset=utf-8";
        assert_eq!(MediaType::from_content_type(text), Some(MediaType::OciIndex));
        assert_eq!(MediaType::from_content_type("application/json"), None);
        assert_eq!(MediaType::from_content_type(""), None);
    }

    #[test]
    fn stored_manifests_are_told_apart_by_field_then_by_shape() {
        let docker = format!(r#"{{"mediaType":"{}"}}"#, MediaType::DockerManifest.as_str());
        for (content, expected) in [
            (docker.as_str(), Some(MediaType::DockerManifest)),
            (r#"{"schemaVersion":2,"manifests":[]}"#, Some(MediaType::OciIndex)),
            (r#"{"schemaVersion":2,"manifests":null}"#, Some(MediaType::OciIndex)),
            (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Some(MediaType::OciManifest)),
            (r#"{"schemaVersion":1,"name":"x"}"#, Some(MediaType::DockerSchema1)),
            ("\u{1f}\u{8b}not json", None),
        ] {
            assert_eq!(sniff_media_type(content.as_bytes()), expected, "{content}");
        }
    }
}
