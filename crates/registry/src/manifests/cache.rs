//! Manifests that are kept in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use oci::{Digest, MediaType};
use quick_cache::sync::Cache;

use crate::limits::{CACHED_MANIFEST_BYTES_MAX, MANIFEST_CACHE_BYTES_MAX};

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<Digest, (MediaType, Bytes)> for ByBytes {
    fn weight(&self, _: &Digest, (_, content): &(MediaType, Bytes)) -> u64 {
        256 + content.len() as u64
    }
}

/// Manifests by canonical digest. The bytes behind a digest never change; that a repository has
/// the manifest is looked up on each request.
pub(crate) struct ManifestCache {
    entries: Cache<Digest, (MediaType, Bytes), ByBytes>,
    requests: AtomicU64,
    hits: AtomicU64,
}

/// How often the cache of manifests was asked since the start, and how often it knew the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Look-ups.
    pub requests: u64,
    /// Look-ups that were answered from memory.
    pub hits: u64,
}

impl ManifestCache {
    pub(crate) fn new(entries: usize) -> Self {
        let entries = entries.min(100_000);
        Self {
            entries: Cache::with_weighter(entries, MANIFEST_CACHE_BYTES_MAX, ByBytes),
            requests: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self, canonical: &Digest) -> Option<(MediaType, Bytes)> {
        let found = self.entries.get(canonical);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.hits.fetch_add(found.is_some().into(), Ordering::Relaxed);
        found
    }

    pub(super) fn insert(&self, canonical: &Digest, media_type: MediaType, content: &Bytes) {
        if content.len() <= CACHED_MANIFEST_BYTES_MAX {
            // A copy: the bytes may be a slice of a much larger receive buffer.
            self.entries.insert(*canonical, (media_type, Bytes::copy_from_slice(content)));
        }
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            requests: self.requests.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
        }
    }
}
