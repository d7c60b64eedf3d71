//! From paths to keys and back: a key is the path below the root directory, without its first
//! slash, as Distribution's drivers write it.

use object_store::path::Path;
use storage::{Result, StorageError, StoragePath};

/// What the record of an unfinished upload is called: the name of the file that it is going to
/// be, and this. Distribution ignores it, and deletes it with the upload's directory.
const RECORD_SUFFIX: &str = ".wharf-upload";

/// The prefix of all keys.
#[derive(Debug, Clone)]
pub(crate) struct Root(String);

impl Root {
    /// `directory` is the configuration's `rootdirectory`, with or without slashes around it.
    pub(crate) fn new(directory: &str) -> Self {
        let directory = directory.trim_matches('/');
        Self(if directory.is_empty() { String::new() } else { format!("{directory}/") })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of a file.
    pub(crate) fn key(&self, operation: &'static str, path: &StoragePath) -> Result<Path> {
        let text = format!("{}{}", self.0, path.as_str().trim_start_matches('/'));
        Path::parse(&text).map_err(|error| StorageError::Io {
            operation,
            path: path.clone(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidInput, error),
        })
    }

    /// What the keys of everything below a directory begin with.
    pub(crate) fn below(&self, path: &StoragePath) -> String {
        let path = path.as_str().trim_start_matches('/');
        if path.is_empty() { self.0.clone() } else { format!("{}{path}/", self.0) }
    }

    /// The key of the record of an unfinished file.
    pub(crate) fn record(&self, operation: &'static str, path: &StoragePath) -> Result<Path> {
        let name = StoragePath::parse(format!("{path}{RECORD_SUFFIX}"))?;
        self.key(operation, &name)
    }
}

/// Whether a name, or a key, is that of a record.
pub(crate) fn is_record(name: &str) -> bool {
    name.ends_with(RECORD_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_distribution() {
        let path = StoragePath::parse("/docker/registry/v2/x").unwrap();
        for (root, key, below) in [
            ("", "docker/registry/v2/x", "docker/registry/v2/x/"),
            ("/", "docker/registry/v2/x", "docker/registry/v2/x/"),
            ("/team/a/", "team/a/docker/registry/v2/x", "team/a/docker/registry/v2/x/"),
            ("team/a", "team/a/docker/registry/v2/x", "team/a/docker/registry/v2/x/"),
        ] {
            let root = Root::new(root);
            assert_eq!(root.key("read", &path).unwrap().as_ref(), key);
            assert_eq!(root.below(&path), below);
            assert!(is_record(root.record("read", &path).unwrap().as_ref()));
        }
        assert_eq!(Root::new("").below(&StoragePath::root()), "");
        assert_eq!(Root::new("a").below(&StoragePath::root()), "a/");
    }
}
