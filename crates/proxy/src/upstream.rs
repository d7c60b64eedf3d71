//! The client of one upstream registry.

mod authority;
mod blobs;
mod challenge;
mod client;
mod endpoint;
mod error;
#[cfg(test)]
#[path = "../tests/support/fake.rs"]
mod fake;
mod guard;
mod health;
mod lists;
mod logins;
mod manifests;
mod names;
mod options;
mod reading;
mod resuming;
mod scope;
mod search;
mod throttle;
mod token;
mod writing;

use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderValue;
use oci::{Digest, MediaType, Reference, RepositoryName, Tag};
use serde_json::{Map, Value};

use self::endpoint::Endpoint;
use self::health::Counters;
use self::logins::Logins;
use self::search::Search;
use self::throttle::Throttle;

pub use error::{UpstreamError, UpstreamSetupError};
pub use health::{RateLimit, RequestCounts, UpstreamHealth};
pub use names::rewritten;
pub use options::{Credentials, NameRules, TlsOptions, UpstreamOptions};
pub use resuming::{Break, UpstreamBlob};
pub use writing::{Begun, Outgoing, PendingUpload, PutManifest};

/// How something is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// A client's own credentials, which take the place of those that are configured. Only for
    /// upstreams that are configured to get them.
    pub authorization: Option<HeaderValue>,
    /// Endpoints that are passed over at first, of those that there are: how often this was
    /// tried before.
    pub attempt: usize,
    /// Whether only the first endpoint counts: it is the one that is written to, and what another one
    /// has says nothing of it.
    pub first_only: bool,
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
///
/// Each question goes to its endpoints in order, until one answers it: with what was asked for, or
/// with 401 or 403. An endpoint that has not what is asked for may only be behind, so that the
/// others are asked too. An endpoint that could not be reached is tried last for a while.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    names: NameRules,
    endpoints: Vec<Endpoint>,
    counters: Arc<Counters>,
    throttle: Arc<Throttle>,
}

impl Upstream {
    /// A client. Asks nobody: a start does not need the upstream.
    ///
    /// # Errors
    /// [`UpstreamSetupError`] when a URL, a file or a rule can't be used.
    pub fn new(options: UpstreamOptions) -> Result<Self, UpstreamSetupError> {
        if let Some((from, to)) = options.names.wrong_rewrite() {
            let (upstream, from, to) = (options.name.clone(), from.clone(), to.clone());
            return Err(UpstreamSetupError::Rewrite { upstream, from, to });
        }
        if options.endpoints.is_empty() {
            return Err(UpstreamSetupError::NoEndpoint { upstream: options.name });
        }
        let counters = Arc::new(Counters::default());
        let logins = Arc::new(Logins::new(&options)?);
        let throttle = Arc::new(Throttle::default());
        let endpoint = |url| {
            let (logins, counters) = (Arc::clone(&logins), Arc::clone(&counters));
            Endpoint::new(&options, url, logins, counters, Arc::clone(&throttle))
        };
        let endpoints = options.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?;
        Ok(Self { name: options.name, names: options.names, endpoints, counters, throttle })
    }

    /// Its name in errors, logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many endpoints it has.
    pub(crate) fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// The upstream's name of a repository: rewritten, with `library/` where that is needed.
    ///
    /// # Errors
    /// [`UpstreamError::NotAllowed`] when it is not to be asked for.
    pub fn translate(&self, name: &str) -> Result<RepositoryName, UpstreamError> {
        let denied = |name| UpstreamError::NotAllowed { upstream: self.name.clone(), name };
        self.names.translate(name).map_err(denied)
    }

    /// What a reference names, without its content where the upstream can say so: that spends
    /// nothing of a limit of pulls.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        asking: &Asking,
    ) -> Result<Resolved, UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.resolve(name, reference, asking).await);
        }
        search.result()
    }

    /// A manifest, checked against the digest in the reference or in the answer.
    ///
    /// # Errors
    /// [`UpstreamError`]; `Invalid` when it is too large or has another digest.
    pub async fn manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        asking: &Asking,
    ) -> Result<Fetched, UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.manifest(name, reference, asking).await);
        }
        search.result()
    }

    /// The size of a blob.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn stat_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        asking: &Asking,
    ) -> Result<u64, UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.stat_blob(name, digest, asking).await);
        }
        search.result()
    }

    /// Opens a blob, from an offset on. Where the upstream ignores the offset, the bytes before it
    /// are skipped.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: u64,
        asking: &Asking,
    ) -> Result<BlobBody, UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.blob(name, digest, from, asking).await);
        }
        search.result()
    }

    /// Tags of a repository behind `last`, in the upstream's order, and whether there are more.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn tags(
        &self,
        name: &RepositoryName,
        limit: Option<usize>,
        last: Option<&str>,
        asking: &Asking,
    ) -> Result<(Vec<Tag>, bool), UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.tags(name, limit, last, asking).await);
        }
        search.result()
    }

    /// The descriptors of what refers to a manifest; read from the fallback tag where the upstream
    /// does not know referrers.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn referrers(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        artifact_type: Option<&str>,
        asking: &Asking,
    ) -> Result<Vec<Map<String, Value>>, UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.referrers(name, digest, artifact_type, asking).await);
        }
        search.result()
    }

    /// Repositories, in the upstream's order, at most so many, and whether there are more.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn repositories(
        &self,
        limit: usize,
        asking: &Asking,
    ) -> Result<(Vec<RepositoryName>, bool), UpstreamError> {
        let mut search = self.search(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.repositories(limit, asking).await);
        }
        search.result()
    }

    /// Has it asked no more often than so many times in a minute, by whoever uses this client.
    pub fn limit_requests(&self, per_minute: NonZeroU32) {
        self.throttle.limit(per_minute);
    }

    /// Has it asked nothing for so long, as it wants to be left alone.
    pub fn hold(&self, wait: Duration) {
        self.throttle.hold(wait);
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> UpstreamHealth {
        self.counters.health(self.endpoints.iter().filter(|endpoint| endpoint.is_down()).count())
    }

    fn search<T>(&self, asking: &Asking) -> Search<'_, T> {
        let endpoints = match asking.first_only {
            true => &self.endpoints[..1],
            false => &self.endpoints[..],
        };
        Search::new(&self.name, endpoints, asking.attempt)
    }
}
