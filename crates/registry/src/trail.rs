//! What an answer is derived from, noted while it is derived.

use std::collections::HashSet;

use storage::StoragePath;
use storage::watch::Source;

use crate::limits::ANSWER_SOURCES_MAX;

/// The sources of an answer, up to as many as can be watched for one.
#[derive(Debug)]
pub(crate) struct Trail(Option<Vec<Source>>);

impl Trail {
    /// Notes everything.
    pub(crate) const fn new() -> Self {
        Self(Some(Vec::new()))
    }

    /// Notes nothing, for answers that won't be remembered.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Whether this has noted everything so far.
    pub(crate) const fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Stops noting: there are too many sources.
    pub(crate) fn give_up(&mut self) {
        self.0 = None;
    }

    /// The answer depends on which entries a directory has.
    pub(crate) fn listing(&mut self, path: &StoragePath) {
        self.note(|| Source::Listing(path.clone()));
    }

    /// The answer depends on what a file holds, or that it is absent.
    pub(crate) fn file(&mut self, path: &StoragePath) {
        self.note(|| Source::File(path.clone()));
    }

    /// The answer depends on what another trail has noted, too.
    pub(crate) fn extend(&mut self, other: Self) {
        let Some(others) = other.0 else { return self.give_up() };
        for source in others {
            self.note(|| source);
        }
    }

    fn note(&mut self, source: impl FnOnce() -> Source) {
        match &mut self.0 {
            Some(sources) if sources.len() < ANSWER_SOURCES_MAX => sources.push(source()),
            _ => self.0 = None,
        }
    }

    /// The sources, unless there are too many.
    pub(crate) fn into_sources(self) -> Option<Vec<Source>> {
        self.0
    }

    /// Whether all sources are among these.
    pub(crate) fn is_within(&self, watched: &[Source]) -> bool {
        let Some(sources) = &self.0 else { return false };
        // Mostly they are the same, in the same order.
        if sources == watched {
            return true;
        }
        let watched: HashSet<_> = watched.iter().collect();
        sources.iter().all(|source| watched.contains(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_kept() {
        let path = StoragePath::root();
        let mut trail = Trail::new();
        for _ in 0..ANSWER_SOURCES_MAX {
            trail.file(&path);
            assert!(trail.is_kept());
        }
        trail.listing(&path);
        assert!(!trail.is_kept());
        trail.listing(&path);
        assert_eq!(trail.into_sources(), None);
    }

    #[test]
    fn every_source_has_to_be_watched() {
        let paths = ["/a", "/b"].map(|text| StoragePath::parse(text).unwrap());
        let mut trail = Trail::new();
        trail.file(&paths[1]);
        let file = |at: usize| Source::File(paths[at].clone());
        assert!(trail.is_within(&[file(1)]));
        assert!(trail.is_within(&[file(0), file(1)]));
        assert!(!trail.is_within(&[file(0)]));
        assert!(!trail.is_within(&[Source::Listing(paths[1].clone())]));
        assert!(!Trail::none().is_within(&[]));
    }
}
