//! Versions, as tags spell them, and ranges of them.

use oci::Tag;
use semver::{Version, VersionReq};

/// A range of versions: comparators with commas between them, all of which hold: `>=1.2, <2`, `^1.4`,
/// `~1.4.2`, `1.*`. A pre-release is in it only if a comparator names one of the same version.
#[derive(Debug, Clone)]
pub struct VersionRange(VersionReq);

/// A text that is no range of versions.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no range of versions, such as >=1.2, <2: {source}")]
pub struct VersionRangeError {
    text: String,
    source: semver::Error,
}

impl VersionRange {
    /// Parses a range.
    ///
    /// # Errors
    /// [`VersionRangeError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, VersionRangeError> {
        VersionReq::parse(text)
            .map(Self)
            .map_err(|source| VersionRangeError { text: text.to_owned(), source })
    }

    /// Whether a tag is a version in the range.
    #[must_use]
    pub fn has(&self, tag: &Tag) -> bool {
        of_tag(tag).is_some_and(|version| self.0.matches(&version))
    }
}

/// The version that a tag spells: `1.2.3`, `v1.2.3`, `1.2.3-rc.1`. What is behind a `_`, which stands
/// for the `+` that no tag can have, says which build it is. None for tags such as `1.2` and
/// `latest`, which go from one version to the next.
pub(super) fn of_tag(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    match text.contains('_') {
        true => Version::parse(&text.replacen('_', "+", 1)).ok(),
        false => Version::parse(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_range() {
        for (range, inside, outside) in [
            (">=1.2, <2", &["1.2.0", "v1.99.0", "1.2.3_build.5"][..], &["1.1.9", "2.0.0"][..]),
            ("^1.4", &["1.4.0", "1.5.9"], &["1.3.9", "2.0.0"]),
            ("1.4", &["1.4.0", "1.5.9"], &["2.0.0"]),
            ("~1.4.2", &["1.4.2", "1.4.9"], &["1.4.1", "1.5.0"]),
            ("=1.4.2", &["1.4.2", "V1.4.2"], &["1.4.3"]),
            ("1.*", &["1.0.0"], &["2.0.0"]),
            ("*", &["0.0.1", "99.0.0"], &["1", "1.2", "1.2.3.4", "01.2.3", "latest", "1.2.3_"]),
            (">=1.2", &["1.3.0"], &["1.3.0-rc.1"]),
            (">=1.3.0-rc.1", &["1.3.0-rc.2", "1.3.0"], &["1.3.0-alpha", "1.4.0-rc.1"]),
        ] {
            let parsed = VersionRange::parse(range).unwrap();
            for text in inside {
                assert!(parsed.has(&Tag::parse(text).unwrap()), "{range} {text}");
            }
            for text in outside {
                assert!(!parsed.has(&Tag::parse(text).unwrap()), "{range} {text}");
            }
        }
        let error = VersionRange::parse("one").unwrap_err().to_string();
        assert!(error.starts_with("\"one\" is no range of versions"), "{error}");
    }
}
