//! Repository names.

use std::fmt;
use std::sync::Arc;

/// The longest repository name, in bytes. Distribution's limit; the OCI specification asks
/// registries to keep `host/name` within 255 as well.
const NAME_BYTES_MAX: usize = 255;

/// A repository name such as `library/alpine`.
///
/// Grammar (OCI distribution-spec, "Pulling manifests"): components of
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` joined by `/`, at most 255 bytes in all. Because no
/// component can begin with `_`, a name never collides with the reserved directories of the
/// storage layout.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        for component in text.split('/') {
            check_component(component)?;
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components between the slashes.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// Whether one component matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn check_component(component: &str) -> Result<(), NameError> {
    let bad = || NameError::Component { component: component.chars().take(64).collect() };
    let bytes = component.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut at = 0;
    loop {
        let word = bytes[at..].iter().take_while(|b| alphanumeric(**b)).count();
        if word == 0 {
            return Err(bad());
        }
        at += word;
        if at == bytes.len() {
            return Ok(());
        }
        let separator: usize = match bytes[at] {
            b'.' => 1,
            b'_' if bytes.get(at + 1) == Some(&b'_') => 2,
            b'_' => 1,
            b'-' => bytes[at..].iter().take_while(|b| **b == b'-').count(),
            _ => return Err(bad()),
        };
        at += separator;
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Why a text is not a repository name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("the repository name is empty")]
    Empty,
    /// The text is longer than 255 bytes.
    #[error("the repository name has {bytes} bytes; at most 255 are allowed")]
    TooLong {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// One of the parts between the slashes is not allowed.
    #[error(
        "\"{component}\" is not a valid part of a repository name: use lower-case letters and \
         digits, separated by one of '.', '_', '__' or dashes"
    )]
    Component {
        /// The offending part, cut to 64 characters.
        component: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_grammar() {
        for name in [
            "a",
            "0",
            "library/alpine",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "a/b/c/d",
            "a.b_c__d-e/f9",
        ] {
            assert_eq!(RepositoryName::parse(name).map(|n| n.to_string()), Ok(name.to_owned()));
        }
        assert!(RepositoryName::parse(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn refuses_the_rest() {
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "aB",
            "a..b",
            "a___b",
            "a._b",
            ".a",
            "a.",
            "-a",
            "a-",
            "_a",
            "a_",
            "a/_layers",
            "a b",
            "a\0",
            "ä",
            "a:b",
            "..",
            "a/../b",
            "a\n",
        ] {
            assert!(RepositoryName::parse(name).is_err(), "{name:?} was accepted");
        }
        assert_eq!(RepositoryName::parse(&"a".repeat(256)), Err(NameError::TooLong { bytes: 256 }));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_specification_s_expression(text in "[a-b_./-]{0,12}") {
            let part = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*";
            let expression = regex::Regex::new(&format!("^{part}(/{part})*$")).unwrap();
            assert_eq!(RepositoryName::parse(&text).is_ok(), expression.is_match(&text));
        }
    }
}
