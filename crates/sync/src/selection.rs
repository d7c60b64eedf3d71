//! What a job copies, and how it is called at the target. Pure: nothing is asked here.

mod names;
mod platforms;
mod version;

use std::cmp::Reverse;
use std::num::NonZeroUsize;
use std::time::SystemTime;

use oci::{RepositoryName, Tag};
use registry::retention::WholeMatch;
use registry::{RepositoryPattern, TagPattern};

use crate::companions::belonging;

pub use names::{NameMap, NameMapError};
pub use platforms::{Platform, PlatformError, Platforms};
pub use version::{VersionRange, VersionRangeError};

/// Which repositories and tags of the source a job copies.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The repositories.
    pub repositories: Vec<RepositoryPattern>,
    /// The tags, by pattern. All of them when there is neither this nor an expression.
    pub tags: Vec<TagPattern>,
    /// The tags, by expressions that match all of the tag.
    pub tag_regexes: Vec<WholeMatch>,
    /// Of these only versions in a range.
    pub semver: Option<VersionRange>,
    /// Of what is left so many, the newest.
    pub newest: Option<NonZeroUsize>,
}

impl Selection {
    /// Whether a repository of the source is meant.
    #[must_use]
    pub fn selects_repository(&self, name: &RepositoryName) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a tag is meant, whatever [`Selection::newest`] leaves of them. Tags that
    /// belong to another manifest (cosign's, lists of referrers) never are: they go along with that.
    #[must_use]
    pub fn selects_tag(&self, tag: &Tag) -> bool {
        let is_any = self.tags.is_empty() && self.tag_regexes.is_empty();
        let is_named = || {
            self.tags.iter().any(|pattern| pattern.matches(tag))
                || self.tag_regexes.iter().any(|expression| expression.matches(tag.as_str()))
        };
        let is_in_range = || self.semver.as_ref().is_none_or(|range| range.has(tag));
        (is_any || is_named()) && is_in_range() && belonging(tag).is_none()
    }

    /// The newest of tags that are meant, as many as are copied, the newest first. `None` is the
    /// time of a tag of which it is not known: it comes last. Tags of the same time are in
    /// descending order of their versions, before those that are no versions, by their names.
    #[must_use]
    pub fn newest_of(&self, mut tags: Vec<(Tag, Option<SystemTime>)>) -> Vec<Tag> {
        tags.sort_by_cached_key(|(tag, time)| {
            Reverse((*time, version::of_tag(tag), tag.as_str().to_owned()))
        });
        tags.truncate(self.newest.map_or(usize::MAX, NonZeroUsize::get));
        tags.into_iter().map(|(tag, _)| tag).collect()
    }

    /// The repositories, where all of the patterns are names, so that nobody has to be asked for a
    /// catalog.
    #[must_use]
    pub fn named_repositories(&self) -> Option<Vec<RepositoryName>> {
        self.repositories.iter().map(RepositoryPattern::name).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    fn selection(tags: &[&str], expressions: &[&str], range: Option<&str>) -> Selection {
        Selection {
            repositories: vec![RepositoryPattern::parse("a/*").unwrap()],
            tags: tags.iter().map(|text| TagPattern::parse(text).unwrap()).collect(),
            tag_regexes: expressions.iter().map(|text| WholeMatch::parse(text).unwrap()).collect(),
            semver: range.map(|text| VersionRange::parse(text).unwrap()),
            newest: None,
        }
    }

    #[test]
    fn a_tag_passes_names_and_range() {
        for (tags, expressions, range, selected, left) in [
            (&[][..], &[][..], None, &["latest", "1.2.3", "v9"][..], &[][..]),
            (&["v*", "1.2.3"], &[], None, &["v9", "1.2.3"], &["latest"]),
            (&[], &["[0-9]+"], None, &["17"], &["17a", "v17"]),
            (&["edge"], &["[0-9]+"], None, &["17", "edge"], &["latest"]),
            (&[], &[], Some(">=1.2, <2"), &["1.2.0", "v1.9.9"], &["2.0.0", "1.2", "latest"]),
            (&["v*"], &[], Some("^1"), &["v1.0.0"], &["1.0.0", "v2.0.0"]),
        ] {
            let selection = selection(tags, expressions, range);
            for text in selected {
                assert!(selection.selects_tag(&tag(text)), "{tags:?} {expressions:?} {text}");
            }
            for text in left {
                assert!(!selection.selects_tag(&tag(text)), "{tags:?} {expressions:?} {text}");
            }
        }
    }

    #[test]
    fn tags_of_referrers_are_no_tags_of_their_own() {
        let hex = "0".repeat(64);
        let all = selection(&["*"], &[], None);
        for end in ["", ".sig", ".att", ".sbom"] {
            let tag = tag(&format!("sha256-{hex}{end}"));
            assert!(!all.selects_tag(&tag), "{tag}");
        }
        for text in ["sha256-0", "sha256-x.sig", "v1.sig", "a-b"] {
            assert!(all.selects_tag(&tag(text)), "{text}");
        }
        assert!(all.selects_tag(&tag(&format!("sha256-{hex}.other"))));
    }

    #[test]
    fn repositories_are_meant_by_patterns_and_named_by_names() {
        let mut selection = selection(&[], &[], None);
        let name = |text| RepositoryName::parse(text).unwrap();
        assert!(selection.selects_repository(&name("a/b")));
        assert!(!selection.selects_repository(&name("a/b/c")));
        assert_eq!(selection.named_repositories(), None);
        selection.repositories = vec![RepositoryPattern::parse("a/b").unwrap()];
        assert_eq!(selection.named_repositories(), Some(vec![name("a/b")]));
    }

    #[test]
    fn the_newest_come_first_and_the_others_not_at_all() {
        let at = |secs| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
        let tags = [
            ("old", at(1)),
            ("1.9.0", at(5)),
            ("1.10.0", at(5)),
            ("b", None),
            ("2.0.0", None),
            ("zz", at(5)),
            ("new", at(9)),
            ("10.0.0", None),
        ];
        let newest_of = |newest| {
            let mut selection = selection(&[], &[], None);
            selection.newest = NonZeroUsize::new(newest);
            let tags = tags.iter().map(|(text, time)| (tag(text), *time)).collect();
            let newest = selection.newest_of(tags);
            newest.iter().map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>()
        };
        let all = ["new", "1.10.0", "1.9.0", "zz", "old", "10.0.0", "2.0.0", "b"];
        assert_eq!(newest_of(0), all);
        assert_eq!(newest_of(2), all[..2]);
        assert_eq!(newest_of(9), all);
    }
}
