//! The client of one upstream registry.

mod error;
mod health;
mod options;

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderValue;
use oci::{Digest, MediaType, Reference, RepositoryName, Tag};
use serde_json::{Map, Value};

pub use error::{UpstreamError, UpstreamSetupError};
pub use health::{RateLimit, RequestCounts, UpstreamHealth};
pub use options::{Credentials, NameRules, TlsOptions, UpstreamOptions};

/// How something is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// A client's own credentials, which take the place of those that are configured. Only for
    /// upstreams that are configured to get them.
    pub authorization: Option<HeaderValue>,
    /// Endpoints that are passed over at first, of those that there are: how often this was
    /// tried before.
    pub attempt: usize,
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its size, when the upstream said it.
    pub size_bytes: Option<u64>,
}

/// A manifest whose digest was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its bytes.
    pub content: Bytes,
}

/// The bytes of a blob, from an offset on. They are not checked against its digest.
pub struct BlobBody {
    /// The size of the whole blob.
    pub size_bytes: u64,
    /// The bytes. They end with an error, or exactly at the blob's end.
    pub pieces: Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>,
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobBody").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// The client of one upstream registry.
#[derive(Debug)]
pub struct Upstream {
    options: UpstreamOptions,
}

impl Upstream {
    /// A client. Asks nobody: a start does not need the upstream.
    ///
    /// # Errors
    /// [`UpstreamSetupError`] when a URL, a file or a rule can't be used.
    pub fn new(options: UpstreamOptions) -> Result<Self, UpstreamSetupError> {
        Ok(Self { options })
    }

    /// Its name in errors, logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The upstream's name of a repository: rewritten, with `library/` where that is needed.
    ///
    /// # Errors
    /// [`UpstreamError::NotAllowed`] when it is not to be asked for.
    pub fn translate(&self, _name: &str) -> Result<RepositoryName, UpstreamError> {
        Err(self.unbuilt())
    }

    /// What a reference names, without its content where the upstream can say so: that spends
    /// nothing of a limit of pulls.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn resolve(
        &self,
        _name: &RepositoryName,
        _reference: &Reference,
        _asking: &Asking,
    ) -> Result<Resolved, UpstreamError> {
        Err(self.unbuilt())
    }

    /// A manifest, checked against the digest in the reference or in the answer.
    ///
    /// # Errors
    /// [`UpstreamError`]; `Invalid` when it is too large or has another digest.
    pub async fn manifest(
        &self,
        _name: &RepositoryName,
        _reference: &Reference,
        _asking: &Asking,
    ) -> Result<Fetched, UpstreamError> {
        Err(self.unbuilt())
    }

    /// The size of a blob.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn stat_blob(
        &self,
        _name: &RepositoryName,
        _digest: &Digest,
        _asking: &Asking,
    ) -> Result<u64, UpstreamError> {
        Err(self.unbuilt())
    }

    /// Opens a blob, from an offset on. Where the upstream ignores the offset, the bytes before it
    /// are skipped.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn blob(
        &self,
        _name: &RepositoryName,
        _digest: &Digest,
        _from: u64,
        _asking: &Asking,
    ) -> Result<BlobBody, UpstreamError> {
        Err(self.unbuilt())
    }

    /// Tags of a repository behind `last`, in the upstream's order, and whether there are more.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn tags(
        &self,
        _name: &RepositoryName,
        _limit: Option<usize>,
        _last: Option<&str>,
        _asking: &Asking,
    ) -> Result<(Vec<Tag>, bool), UpstreamError> {
        Err(self.unbuilt())
    }

    /// The descriptors of what refers to a manifest; read from the fallback tag where the upstream
    /// does not know referrers.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn referrers(
        &self,
        _name: &RepositoryName,
        _digest: &Digest,
        _artifact_type: Option<&str>,
        _asking: &Asking,
    ) -> Result<Vec<Map<String, Value>>, UpstreamError> {
        Err(self.unbuilt())
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> UpstreamHealth {
        UpstreamHealth::default()
    }

    fn unbuilt(&self) -> UpstreamError {
        UpstreamError::Unreachable { upstream: self.name().to_owned(), reason: "unbuilt".into() }
    }
}
