//! What manifests say, and blobs that come however often the connection breaks.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use oci::{Digest, Manifest, ManifestKind, RepositoryName};
use proxy::{Asking, BlobBody, Upstream, UpstreamError};
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

    /// The size of what an image is made of, in bytes; `None` of an index.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        match self.manifest.kind {
            ManifestKind::Image { .. } => {
                Some(self.manifest.references().fold(0, |sum, part| sum.saturating_add(part.size)))
            }
            ManifestKind::Index { .. } => None,
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

struct Coming {
    upstream: Arc<Upstream>,
    name: RepositoryName,
    digest: Digest,
    body: BlobBody,
    asking: Asking,
    at_bytes: u64,
    /// How often in a row it failed without a byte.
    failures: u32,
}

/// The bytes of a blob that has begun to come.
pub(super) fn body(
    upstream: Arc<Upstream>,
    name: RepositoryName,
    digest: Digest,
    body: BlobBody,
    asking: Asking,
) -> Pieces {
    let coming = Coming { upstream, name, digest, body, asking, at_bytes: 0, failures: 0 };
    Box::pin(stream::try_unfold(coming, |mut coming| async move {
        loop {
            match coming.body.pieces.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => {
                    coming.at_bytes += piece.len() as u64;
                    coming.failures = 0;
                    return Ok(Some((piece, coming)));
                }
                Some(Err(error)) => coming.resume(error).await?,
            }
        }
    }))
}

impl Coming {
    /// Asks for the rest, at the next endpoint first.
    async fn resume(&mut self, mut error: UpstreamError) -> Result<()> {
        loop {
            self.failures += 1;
            if self.failures > RESUMES_MAX
                || !matches!(error, UpstreamError::Cut { .. } | UpstreamError::Unreachable { .. })
            {
                return Err(error.into());
            }
            self.asking.attempt += 1;
            tracing::debug!(
                repository = %self.name, digest = %self.digest, at_bytes = self.at_bytes, %error,
                "a blob goes on where it broke off"
            );
            tokio::time::sleep(RESUME_AFTER * self.failures).await;
            let (name, digest) = (&self.name, &self.digest);
            let again = self.upstream.blob(name, digest, self.at_bytes, &self.asking).await;
            match again {
                Ok(body) if body.size_bytes == self.body.size_bytes => {
                    self.body = body;
                    return Ok(());
                }
                Ok(body) => {
                    let sizes = (self.body.size_bytes, body.size_bytes);
                    let reason = format!("{digest} had {} bytes and now has {}", sizes.0, sizes.1);
                    let upstream = self.upstream.name().to_owned();
                    return Err(UpstreamError::Invalid { upstream, reason }.into());
                }
                Err(failed) => error = failed,
            }
        }
    }
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
