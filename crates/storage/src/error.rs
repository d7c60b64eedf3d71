//! What can go wrong in a driver.

use std::io;

use crate::{PathError, StoragePath};

/// The result of a driver's operation.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// `None` for what is not there.
///
/// # Errors
/// Every other one than [`StorageError::NotFound`].
pub fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a driver's operation failed. Only [`StorageError::NotFound`] says anything about what is
/// stored; everything else means that the storage could not tell, and must never be answered as
/// "it is not there".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Nothing lies at the path, or something of the other kind (a directory where a file was
    /// asked for).
    #[error("{path} not found")]
    NotFound {
        /// The path.
        path: StoragePath,
    },
    /// Another writer holds the file.
    #[error("{path} is being written by another request")]
    Busy {
        /// The path.
        path: StoragePath,
    },
    /// The file is larger than the caller was ready to hold.
    #[error("{path} has {size_bytes} bytes, more than the {limit_bytes} that are allowed here")]
    TooLarge {
        /// The path.
        path: StoragePath,
        /// Its size, in bytes.
        size_bytes: u64,
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The storage is full, or a quota of it is.
    #[error("no space left on the storage while writing {path}: free some, or enlarge it")]
    NoSpace {
        /// The path.
        path: StoragePath,
    },
    /// The storage refuses to be written: permissions, or a read-only mount.
    #[error("no permission to {operation} {path}: {source}")]
    Denied {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path.
        path: StoragePath,
        /// What the system said.
        source: io::Error,
    },
    /// The storage can't be reached, is overloaded, or is being left alone for a while after
    /// having failed: the same request may succeed a little later.
    #[error("the storage is not available to {operation} {path}: {source}")]
    Unavailable {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path.
        path: StoragePath,
        /// What the storage, or the network, said.
        source: io::Error,
    },
    /// The path itself is not allowed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Anything else.
    #[error("could not {operation} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path.
        path: StoragePath,
        /// What the system said.
        source: io::Error,
    },
}

impl StorageError {
    /// Sorts what the system said into the kinds above. `operation` is a verb ("read", "rename").
    #[must_use]
    pub fn from_io(operation: &'static str, path: &StoragePath, source: io::Error) -> Self {
        use io::ErrorKind as K;
        let path = path.clone();
        match source.kind() {
            K::NotFound | K::NotADirectory | K::IsADirectory => Self::NotFound { path },
            K::StorageFull | K::QuotaExceeded => Self::NoSpace { path },
            K::PermissionDenied | K::ReadOnlyFilesystem => Self::Denied { operation, path, source },
            _ => Self::Io { operation, path, source },
        }
    }

    /// The same for an operation that writes: there, a directory at the file's path, a file where
    /// a directory has to be, or a root that is gone are no `NotFound`.
    pub(crate) fn from_write(
        operation: &'static str,
        path: &StoragePath,
        source: io::Error,
    ) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory => Self::Io { operation, path: path.clone(), source },
            _ => Self::from_io(operation, path, source),
        }
    }

    /// A file has fewer bytes than a reader asked for.
    pub(crate) fn shorter_than_asked(path: &StoragePath) -> Self {
        let source = io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file is shorter than it was when it was opened, or than what was asked for",
        );
        Self::Io { operation: "read", path: path.clone(), source }
    }

    /// A file was to be truncated to more than it has.
    pub(crate) fn truncated_upwards(path: &StoragePath) -> Self {
        let source =
            io::Error::new(io::ErrorKind::InvalidInput, "the file is shorter than that already");
        Self::Io { operation: "truncate", path: path.clone(), source }
    }

    /// The root can neither be deleted nor be a file.
    pub(crate) fn root_is_fixed(operation: &'static str) -> Self {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is the storage's root");
        Self::Io { operation, path: StoragePath::root(), source }
    }

    /// Whether this says that nothing is there.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
