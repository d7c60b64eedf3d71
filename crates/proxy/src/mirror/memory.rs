//! What is remembered for a while, to ask upstreams less.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oci::{Digest, RepositoryName, Tag};
use quick_cache::sync::Cache;

use super::KindCounts;
use crate::error::Wanted;
use crate::limits::{ABSENT_MAX, LIST_SORTED_FOR, LISTS_SORTED_MAX, TAGS_CHECKED_MAX};

/// Bounded, and all of it can be lost without harm.
pub(super) struct Memory {
    /// Until when there is no such thing.
    absent: Cache<(RepositoryName, Wanted), Instant>,
    /// When a tag was looked up last, and what it named then.
    checked: Cache<(RepositoryName, Tag), (Instant, Digest)>,
    /// The tag that was seen to name a manifest that is not here yet.
    tags: Cache<(RepositoryName, Digest), Tag>,
    /// When the tags of a repository were last seen to be listed in the order that they have here.
    sorted: Cache<RepositoryName, Instant>,
    blobs: Tally,
    manifests: Tally,
    stale: AtomicU64,
}

/// What was asked for of one kind, and what came of it.
#[derive(Default)]
pub(super) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
    pulled_bytes: AtomicU64,
    pushed_bytes: AtomicU64,
}

impl Tally {
    /// It was here.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// It was not.
    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// It came from an upstream.
    pub(super) fn pulled(&self, size_bytes: u64) {
        self.pulled_bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    /// It goes to a client.
    pub(super) fn pushed(&self, size_bytes: u64) {
        self.pushed_bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> KindCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        KindCounts {
            hits: count(&self.hits),
            misses: count(&self.misses),
            pulled_bytes: count(&self.pulled_bytes),
            pushed_bytes: count(&self.pushed_bytes),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            absent: Cache::new(ABSENT_MAX),
            checked: Cache::new(TAGS_CHECKED_MAX),
            tags: Cache::new(TAGS_CHECKED_MAX),
            sorted: Cache::new(LISTS_SORTED_MAX),
            blobs: Tally::default(),
            manifests: Tally::default(),
            stale: AtomicU64::new(0),
        }
    }
}

impl Memory {
    pub(super) fn is_absent(&self, name: &RepositoryName, wanted: &Wanted) -> bool {
        let until = self.absent.get(&(name.clone(), wanted.clone()));
        until.is_some_and(|until| until > Instant::now())
    }

    pub(super) fn note_absent(&self, name: &RepositoryName, wanted: &Wanted, lifetime: Duration) {
        if !lifetime.is_zero() {
            self.absent.insert((name.clone(), wanted.clone()), Instant::now() + lifetime);
        }
    }

    pub(super) fn note_checked(&self, name: &RepositoryName, tag: &Tag, digest: Digest) {
        self.checked.insert((name.clone(), tag.clone()), (Instant::now(), digest));
    }

    /// How long ago a tag was looked up last, as far as this process knows, and what it named.
    pub(super) fn checked_ago(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Option<(Duration, Digest)> {
        let checked = self.checked.get(&(name.clone(), tag.clone()));
        checked.map(|(at, digest)| (at.elapsed(), digest))
    }

    pub(super) fn note_named(&self, name: &RepositoryName, digest: &Digest, tag: &Tag) {
        self.tags.insert((name.clone(), *digest), tag.clone());
    }

    /// The tag that was seen to name a manifest which comes here now, unless it was seen to name
    /// another one since.
    pub(super) fn take_named(&self, name: &RepositoryName, digest: &Digest) -> Option<Tag> {
        let (_, tag) = self.tags.remove(&(name.clone(), *digest))?;
        let (_, last) = self.checked_ago(name, &tag)?;
        (last == *digest).then_some(tag)
    }

    pub(super) fn note_sorted(&self, name: &RepositoryName, is_sorted: bool) {
        if is_sorted {
            self.sorted.insert(name.clone(), Instant::now());
        } else {
            self.sorted.remove(name);
        }
    }

    /// Whether the upstream's tags were a moment ago in the order that they have here.
    pub(super) fn is_sorted(&self, name: &RepositoryName) -> bool {
        self.sorted.get(name).is_some_and(|at| at.elapsed() < LIST_SORTED_FOR)
    }

    pub(super) const fn blobs(&self) -> &Tally {
        &self.blobs
    }

    pub(super) const fn manifests(&self) -> &Tally {
        &self.manifests
    }

    pub(super) fn count_stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }
}
