//! A remote.

use std::sync::Arc;
use std::time::SystemTime;

use oci::{Digest, ManifestKind, MediaType, Reference, RepositoryName, Tag};
use proxy::{
    Asking, Begun, Outgoing, PutManifest, Resolved, Upstream, UpstreamBlob, UpstreamError,
};
use serde_json::{Map, Value};

use super::reading::{body, config_time, manifest_time};
use super::{Content, Found, Pieces, Tags, sorted};
use crate::Selection;
use crate::ages::Ages;
use crate::fault::{Fault, Result, is_too_much};
use crate::limits::{CONFIGURATION_BYTES_MAX, HOLD_MAX, HOLD_MIN, HOLDS_MAX, REPOSITORIES_MAX};

/// A remote, as a side of a job.
#[derive(Debug, Clone)]
pub(crate) struct There {
    pub(crate) upstream: Arc<Upstream>,
    asking: Asking,
}

impl There {
    /// As the source: every endpoint counts.
    pub(crate) fn source(upstream: Arc<Upstream>) -> Self {
        Self { upstream, asking: Asking::default() }
    }

    /// As the target: the endpoint that is written to.
    pub(crate) fn target(upstream: Arc<Upstream>) -> Self {
        Self { upstream, asking: Asking { first_only: true, ..Asking::default() } }
    }

