//! What is mirrored, as clients see it: from here when it is here, otherwise from its upstream.

mod ahead;
mod blobs;
mod lists;
mod manifests;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use oci::{Digest, MediaType, Reference, RepositoryName};
use registry::eviction::EvictionTotals;
use registry::{Registry, RepositoryPattern, StoredManifest};

use crate::ahead::{Ahead, Limited, PrefetchCounts};
use crate::coverage::{Coverage, Covering, Namespace, SetupError};
use crate::error::{MirrorError, Result, Wanted};
use crate::fetch::{FetchCounts, Fetches, FreeSpace};
use crate::flights::Flights;
use crate::upstream::{Asking, UpstreamHealth};
pub(crate) use blobs::open_here;
use memory::Memory;

/// The upstreams in front of a registry that keeps what they gave.
pub struct Mirror {
    registry: Arc<Registry>,
    coverage: Coverage,
    fetches: Arc<Fetches>,
    memory: Arc<Memory>,
    /// Manifests that are being fetched, and tags that are being looked up.
    manifests: Flights<(RepositoryName, Reference), Result<StoredManifest>>,
    looks: Flights<(RepositoryName, Reference), Result<Head>>,
    /// Blobs whose size is asked for.
    sizes: Flights<(RepositoryName, Digest), Result<u64>>,
    unattended: Duration,
    ahead: Arc<Ahead>,
    limited: Limited,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("coverage", &self.coverage).finish_non_exhaustive()
    }
}

/// A manifest, and whether it may be out of date.
#[derive(Debug, Clone)]
pub struct Served<T> {
    /// What is served.
    pub content: T,
    /// Why it could not be asked whether this is the latest; `None` when it is.
    pub stale: Option<String>,
}

/// What a manifest's answer to HEAD says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its size, in bytes.
    pub size_bytes: u64,
}

/// How one upstream, and what is fetched from all of them, is doing.
#[derive(Debug, Clone)]
pub struct MirrorCounts {
    /// Blobs that were fetched.
    pub fetches: FetchCounts,
    /// Each upstream by its name.
    pub upstreams: Vec<(String, UpstreamHealth)>,
    /// What was asked for of blobs.
    pub blobs: KindCounts,
    /// What was asked for of manifests.
    pub manifests: KindCounts,
    /// Tags that were served though it could not be asked whether they are the latest.
    pub stale: u64,
    /// What was fetched ahead of clients.
    pub ahead: PrefetchCounts,
}

/// What was asked for of one kind, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// It was here.
    pub hits: u64,
    /// It was not.
    pub misses: u64,
    /// What came from upstreams, in bytes.
    pub pulled_bytes: u64,
    /// What was to go to clients, in bytes.
    pub pushed_bytes: u64,
}

impl Mirror {
    /// A mirror of these upstreams, which keeps what they give in `registry`. Repositories that
    /// `local` matches are hosted here. A fetch goes on for `unattended` when nobody waits for it
    /// any more.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(
        registry: Arc<Registry>,
        upstreams: Vec<Covering>,
        local: Vec<RepositoryPattern>,
        unattended: Duration,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            registry,
            coverage: Coverage::new(upstreams, local)?,
            fetches: Arc::default(),
            memory: Arc::default(),
            manifests: Flights::default(),
            looks: Flights::default(),
            sizes: Flights::default(),
            unattended,
            ahead: Arc::default(),
            limited: Limited::default(),
        })
    }

    /// Asks this before a blob is stored, and while it comes. What there is no room for is only passed
    /// on. The first one counts.
    pub fn heed(&self, free_space: Arc<dyn FreeSpace>) {
        self.fetches.heed(free_space);
    }

    /// The repository that a request for `name` is about which says `?ns=host`.
    #[must_use]
    pub fn namespace(&self, host: &str, name: &RepositoryName) -> Namespace {
        self.coverage.namespace(host, name)
    }

    /// Whether a repository is mirrored, and not hosted here.
    #[must_use]
    pub fn covers(&self, name: &RepositoryName) -> bool {
        self.coverage.covers(name)
    }

    /// A repository that is mirrored; `None` for one that is hosted here. `authorization` is what
    /// the client sent to be let in here, and goes no further unless its upstream is to get it. What
    /// is fetched is stored if `keeps`, as far as the storage takes it.
    #[must_use]
    pub fn repository<'a>(
        &'a self,
        name: &'a RepositoryName,
        authorization: Option<&HeaderValue>,
        keeps: bool,
    ) -> Option<Mirrored<'a>> {
        let (covering, rest) = self.coverage.of(name)?;
        let authorization = authorization.filter(|_| covering.policy.forward_auth).cloned();
        let asking = Asking { authorization, ..Asking::default() };
        Some(Mirrored { mirror: self, covering, name, rest, asking, keeps })
    }

    /// What the evictions of this process did.
    #[must_use]
    pub fn evictions(&self) -> EvictionTotals {
        self.registry.evictions()
    }

    /// How it is doing.
    #[must_use]
    pub fn counts(&self) -> MirrorCounts {
        let health =
            |covering: &Covering| (covering.upstream.name().to_owned(), covering.upstream.health());
        let fetches = self.fetches.counts();
        MirrorCounts {
            blobs: KindCounts {
                pulled_bytes: fetches.pulled_bytes,
                ..self.memory.blobs().counts()
            },
            manifests: self.memory.manifests().counts(),
            fetches,
            upstreams: self.coverage.upstreams().iter().map(health).collect(),
            stale: self.memory.stale(),
            ahead: self.ahead.counts(),
        }
    }
}

/// A repository that is mirrored.
pub struct Mirrored<'a> {
    mirror: &'a Mirror,
    covering: &'a Covering,
    /// Its name here.
    name: &'a RepositoryName,
    /// Its name below the prefix.
    rest: &'a str,
    asking: Asking,
    keeps: bool,
}

impl Mirrored<'_> {
    /// The name of its upstream.
    #[must_use]
    pub fn upstream_name(&self) -> &str {
        self.covering.upstream.name()
    }

    /// The repository's name at its upstream, if that is to be asked for `wanted` now.
    fn there(&self, wanted: &Wanted) -> Result<RepositoryName> {
        let upstream = || self.upstream_name().to_owned();
        let name = || self.name.clone();
        if self.covering.policy.offline {
            let what = wanted.clone();
            return Err(MirrorError::Offline { name: name(), what, upstream: upstream() });
        }
        if self.asks_for_all() && self.mirror.memory.is_absent(self.name, wanted) {
            let what = wanted.clone();
            return Err(MirrorError::Absent { name: name(), what, upstream: upstream() });
        }
        Ok(self.covering.upstream.translate(self.rest)?)
    }

    /// Whether the upstream says to everybody what it says now: not when it is asked in the name of
    /// one client, from whom it may hide what others may see.
    const fn asks_for_all(&self) -> bool {
        self.asking.authorization.is_none()
    }

    /// Notes that the upstream has no such thing, if that is what it said.
    fn note_absence<T>(&self, wanted: &Wanted, outcome: &Result<T>) {
        if let Err(MirrorError::Upstream(error)) = outcome
            && error.is_not_found()
            && self.asks_for_all()
        {
            self.mirror.memory.note_absent(self.name, wanted, self.covering.policy.negative_ttl);
        }
    }
}
