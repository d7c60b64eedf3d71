//! Versions, as tags spell them.

/// A version that is no pre-release: `1.2.3` or `v1.2.3`. What is behind a `_`, which stands for the
/// `+` that no tag can have, says which build it is, and not which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u64; 3]);

impl Version {
    /// The version that a tag spells. None for pre-releases, and for tags such as `1.2` and
    /// `latest`, which go from one version to the next.
    pub(super) fn parse(tag: &str) -> Option<Self> {
        let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
        let (text, build) = text.split_once('_').map_or((text, None), |(t, b)| (t, Some(b)));
        if build.is_some_and(str::is_empty) {
            return None;
        }
        let mut parts = text.split('.');
        let version = [number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?];
        parts.next().is_none().then_some(Self(version))
    }
}

/// A number without leading zeros.
fn number(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_version_and_what_is_not() {
        for (tag, expected) in [
            ("1.2.3", Some([1, 2, 3])),
            ("v10.0.0", Some([10, 0, 0])),
            ("1.2.3_build.5", Some([1, 2, 3])),
            ("1.2.3-rc.1", None),
            ("1.2", None),
            ("1", None),
            ("1.2.3.4", None),
            ("1.02.3", None),
            ("1.2.", None),
            ("1.2.3_", None),
            ("latest", None),
            ("99999999999999999999.0.0", None),
        ] {
            assert_eq!(Version::parse(tag).map(|version| version.0), expected, "{tag}");
        }
        assert!(Version::parse("1.10.0") > Version::parse("1.9.9"));
    }
}
