//! What is cached, and when it was last used.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::{Digest, RepositoryName, Tag};
use storage::{StorageError, StoragePath};

use super::scheduler::SchedulerState;
use super::table::Table;
use super::uses::{self, Used, Uses};
use super::{EvictionOptions, Lifetime, UnitKind};
use crate::catalog::RepositoryWalk;
use crate::claims::Claim;
use crate::collection::{Contents, Problem, Repository};
use crate::limits::{COLLECTION_PROBLEMS_LISTED_MAX, DISTRIBUTION_TTL, EVICTION_PULLS_KEPT};
use crate::pace::Pace;
use crate::trail::Trail;
use crate::{CollectionError, Lease, Registry, layout, pulls};

/// What all cached repositories have.
pub(super) struct Survey<'a> {
    registry: &'a Registry,
    options: &'a EvictionOptions,
    pace: Pace,
    pub(super) table: Table,
    pub(super) repositories: Vec<CachedRepository>,
    pub(super) units: Vec<Unit>,
    /// What can't be read, the first of it.
    pub(super) problems: Vec<Problem>,
    pub(super) problems_total: u64,
}

/// A cached repository.
#[derive(Debug)]
pub(super) struct CachedRepository {
    pub(super) name: RepositoryName,
    /// After which time it goes when it is not used.
    pub(super) ttl: Option<Duration>,
    /// Whether nothing of it is taken: it is to be kept, or can't be read.
    pub(super) is_held: bool,
    /// Whether it has tags that name nothing.
    pub(super) has_dangling_tags: bool,
}

/// What goes as a whole: about 200 bytes, and 4 for each of its blobs.
#[derive(Debug)]
pub(super) struct Unit {
    /// The place of its repository.
    pub(super) repository: u32,
    pub(super) kind: UnitKind,
    pub(super) digest: Digest,
    pub(super) used: Used,
    /// The places of its blobs.
    pub(super) blobs: Box<[u32]>,
}

/// What a look at one repository found.
struct Look {
    name: RepositoryName,
    lifetime: Lifetime,
    contents: Contents,
    /// Of the manifests, in their order.
    uses: Vec<Used>,
    /// The blobs that no manifest names.
    lone: Vec<(Digest, Used)>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        options: &'a EvictionOptions,
        sizes: HashMap<Claim, u64>,
    ) -> Self {
        let rate = options.rate.and_then(|rate| NonZeroU64::new(rate.max(1).into()));
        Self {
            registry,
            options,
            pace: Pace::new(rate),
            table: Table::new(sizes),
            repositories: Vec::new(),
            units: Vec::new(),
            problems: Vec::new(),
            problems_total: 0,
        }
    }

    /// Looks at every cached repository.
    pub(super) async fn take_in_all(
        &mut self,
        lease: &mut Option<Lease>,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), CollectionError> {
        let (registry, options) = (self.registry, self.options);
        let scheduler = SchedulerState::read(registry).await?;
        let mut walk = RepositoryWalk::starting_after(registry, None);
        while !is_stopped() {
            let mut cached = Vec::new();
            while cached.len() < registry.requests_at_once()
                && let Some((name, _)) = walk.next(&mut Trail::none()).await?
            {
                let lifetime = options.lifetime(&name);
                if lifetime != Lifetime::Local {
                    cached.push((name, lifetime));
                }
            }
            if cached.is_empty() {
                break;
            }
            let looks: Vec<_> = stream::iter(cached)
                .map(|(name, lifetime)| {
                    look_at(registry, &scheduler, name, lifetime, !options.dry_run).boxed()
                })
                .buffered(registry.requests_at_once())
                .collect()
                .await;
            for look in looks {
                self.take_in(look?).await?;
            }
            if let Some(lease) = lease
                && !lease.holds(registry).await?
            {
                return Err(CollectionError::Overtaken);
            }
        }
        Ok(())
    }

    async fn take_in(&mut self, look: Look) -> Result<(), CollectionError> {
        let Look { name, lifetime, contents, uses, lone } = look;
        self.pace.passed(contents.operations).await;
        if contents.manifests.is_empty() && contents.layers.is_empty() && contents.tags.is_empty() {
            return Ok(());
        }
        for what in &contents.problems {
            self.problems_total += 1;
            if self.problems.len() < COLLECTION_PROBLEMS_LISTED_MAX {
                let repository = Some(name.to_string());
                self.problems.push(Problem { repository, what: what.clone() });
            }
        }
        self.count_links(&contents).await?;
        let repository = u32::try_from(self.repositories.len()).unwrap_or(u32::MAX);
        let linked: HashSet<_> = contents.layers.iter().map(|(_, to)| Claim::content(to)).collect();
        for (node, used) in contents.manifests.iter().zip(uses) {
            let parts = node.parts.iter().map(Claim::content).filter(|part| linked.contains(part));
            let mut claims: Vec<_> = parts.collect();
            claims.push(Claim::content(&node.digest));
            self.add(repository, UnitKind::Manifest, node.digest, used, claims);
        }
        for (digest, used) in lone {
            let claim = Claim::content(&digest);
            self.add(repository, UnitKind::Blob, digest, used, vec![claim]);
        }
        let there: HashSet<_> = contents.manifests.iter().map(|node| node.digest).collect();
        let has_dangling_tags = contents.tags.iter().any(|(_, digest)| !there.contains(digest));
        let is_held = !contents.problems.is_empty() || self.options.keeps(&name);
        let ttl = match lifetime {
            Lifetime::Unused(ttl) => Some(ttl),
            Lifetime::Local | Lifetime::Unlimited => None,
        };
        self.repositories.push(CachedRepository { name, ttl, is_held, has_dangling_tags });
        Ok(())
    }

    fn add(
        &mut self,
        repository: u32,
        kind: UnitKind,
        digest: Digest,
        used: Used,
        mut claims: Vec<Claim>,
    ) {
        claims.sort_unstable();
        claims.dedup();
        let blobs = claims.iter().filter_map(|claim| self.table.take_part(claim)).collect();
        self.units.push(Unit { repository, kind, digest, used, blobs });
    }

    /// Counts what a repository links to, and finds out how large it is.
    async fn count_links(&mut self, contents: &Contents) -> Result<(), CollectionError> {
        for node in &contents.manifests {
            let claim = Claim::content(&node.digest);
            for _ in node.aliases.iter().chain([&node.digest]) {
                self.table.link(claim);
            }
            self.table.measured(&claim, node.size_bytes);
        }
        let mut unknown = Vec::new();
        for (_, canonical) in &contents.layers {
            if self.table.link(Claim::content(canonical)) {
                unknown.push(*canonical);
            }
        }
        let count = unknown.len() as u64;
        let registry = self.registry;
        let mut sizes = stream::iter(unknown)
            .map(|digest| size_of(registry, digest).boxed())
            .buffered(registry.requests_at_once());
        while let Some(measured) = sizes.next().await {
            let (digest, size_bytes) = measured?;
            self.table.measured(&Claim::content(&digest), size_bytes);
        }
        self.pace.passed(count).await;
        Ok(())
    }
}

