//! Which repositories and which tags are meant.

use oci::{RepositoryName, Tag};
use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes: that of the longest name.
const PATTERN_BYTES_MAX: usize = 255;

/// A pattern for the names of repositories: `*` is any text without a slash, `**` any text, `?` any
/// one character but a slash.
#[derive(Debug, Clone)]
pub struct RepositoryPattern {
    expression: Regex,
    /// The one name that it matches, when it has no stars and question marks.
    name: Option<RepositoryName>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern of repository names: write a name, with * for any text without a slash \
     and ** for any text"
)]
pub struct PatternError(String);

impl RepositoryPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`PatternError`] when it has characters that no name has.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        let expression = compile(text, is_plain).ok_or_else(|| PatternError(shortened(text)))?;
        Ok(Self { expression, name: RepositoryName::parse(text).ok() })
    }

    /// Whether a repository is meant.
    #[must_use]
    pub fn matches(&self, name: &RepositoryName) -> bool {
        self.expression.is_match(name.as_str())
    }

    /// The one name that it matches, when it is a name.
    #[must_use]
    pub fn name(&self) -> Option<RepositoryName> {
        self.name.clone()
    }
}

impl std::str::FromStr for RepositoryPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

/// A pattern for tags: `*` is any text, `?` any one character.
#[derive(Debug, Clone)]
pub struct TagPattern(Regex);

/// A text that is no pattern of tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern of tags: write a tag, with * for any text and ? for any one character"
)]
pub struct TagPatternError(String);

impl TagPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`TagPatternError`] when it has characters that no tag has.
    pub fn parse(text: &str) -> Result<Self, TagPatternError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        compile(text, is_plain).map(Self).ok_or_else(|| TagPatternError(shortened(text)))
    }

    /// Whether a tag is meant.
    #[must_use]
    pub fn matches(&self, tag: &Tag) -> bool {
        self.0.is_match(tag.as_str())
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(PATTERN_BYTES_MAX).collect()
}

/// What a pattern means, of these characters and of stars and question marks.
fn compile(text: &str, is_plain: impl Fn(char) -> bool) -> Option<Regex> {
    if text.is_empty()
        || text.len() > PATTERN_BYTES_MAX
        || !text.chars().all(|c| is_plain(c) || "*?".contains(c))
    {
        return None;
    }
    let mut expression = String::from("^");
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (part, meaning) = match first {
            '*' if rest.starts_with("**") => ("**", ".*".to_owned()),
            '*' => ("*", "[^/]*".to_owned()),
            '?' => ("?", "[^/]".to_owned()),
            other => ("", regex::escape(other.encode_utf8(&mut [0; 4]))),
        };
        expression.push_str(&meaning);
        rest = &rest[part.len().max(1)..];
    }
    expression.push('$');
    RegexBuilder::new(&expression).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_slashes() {
        for (pattern, name, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("**", "a", true),
            ("*-x?", "b-x1", true),
            ("a.b", "a-b", false),
        ] {
            let name = RepositoryName::parse(name).unwrap();
            assert_eq!(
                RepositoryPattern::parse(pattern).unwrap().matches(&name),
                expected,
                "{pattern}"
            );
        }
        let name = |text: &str| RepositoryPattern::parse(text).unwrap().name();
        assert_eq!(name("a/b"), RepositoryName::parse("a/b").ok());
        assert_eq!([name("a/*"), name("a?"), name("a/")], [None, None, None]);
        for wrong in ["", "A", "a b", "[a]", "a\u{e4}"] {
            assert!(RepositoryPattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_of_tags() {
        for (pattern, tag, expected) in [
            ("v1.0", "v1.0", true),
            ("v1.0", "v1-0", false),
            ("pr-*", "pr-17", true),
            ("pr-*", "xpr-17", false),
            ("*", "_Any.thing-at_all", true),
            ("v?", "v1", true),
            ("v?", "v", false),
        ] {
            let parsed = TagPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(&Tag::parse(tag).unwrap()), expected, "{pattern} {tag}");
        }
        for wrong in ["", "a/b", "a b", "[a]", "a\u{e4}"] {
            assert!(TagPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
