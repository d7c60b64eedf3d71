//! What manifests say, and blobs that come however often the connection breaks.

use std::time::SystemTime;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use oci::{Manifest, ManifestKind};
use proxy::{BlobBody, Break, UpstreamBlob, UpstreamError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Found, Pieces};
use crate::Child;
use crate::fault::{Fault, Result};
use crate::limits::{RESUME_AFTER, RESUMES_MAX};

/// The annotation with the time at which something was made (image-spec, "Annotations").
const CREATED: &str = "org.opencontainers.image.created";

/// A manifest that was parsed.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) manifest: Manifest,
}

impl Content {
    /// Parses a manifest.
    pub(crate) fn parse(found: &Found) -> Result<Self> {
        let manifest = Manifest::parse_stored(&found.content)
            .map_err(|error| Fault::Refused(format!("{}: {error}", found.digest)))?;
        Ok(Self { manifest })
    }

    /// The size of what an image is made of, in bytes; `None` of an index, and where it is not said.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        match self.manifest.kind {
            ManifestKind::Image { .. } => {
                Some(self.manifest.references().fold(0, |sum, part| sum.saturating_add(part.size)))
            }
            // Whose layers' sizes are not said.
            ManifestKind::Index { .. } | ManifestKind::Schema1 { .. } => None,
        }
    }

    /// How a list of referrers describes it.
    pub(crate) fn descriptor(&self, found: &Found) -> Map<String, Value> {
        let mut descriptor = Map::new();
        descriptor.insert("mediaType".into(), found.media_type.as_str().into());
        descriptor.insert("digest".into(), found.digest.to_string().into());
        descriptor.insert("size".into(), json!(found.content.len()));
        if let Some(kind) = self.manifest.referrer_artifact_type() {
            descriptor.insert("artifactType".into(), kind.into());
        }
        if let Some(annotations) = &self.manifest.annotations {
            descriptor.insert("annotations".into(), Value::Object(annotations.clone()));
        }
        descriptor
    }
}

/// The time that a manifest says it was made at, or that an index says of its first child.
pub(super) fn manifest_time(content: &[u8]) -> Option<SystemTime> {
    let manifest = Manifest::parse_stored(content).ok()?;
    let own = manifest.annotations.as_ref().and_then(|a| a.get(CREATED)?.as_str().and_then(time));
    own.or_else(|| {
        let children = Child::of_index(content)?;
        time(children.first()?.annotations.get(CREATED)?)
    })
}

/// The time that an image's configuration says.
pub(super) fn config_time(content: &[u8]) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Configuration {
        created: Option<String>,
    }
    let configuration: Configuration = serde_json::from_slice(content).ok()?;
    time(&configuration.created?)
}

fn time(text: &str) -> Option<SystemTime> {
    text.trim().parse::<Timestamp>().ok().map(SystemTime::from)
}

/// The bytes of a blob that has begun to come. What an endpoint answers ends them: the queue has it
/// tried again, and knows for how long a remote wants to be left alone.
pub(super) fn body(blob: UpstreamBlob, begun: BlobBody) -> Pieces {
    let (repository, digest) = (blob.name.clone(), blob.digest);
    let again = move |broken: &Break<'_>| {
        let Break { at_bytes, failures, error, .. } = *broken;
        let is_network =
            matches!(error, UpstreamError::Cut { .. } | UpstreamError::Unreachable { .. });
        if failures > RESUMES_MAX || !is_network {
            return None;
        }
        tracing::debug!(%repository, %digest, at_bytes, %error, "a blob goes on where it broke off");
        Some(RESUME_AFTER * failures)
    };
    Box::pin(blob.resuming(begun, again).map(|piece| Ok(piece?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_images_say() {
        let at = |text: &str| Some(SystemTime::from(text.parse::<Timestamp>().unwrap()));
        let manifest = br#"{"schemaVersion":2,"manifests":[],
            "annotations":{"org.opencontainers.image.created":"2026-01-02T03:04:05Z"}}"#;
        assert_eq!(manifest_time(manifest), at("2026-01-02T03:04:05Z"));
        assert_eq!(manifest_time(br#"{"schemaVersion":2,"manifests":[]}"#), None);
        let of_child = br#"{"schemaVersion":2,"manifests":[
            {"annotations":{"org.opencontainers.image.created":"2026-01-02T03:04:05Z"}}]}"#;
        assert_eq!(manifest_time(of_child), at("2026-01-02T03:04:05Z"));
        let config = br#"{"created":"2026-01-02T03:04:05.678901234+01:00","os":"linux"}"#;
        assert_eq!(config_time(config), at("2026-01-02T02:04:05.678901234Z"));
        for odd in ["{}", "[]", r#"{"created":"yesterday"}"#, r#"{"created":null}"#] {
            assert_eq!(config_time(odd.as_bytes()), None, "{odd}");
        }
    }
}