/// Looks at a cached repository; puts the notes together that say what was pulled from it.
async fn look_at(
    registry: &Registry,
    scheduler: &SchedulerState,
    name: RepositoryName,
    lifetime: Lifetime,
    may_write: bool,
) -> Result<Look, CollectionError> {
    let mut contents = Repository::contents(registry, &name).await?;
    if may_write {
        let oldest = pulls::oldest(registry.claims.clock().now(), EVICTION_PULLS_KEPT);
        registry.merge_pulls(&name, oldest).await?;
    }
    let pulls = registry.pulls_of(&name).await?;
    let ttl = match lifetime {
        Lifetime::Unused(ttl) => ttl,
        Lifetime::Local | Lifetime::Unlimited => DISTRIBUTION_TTL,
    };
    let known = Uses { name: &name, pulls: &pulls, scheduler, ttl };
    let mut tags: HashMap<Digest, Vec<&Tag>> = HashMap::new();
    for (tag, digest) in &contents.tags {
        tags.entry(*digest).or_default().push(tag);
    }
    let links = contents.manifests.iter().map(|m| layout::revision_link(&name, &m.digest));
    let modified = times(registry, links.collect()).await?;
    let mut uses = Vec::with_capacity(modified.len());
    for (node, modified) in contents.manifests.iter().zip(modified) {
        let digests: Vec<_> = node.aliases.iter().chain([&node.digest]).copied().collect();
        let tags = tags.get(&node.digest).map(Vec::as_slice).unwrap_or_default();
        uses.push(known.of(modified, &digests, tags));
    }
    uses::spread(&contents, &mut uses);
    let lone = lone(&contents);
    let links = lone.iter().map(|(link, _)| layout::layer_link(&name, link)).collect();
    let modified = times(registry, links).await?;
    let lone: Vec<_> = lone
        .into_iter()
        .zip(modified)
        .map(|((link, canonical), time)| (canonical, known.of(time, &[link, canonical], &[])))
        .collect();
    contents.operations += (uses.len() + lone.len()) as u64 + 2;
    Ok(Look { name, lifetime, contents, uses, lone })
}

/// The links to blobs that no manifest names, one for each blob.
fn lone(contents: &Contents) -> Vec<(Digest, Digest)> {
    let named = contents.manifests.iter().flat_map(|node| node.parts.iter().chain([&node.digest]));
    let mut seen: HashSet<Claim> = named.map(Claim::content).collect();
    let links = contents.layers.iter().filter(|(_, to)| seen.insert(Claim::content(to)));
    links.copied().collect()
}

/// When files were written. One that is not there any more was never.
async fn times(
    registry: &Registry,
    paths: Vec<StoragePath>,
) -> Result<Vec<SystemTime>, CollectionError> {
    let mut stats = stream::iter(paths)
        .map(|path| async move { registry.driver.stat(&path).await }.boxed())
        .buffered(registry.requests_at_once());
    let mut times = Vec::new();
    while let Some(stat) = stats.next().await {
        times.push(match stat {
            Ok(stat) => stat.modified,
            Err(StorageError::NotFound { .. }) => SystemTime::UNIX_EPOCH,
            Err(error) => return Err(error.into()),
        });
    }
    Ok(times)
}

/// How large a blob is, in bytes; nothing when it is not there.
async fn size_of(registry: &Registry, digest: Digest) -> Result<(Digest, u64), CollectionError> {
    match registry.driver.stat(&layout::blob_data(&digest)).await {
        Ok(stat) => Ok((digest, stat.size_bytes)),
        Err(StorageError::NotFound { .. }) => Ok((digest, 0)),
        Err(error) => Err(error.into()),
    }
}
