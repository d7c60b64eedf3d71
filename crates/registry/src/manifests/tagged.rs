//! Manifests that tags were seen to lead to.

use oci::{Digest, RepositoryName};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::limits::{TAGGED_AGE_MAX, TAGGED_BYTES_MAX};

/// A canonical digest, and when its link was read.
type Seen = (Digest, Instant);

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<(RepositoryName, Digest), Seen> for ByBytes {
    fn weight(&self, (name, _): &(RepositoryName, Digest), _: &Seen) -> u64 {
        256 + name.as_str().len() as u64
    }
}

/// The canonical digest of what a repository was seen to have under a digest.
///
/// Believed only where a tag that was read just now names that digest, and not for long: a manifest
/// is deleted after every tag that names it, by whichever replica, but for tags that were moved onto
/// it meanwhile, and Distribution deletes the manifest first. Where reading a link is a request to
/// another machine, this saves every second one of a pull by tag.
pub(crate) struct Tagged(Cache<(RepositoryName, Digest), Seen, ByBytes>);

impl Tagged {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(1000, TAGGED_BYTES_MAX, ByBytes))
    }

    pub(super) fn get(&self, name: &RepositoryName, digest: &Digest) -> Option<Digest> {
        let (canonical, read_at) = self.0.get(&(name.clone(), *digest))?;
        (read_at.elapsed() < TAGGED_AGE_MAX).then_some(canonical)
    }

    pub(super) fn note(&self, name: &RepositoryName, digest: &Digest, canonical: &Digest) {
        self.0.insert((name.clone(), *digest), (*canonical, Instant::now()));
    }

    pub(crate) fn forget(&self, name: &RepositoryName, digest: &Digest) {
        self.0.remove(&(name.clone(), *digest));
    }
}
