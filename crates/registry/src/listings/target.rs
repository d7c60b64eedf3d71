//! What the tag in a directory was seen to name: an index from manifests to their tags that lies in
//! the listing of the tags itself, and is as right as that.

use std::sync::atomic::{AtomicU64, Ordering};

use oci::Digest;

/// The beginning of the digest that a tag was seen to name, or the mark of not knowing that.
///
/// Every time it is forgotten the mark is another one, so that whoever read a tag before it was
/// pushed can't note what he read afterwards. The digest is cut: whoever believes it reads the tag
/// again before he does anything because of it.
#[derive(Debug, Default)]
pub(super) struct Target(AtomicU64);

/// That a tag has not been read since, to be handed back with what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread(u64);

/// Tells the marks of not knowing from what is known.
const KNOWN: u64 = 1;

impl Target {
    /// Whether this digest may be the one; `Err` when nothing is known.
    pub(super) fn may_be(&self, digest: &Digest) -> Result<bool, Unread> {
        match self.0.load(Ordering::Acquire) {
            known if known & KNOWN > 0 => Ok(known == cut(digest)),
            mark => Err(Unread(mark)),
        }
    }

    /// Notes what was read, unless it may have changed since.
    pub(super) fn note(&self, unread: Unread, digest: &Digest) {
        let known = cut(digest);
        // That another one was faster is as well.
        let _ = self.0.compare_exchange(unread.0, known, Ordering::AcqRel, Ordering::Relaxed);
    }

    pub(super) fn forget(&self) {
        static MARKS: AtomicU64 = AtomicU64::new(0);
        let mark = MARKS.fetch_add(2, Ordering::Relaxed) + 2;
        self.0.store(mark, Ordering::Release);
    }
}

impl Clone for Target {
    fn clone(&self) -> Self {
        Self(self.0.load(Ordering::Acquire).into())
    }
}

fn cut(digest: &Digest) -> u64 {
    let mut beginning = [0; 8];
    beginning.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_be_bytes(beginning) | KNOWN
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn what_was_read_before_is_not_noted_after() {
        let [one, other] = [b"1", b"2"].map(|content| Digest::of(Algorithm::Sha256, content));
        let target = Target::default();
        let first = target.may_be(&one).unwrap_err();
        target.forget();
        target.note(first, &one);
        let second = target.may_be(&one).unwrap_err();
        assert_ne!(first, second);
        target.note(second, &one);
        assert_eq!((target.may_be(&one), target.may_be(&other)), (Ok(true), Ok(false)));
        // Who was late does not replace it.
        target.note(second, &other);
        assert_eq!(target.may_be(&one), Ok(true));
        let copy = target.clone();
        target.forget();
        assert!(target.may_be(&one).is_err());
        assert_eq!(copy.may_be(&one), Ok(true));
    }
}