    /// Asks, and asks again when the remote wants a short while of rest.
    async fn ask<T, F>(&self, mut question: impl FnMut() -> F) -> Result<T, UpstreamError>
    where
        F: Future<Output = Result<T, UpstreamError>>,
    {
        let mut holds = 0;
        loop {
            match question().await {
                Err(UpstreamError::Answered { status, retry_after: Some(wait), .. })
                    if is_too_much(status) && wait <= HOLD_MAX && holds < HOLDS_MAX =>
                {
                    holds += 1;
                    self.upstream.hold(wait.max(HOLD_MIN));
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn repositories(
        &self,
        selection: &Selection,
    ) -> Result<(Vec<RepositoryName>, u64)> {
        let listed = self.ask(|| self.upstream.repositories(REPOSITORIES_MAX, &self.asking)).await;
        let (mut names, is_cut) = listed?;
        names.retain(|name| selection.selects_repository(name));
        Ok((sorted(names), u64::from(is_cut)))
    }

    pub(super) async fn tags(&self, name: &RepositoryName) -> Result<Tags> {
        let listed = self.ask(|| self.upstream.tags(name, None, None, &self.asking)).await;
        let (names, is_cut) = found(listed)?.unwrap_or_default();
        Ok(Tags { names, is_cut })
    }

    pub(super) async fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Digest>> {
        Ok(self.named(name, reference).await?.map(|resolved| resolved.digest))
    }

    /// What a reference names; `None` when there is nothing.
    async fn named(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Resolved>> {
        found(self.ask(|| self.upstream.resolve(name, reference, &self.asking)).await)
    }

    pub(super) async fn manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        let reference = Reference::Digest(*digest);
        let fetched = self.ask(|| self.upstream.manifest(name, &reference, &self.asking)).await?;
        let proxy::Fetched { digest, media_type, content } = fetched;
        Ok(Found { digest, media_type, content })
    }

    pub(super) async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Digest>> {
        let listed =
            self.ask(|| self.upstream.referrers(name, subject, None, &self.asking)).await?;
        Ok(listed.iter().filter_map(digest_of).collect())
    }

    /// When what a tag names was made, as it says itself.
    pub(super) async fn time_of(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        ages: &Ages,
    ) -> Result<Option<SystemTime>> {
        let Some(digest) = self.resolve(name, &Reference::Tag(tag.clone())).await? else {
            return Ok(None);
        };
        if let Some(time) = ages.of(&digest) {
            return Ok(time);
        }
        let time = self.time_said(name, &digest).await?;
        ages.note(&digest, time);
        Ok(time)
    }

    async fn time_said(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<SystemTime>> {
        let mut found = self.manifest(name, digest).await?;
        // Of an index that says nothing, its first child.
        for _ in 0..2 {
            if let Some(time) = manifest_time(&found.content) {
                return Ok(Some(time));
            }
            let content = Content::parse(&found)?;
            match content.manifest.kind {
                ManifestKind::Image { config, .. } => {
                    let Ok(digest) = config.parsed_digest() else { return Ok(None) };
                    return self.config_time(name, &digest).await;
                }
                ManifestKind::Schema1 { .. } => return Ok(None),
                ManifestKind::Index { manifests } => {
                    let first = manifests.first().and_then(|child| child.parsed_digest().ok());
                    let Some(first) = first else { return Ok(None) };
                    found = self.manifest(name, &first).await?;
                }
            }
        }
        Ok(None)
    }

    async fn config_time(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<SystemTime>> {
        use futures_util::TryStreamExt as _;
        let (size_bytes, mut pieces) = self.blob(name, digest).await?;
        if size_bytes > CONFIGURATION_BYTES_MAX {
            return Ok(None);
        }
        let mut content = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            content.extend_from_slice(&piece);
        }
        Ok(config_time(&content))
    }

    /// A blob, with its size in bytes. What breaks off is asked for anew from there.
    pub(crate) async fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<(u64, Pieces)> {
        let begun = self.ask(|| self.upstream.blob(name, digest, 0, &self.asking)).await?;
        let size_bytes = begun.size_bytes;
        let (upstream, asking) = (Arc::clone(&self.upstream), self.asking.clone());
        let blob = UpstreamBlob { upstream, name: name.clone(), digest: *digest, asking };
        Ok((size_bytes, body(blob, begun)))
    }

    /// The size of a blob, in bytes; `None` when there is none.
    pub(crate) async fn stat_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>> {
        found(self.ask(|| self.upstream.stat_blob(name, digest, &self.asking)).await)
    }

    /// The kind of a manifest that a repository has.
    pub(crate) async fn has_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<MediaType>> {
        let resolved = self.named(name, &Reference::Digest(*digest)).await?;
        Ok(resolved.map(|resolved| resolved.media_type))
    }

    /// Begins to send a blob. A mount that is refused is no reason not to send it.
    pub(crate) async fn begin_upload(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        mount_from: Option<&RepositoryName>,
    ) -> Result<Begun> {
        let begin = async |from| {
            self.ask(|| self.upstream.begin_upload(name, digest, from, &self.asking)).await
        };
        if mount_from.is_some() {
            match begin(mount_from).await {
                Err(UpstreamError::Answered { status, .. })
                    if status.is_client_error() && !is_too_much(status) => {}
                begun => return Ok(begun?),
            }
        }
        Ok(begin(None).await?)
    }

    /// Sends a blob.
    pub(crate) async fn finish_upload(
        &self,
        upload: proxy::PendingUpload,
        digest: &Digest,
        size_bytes: u64,
        body: Outgoing,
    ) -> Result<(), UpstreamError> {
        self.upstream.finish_upload(upload, digest, size_bytes, body, &self.asking).await
    }

    /// Pushes a manifest under a tag, or its digest.
    pub(crate) async fn put_manifest(
        &self,
        name: &RepositoryName,
        found: &Found,
        tag: Option<&Tag>,
    ) -> Result<PutManifest> {
        let reference = tag.cloned().map_or(Reference::Digest(found.digest), Reference::Tag);
        let (media_type, content) = (found.media_type, &found.content);
        let put =
            || self.upstream.put_manifest(name, &reference, media_type, content, &self.asking);
        Ok(self.ask(put).await?)
    }

    /// Adds to the list of referrers that lies under a tag, where a registry keeps none itself
    /// (distribution-spec, "Referrers Tag Schema").
    pub(crate) async fn tag_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        referrers: Vec<Map<String, Value>>,
    ) -> Result<()> {
        let tag = Tag::parse(&subject.referrers_tag())
            .map_err(|error| Fault::Refused(error.to_string()))?;
        let reference = Reference::Tag(tag.clone());
        let fetched = self.ask(|| self.upstream.manifest(name, &reference, &self.asking)).await;
        let mut index: Map<String, Value> = match found(fetched)? {
            Some(fetched) => serde_json::from_slice(&fetched.content)
                .map_err(|error| Fault::Refused(format!("{tag} of {name}: {error}")))?,
            None => Map::new(),
        };
        index.insert("schemaVersion".into(), 2.into());
        index.insert("mediaType".into(), MediaType::OciIndex.as_str().into());
        let mut listed = match index.remove("manifests") {
            Some(Value::Array(listed)) => listed,
            _ => Vec::new(),
        };
        for referrer in referrers {
            let digest = referrer.get("digest").cloned();
            if !listed.iter().any(|known| known.get("digest") == digest.as_ref()) {
                listed.push(Value::Object(referrer));
            }
        }
        index.insert("manifests".into(), Value::Array(listed));
        let content =
            serde_json::to_vec(&index).map_err(|error| Fault::Refused(error.to_string()))?;
        let found = Found {
            digest: Digest::of(oci::Algorithm::Sha256, &content),
            media_type: MediaType::OciIndex,
            content: content.into(),
        };
        self.put_manifest(name, &found, Some(&tag)).await?;
        Ok(())
    }
}

/// Tells what is not there from what went wrong.
fn found<T>(asked: Result<T, UpstreamError>) -> Result<Option<T>> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn digest_of(descriptor: &Map<String, Value>) -> Option<Digest> {
    Digest::parse(descriptor.get("digest")?.as_str()?).ok()
}
