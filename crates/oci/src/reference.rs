//! Tags, and references that are a tag or a digest.

use std::fmt;

use crate::{Digest, DigestError};

/// The longest tag, in bytes (distribution-spec, "Pulling manifests").
const TAG_BYTES_MAX: usize = 128;

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    /// Parses a tag.
    ///
    /// # Errors
    /// [`ReferenceError::Tag`] when the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let mut bytes = text.bytes();
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = text.len() <= TAG_BYTES_MAX
            && bytes.next().is_some_and(word)
            && bytes.all(|b| word(b) || b == b'.' || b == b'-');
        if good {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Tag(text.chars().take(TAG_BYTES_MAX).collect()))
        }
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What names a manifest within a repository: a tag or a digest, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

impl Reference {
    /// Parses a reference; a colon makes it a digest, as no tag can contain one.
    ///
    /// # Errors
    /// [`ReferenceError`] for a text that is neither.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Why a text is not a tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Not a tag.
    #[error(
        "\"{0}\" is not a valid tag: 1 to 128 letters, digits, '_', '.' or '-', not beginning with \
         '.' or '-'"
    )]
    Tag(String),
    /// It has a colon, but is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for tag in ["latest", "_", "V1.0-rc_1", "0", &"a".repeat(128)] {
            assert_eq!(Tag::parse(tag).unwrap().as_str(), tag);
        }
        for tag in ["", ".a", "-a", "a/b", "a b", "ä", "a\n", &"a".repeat(129)] {
            assert!(Tag::parse(tag).is_err(), "{tag:?} was accepted");
        }
    }

    #[test]
    fn a_colon_decides_between_tag_and_digest() {
        let digest = Digest::of(crate::Algorithm::Sha256, b"");
        assert_eq!(Reference::parse(&digest.to_string()), Ok(Reference::Digest(digest)));
        assert_eq!(Reference::parse("v1"), Ok(Reference::Tag(Tag::parse("v1").unwrap())));
        assert!(matches!(Reference::parse("sha256:no"), Err(ReferenceError::Digest(_))));
        assert!(matches!(Reference::parse(".v1"), Err(ReferenceError::Tag(_))));
    }
}
