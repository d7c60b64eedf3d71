//! Which blobs need not be looked at again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::Digest;
use quick_cache::sync::Cache;

use crate::limits::{TRANSFER_FAILED_BLOBS_MAX, TRANSFER_SETTLED_BLOBS};

/// What is known of blobs.
pub(super) struct SettledBlobs {
    /// Some of those that are at the target.
    there: Cache<Digest, ()>,
    /// Those that could not be copied in this pass, and then those of the pass before; whether it was
    /// because they are damaged.
    failed: Mutex<[HashMap<Digest, bool>; 2]>,
}

impl SettledBlobs {
    pub(super) fn new() -> Self {
        Self { there: Cache::new(TRANSFER_SETTLED_BLOBS), failed: Mutex::default() }
    }

    fn failed_blobs(&self) -> MutexGuard<'_, [HashMap<Digest, bool>; 2]> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could not be copied in the last pass may be in this one.
    pub(super) fn begin_pass(&self) {
        let mut failed = self.failed_blobs();
        failed.swap(0, 1);
        failed[0].clear();
    }

    pub(super) fn is_there(&self, digest: &Digest) -> bool {
        self.there.get(digest).is_some()
    }

    pub(super) fn set_there(&self, digest: &Digest) {
        self.there.insert(*digest, ());
    }

    /// Whether this pass has found it damaged.
    pub(super) fn is_corrupt(&self, digest: &Digest) -> bool {
        self.failed_blobs()[0].get(digest) == Some(&true)
    }

    /// Whether it could not be copied in the pass before; also when so many could not that they were
    /// not all remembered.
    pub(super) fn had_failed(&self, digest: &Digest) -> bool {
        let failed = self.failed_blobs();
        failed[1].contains_key(digest) || failed[1].len() >= TRANSFER_FAILED_BLOBS_MAX
    }

    pub(super) fn set_failed(&self, digest: &Digest, is_corrupt: bool) {
        let failed = &mut self.failed_blobs()[0];
        if failed.len() < TRANSFER_FAILED_BLOBS_MAX {
            failed.insert(*digest, is_corrupt);
        }
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn a_failure_is_for_one_pass_and_known_in_the_next() {
        let settled = SettledBlobs::new();
        let digest = Digest::of(Algorithm::Sha256, b"");
        let other = Digest::of(Algorithm::Sha256, b"other");
        settled.set_failed(&digest, true);
        settled.set_failed(&other, false);
        assert!(settled.is_corrupt(&digest) && !settled.is_corrupt(&other));
        assert!(!settled.had_failed(&digest) && !settled.had_failed(&other));
        settled.begin_pass();
        assert!(!settled.is_corrupt(&digest));
        assert!(settled.had_failed(&digest) && settled.had_failed(&other));
        settled.begin_pass();
        assert!(!settled.had_failed(&digest) && !settled.had_failed(&other));
        assert!(!settled.is_there(&digest));
        settled.set_there(&digest);
        assert!(settled.is_there(&digest));
    }
}
