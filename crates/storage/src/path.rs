//! Paths within a driver.

use std::fmt;

/// An absolute path within a driver, `/` between its components.
///
/// As in Distribution, a path is `/` (the root) or matches `^(/[A-Za-z0-9._-]+)+$`; `.` and `..`
/// are refused as components, so that a path can never leave the root.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoragePath(String);

impl StoragePath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Parses a path.
    ///
    /// # Errors
    /// [`PathError`] when it breaks the grammar.
    pub fn parse(text: impl Into<String>) -> Result<Self, PathError> {
        let text = text.into();
        let good = text == "/"
            || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_component));
        if good { Ok(Self(text)) } else { Err(PathError(text)) }
    }

    /// The path as text, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The path one level down.
    ///
    /// # Errors
    /// [`PathError`] when `component` is not one.
    pub fn join(&self, component: &str) -> Result<Self, PathError> {
        if !is_component(component) {
            return Err(PathError(format!("{}/{component}", self.0)));
        }
        let parent = if self.is_root() { "" } else { &self.0 };
        Ok(Self(format!("{parent}/{component}")))
    }

    /// The path one level up; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/').filter(|_| !self.is_root())?;
        Some(if parent.is_empty() { Self::root() } else { Self(parent.into()) })
    }

    /// The components, from the top; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// Whether a name can be a component of a path.
pub(crate) fn is_component(text: &str) -> bool {
    !text.is_empty()
        && text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether a file of this name is one that a writer has not finished yet, or never will:
/// `<name>.<uuid>.tmp`, as Distribution 3.1 names them and so do we.
pub fn is_temporary_file(name: &str) -> bool {
    const UUID_LEN: usize = 36;
    let Some(stem) = name.strip_suffix(".tmp") else { return false };
    let Some((_, uuid)) = stem.rsplit_once('.') else { return false };
    uuid.len() == UUID_LEN
        && uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A text that is not a path within a driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a storage path: components of letters, digits, '.', '_' and '-' are allowed")]
pub struct PathError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["/", "/a", "/a/b", "/A0._-/link", "/a/..."] {
            assert_eq!(StoragePath::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "a", "//", "/a/", "/a//b", "/a b", "/.", "/a/..", "/../a", "/a:b", "/ä", "/a\0"]
        {
            assert!(StoragePath::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn up_and_down() {
        let path = StoragePath::root().join("a").unwrap().join("b").unwrap();
        assert_eq!(path.as_str(), "/a/b");
        assert_eq!(path.file_name(), "b");
        assert_eq!(path.parent().unwrap().as_str(), "/a");
        assert_eq!(path.parent().unwrap().parent(), Some(StoragePath::root()));
        assert_eq!(StoragePath::root().parent(), None);
        assert_eq!(path.components().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(StoragePath::root().components().count(), 0);
        assert!(path.join("..").is_err());
        assert!(path.join("a/b").is_err());
    }

    #[test]
    fn temporary_files() {
        assert!(is_temporary_file("link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp"));
        for not in [
            "link.tmp",
            "tmp",
            ".tmp",
            "0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp",
            "link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f",
            "link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8g.tmp",
            "link.0e1c3c1c06f3e04a4e09a3e02f3c5b6d7e8f.tmp",
        ] {
            assert!(!is_temporary_file(not), "{not}");
        }
    }
}
