//! What can be claimed: content, and tags.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::StoragePath;

use crate::layout;

/// Content under its canonical digest, or a tag: the first half of a SHA-256. That two things share
/// a claim is out of the question, and would only keep one of them longer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Claim(pub(super) [u8; Claim::BYTES]);

impl Claim {
    /// Its size, in bytes.
    pub(crate) const BYTES: usize = 16;

    /// The claim on a blob's data, on its links and on a manifest's revisions in all repositories.
    pub(crate) fn content(canonical: &Digest) -> Self {
        let mut half = [0; Self::BYTES];
        half.copy_from_slice(&canonical.as_bytes()[..Self::BYTES]);
        Self(half)
    }

    /// The claim on what a tag names.
    pub(crate) fn tag(name: &RepositoryName, tag: &Tag) -> Self {
        Self::content(&Digest::of(Algorithm::Sha256, format!("{name}:{tag}").as_bytes()))
    }

    /// Where a pin of it lies that counts until `expires`. Pins are told apart by their end, so that
    /// a new one never goes with an old one.
    pub(super) fn pin(self, expires: SystemTime) -> StoragePath {
        let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match layout::collection_pins().join(&format!("{self}.{seconds}")) {
            Ok(path) => path,
            Err(error) => unreachable!("digits and a dot are a component: {error}"),
        }
    }

    /// The pin that a file's name stands for, with its end.
    pub(crate) fn of_pin(name: &str) -> Option<(Self, SystemTime)> {
        let (hex, seconds) = name.split_once('.')?;
        let number = u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 2 * Self::BYTES)?;
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))?;
        Some((Self(number.to_be_bytes()), expires))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_known_by_its_name() {
        let name = RepositoryName::parse("a/b").unwrap();
        let claim = Claim::tag(&name, &Tag::parse("v1").unwrap());
        let expires = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let path = claim.pin(expires);
        assert_eq!(Claim::of_pin(path.file_name()), Some((claim, expires)));
        for other in ["", ".", "00.1", "x", &claim.to_string(), &format!("{claim}.x")] {
            assert_eq!(Claim::of_pin(other), None, "{other}");
        }
    }

    #[test]
    fn tags_of_different_repositories_differ() {
        let claim = |name: &str, tag: &str| {
            Claim::tag(&RepositoryName::parse(name).unwrap(), &Tag::parse(tag).unwrap())
        };
        assert_ne!(claim("a", "b"), claim("b", "a"));
        assert_ne!(claim("a", "b"), claim("a", "c"));
    }
}
