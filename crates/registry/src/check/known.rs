//! What is known of the blobs, in few bytes for each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use oci::Digest;

/// The beginning of a digest. With 128 bits of it no two blobs are taken for one.
pub(super) type Fingerprint = [u8; 16];

/// The fingerprint of a digest.
pub(super) fn fingerprint(digest: &Digest) -> Fingerprint {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest.as_bytes()[..16]);
    fingerprint
}

const CORRUPT: u64 = 1 << 63;
const LINKED: u64 = 1 << 62;
const USED: u64 = 1 << 61;
const VERIFIED: u64 = 1 << 60;
const SIZE: u64 = VERIFIED - 1;

/// A blob that was seen: 24 bytes.
#[derive(Debug)]
pub(super) struct KnownBlob {
    fingerprint: Fingerprint,
    /// Its size in bytes, and what is known of it.
    state: AtomicU64,
}

impl KnownBlob {
    pub(super) fn new(digest: &Digest, size_bytes: u64, is_verified: bool) -> Self {
        let state = size_bytes.min(SIZE) | if is_verified { VERIFIED } else { 0 };
        Self { fingerprint: fingerprint(digest), state: AtomicU64::new(state) }
    }

    pub(super) fn corrupt(digest: &Digest, size_bytes: u64) -> Self {
        let state = AtomicU64::new(size_bytes.min(SIZE) | CORRUPT);
        Self { fingerprint: fingerprint(digest), state }
    }

    fn has(&self, flag: u64) -> bool {
        self.state.load(Relaxed) & flag != 0
    }

    /// Its size, in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        self.state.load(Relaxed) & SIZE
    }

    /// Its content does not have its digest.
    pub(super) fn is_corrupt(&self) -> bool {
        self.has(CORRUPT)
    }

    /// Its content was read and has its digest.
    pub(super) fn is_verified(&self) -> bool {
        self.has(VERIFIED)
    }

    /// Whether a link leads to it.
    pub(super) fn is_linked(&self) -> bool {
        self.has(LINKED | USED)
    }

    /// Whether it is a manifest of a repository, or one refers to it.
    pub(super) fn is_used(&self) -> bool {
        self.has(USED)
    }

    pub(super) fn set_linked(&self) {
        self.state.fetch_or(LINKED, Relaxed);
    }

    pub(super) fn set_used(&self) {
        self.state.fetch_or(USED, Relaxed);
    }

    pub(super) fn set_verified(&self) {
        self.state.fetch_or(VERIFIED, Relaxed);
    }

    /// Notes damage; returns whether it was known before.
    pub(super) fn set_corrupt(&self) -> bool {
        self.state.fetch_or(CORRUPT, Relaxed) & CORRUPT != 0
    }
}

/// The blobs that were seen.
#[derive(Debug)]
pub(super) struct KnownBlobs(Vec<KnownBlob>);

impl KnownBlobs {
    pub(super) fn new(mut blobs: Vec<KnownBlob>) -> Self {
        blobs.sort_unstable_by_key(|blob| blob.fingerprint);
        Self(blobs)
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<&KnownBlob> {
        let wanted = fingerprint(digest);
        let at = self.0.binary_search_by_key(&wanted, |blob| blob.fingerprint).ok()?;
        self.0.get(at)
    }

    pub(super) fn all(&self) -> &[KnownBlob] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn a_blob_takes_little_and_is_found_again() {
        assert!(size_of::<KnownBlob>() <= 24);
        let digests: Vec<_> =
            (0..1000_u32).map(|n| Digest::of(Algorithm::Sha256, &n.to_le_bytes())).collect();
        let seen = digests.iter().zip(0..).map(|(d, size)| KnownBlob::new(d, size, size % 2 == 0));
        let known = KnownBlobs::new(seen.collect());
        for (digest, size) in digests.iter().zip(0..) {
            let blob = known.get(digest).unwrap();
            assert_eq!((blob.size_bytes(), blob.is_verified()), (size, size % 2 == 0));
            blob.set_linked();
            assert!(blob.is_linked() && !blob.is_used() && !blob.is_corrupt());
            assert!(!blob.set_corrupt() && blob.set_corrupt() && blob.is_corrupt());
            assert_eq!(blob.size_bytes(), size);
        }
        assert!(known.get(&Digest::of(Algorithm::Sha256, b"other")).is_none());
    }
}
