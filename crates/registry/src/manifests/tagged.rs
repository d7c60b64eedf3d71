//! Manifests that tags were seen to lead to.

use oci::{Digest, RepositoryName};
use quick_cache::sync::Cache;

use crate::limits::TAGGED_BYTES_MAX;

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<(RepositoryName, Digest), Digest> for ByBytes {
    fn weight(&self, (name, _): &(RepositoryName, Digest), _: &Digest) -> u64 {
        256 + name.as_str().len() as u64
    }
}

/// The canonical digest of what a repository was seen to have under a digest.
///
/// Believed only where a tag that was read just now names that digest: a manifest is deleted after
/// every tag that names it, by whichever replica. Where reading a link is a request to another
/// machine, this saves every second one of a pull by tag.
pub(crate) struct Tagged(Cache<(RepositoryName, Digest), Digest, ByBytes>);

impl Tagged {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(1000, TAGGED_BYTES_MAX, ByBytes))
    }

    pub(super) fn get(&self, name: &RepositoryName, digest: &Digest) -> Option<Digest> {
        self.0.get(&(name.clone(), *digest))
    }

    pub(super) fn note(&self, name: &RepositoryName, digest: &Digest, canonical: &Digest) {
        self.0.insert((name.clone(), *digest), *canonical);
    }

    pub(crate) fn forget(&self, name: &RepositoryName, digest: &Digest) {
        self.0.remove(&(name.clone(), *digest));
    }
}
