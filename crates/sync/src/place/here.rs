//! This registry.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use oci::{Digest, MediaType, Reference, RepositoryName, Tag};
use registry::{Chunk, Error, ManifestPush, Page, Registry};

use super::{Found, Pieces, sorted};
use crate::Selection;
use crate::fault::{Fault, Result};
use crate::limits::{READ_BYTES, REPOSITORIES_MAX};

/// How many names are read at once.
const PAGE: usize = 1000;

/// This registry, as a side of a job.
#[derive(Debug, Clone)]
pub(crate) struct Here(pub(crate) Arc<Registry>);

impl Here {
    pub(super) async fn repositories(
        &self,
        selection: &Selection,
    ) -> Result<(Vec<RepositoryName>, u64)> {
        let (mut names, mut more) = (Vec::new(), 0);
        let mut last: Option<String> = None;
        loop {
            let page = Page { limit: Some(PAGE), last: last.as_deref() };
            let found = self.0.list_repositories(page).await?;
            let parsed = found.names.iter().filter_map(|name| RepositoryName::parse(name).ok());
            for name in parsed.filter(|name| selection.selects_repository(name)) {
                match names.len() < REPOSITORIES_MAX {
                    true => names.push(name),
                    false => more += 1,
                }
            }
            last = found.names.last().cloned().filter(|_| found.more);
            if last.is_none() {
                return Ok((sorted(names), more));
            }
        }
    }

    pub(super) async fn tags(&self, name: &RepositoryName) -> Result<Vec<Tag>> {
        let mut tags = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let page = Page { limit: Some(PAGE), last: last.as_deref() };
            let found = match self.0.list_tags(name, page).await {
                Err(Error::NameUnknown { .. }) => return Ok(tags),
                found => found?,
            };
            tags.extend(found.names.iter().filter_map(|tag| Tag::parse(tag).ok()));
            last = found.names.last().cloned().filter(|_| found.more);
            if last.is_none() {
                return Ok(tags);
            }
        }
    }

    pub(super) async fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Digest>> {
        match self.0.get_manifest(name, reference).await {
            Ok(stored) => Ok(Some(stored.digest)),
            Err(Error::ManifestUnknown { .. } | Error::NameUnknown { .. }) => Ok(None),
            // What is damaged is as good as not there for who writes it anew, and is told of by who
            // reads it.
            Err(Error::Corrupt { .. }) if matches!(reference, Reference::Digest(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        let stored = self.0.get_manifest(name, &Reference::Digest(*digest)).await?;
        if stored.media_type == MediaType::DockerSchema1 {
            let reason = format!("{digest} is a manifest of schema 1, which no registry takes");
            return Err(Fault::Refused(reason));
        }
        let registry::StoredManifest { digest, media_type, content } = stored;
        Ok(Found { digest, media_type, content })
    }

    pub(super) async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let page = Page { limit: None, last: last.as_deref() };
            let found = self.0.list_referrers(name, subject, None, page).await?;
            digests.extend(found.manifests.iter().map(|descriptor| descriptor.digest));
            last.clone_from(&found.next);
            if last.is_none() {
                return Ok(digests);
            }
        }
    }

    pub(super) async fn time_of(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<SystemTime>> {
        Ok(self.0.tag_written_at(name, tag).await?)
    }

    /// A blob, with its size in bytes.
    pub(crate) async fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<(u64, Pieces)> {
        use futures_util::{StreamExt as _, stream};
        let object = self.0.open_blob(name, digest).await?.object;
        let size_bytes = object.size_bytes();
        let starts = (0..size_bytes).step_by(usize::try_from(READ_BYTES).unwrap_or(usize::MAX));
        let parts = stream::iter(starts).flat_map(move |start| {
            let end = start.saturating_add(READ_BYTES).min(size_bytes);
            Arc::clone(&object).stream(start..end)
        });
        let pieces = parts.map(|piece| piece.map_err(|error| registry::Error::from(error).into()));
        Ok((size_bytes, Box::pin(pieces)))
    }

    /// Whether a repository has a blob, which no collection takes from now on.
    pub(crate) async fn has_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        match self.0.promise_blob(name, digest).await {
            Ok(_) => Ok(true),
            Err(Error::BlobUnknown { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The kind of a manifest that a repository has with all of its parts, which no collection takes
    /// from now on.
    pub(crate) async fn has_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<MediaType>> {
        match self.0.promise_manifest(name, digest).await {
            Ok(stored) => Ok(Some(stored.media_type)),
            Err(
                Error::ManifestUnknown { .. } | Error::NameUnknown { .. } | Error::Corrupt { .. },
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a blob in whole, and checks it.
    pub(crate) async fn put_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        size_bytes: u64,
        body: registry::Body,
    ) -> Result<()> {
        let content_length = Some(size_bytes);
        let chunk = Chunk { range: None, offset_bytes: None, content_length, body };
        self.0.put_blob(name, digest, chunk).await?;
        Ok(())
    }

    /// Stores a manifest, with a tag if there is one. `is_whole` says that all of its parts have to
    /// be here.
    pub(crate) async fn put_manifest(
        &self,
        name: &RepositoryName,
        found: &Found,
        tag: Option<&Tag>,
        is_whole: bool,
    ) -> Result<()> {
        let push = ManifestPush {
            reference: Reference::Digest(found.digest),
            tags: tag.cloned().into_iter().collect(),
            media_type: found.media_type,
            content: Bytes::clone(&found.content),
        };
        match is_whole {
            true => self.0.put_manifest(name, push).await?,
            false => self.0.cache_manifest(name, push).await?,
        };
        Ok(())
    }
}
