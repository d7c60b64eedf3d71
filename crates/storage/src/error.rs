//! What can go wrong in a driver.

use std::io;

use crate::{PathError, StoragePath};

/// The result of a driver's operation.
pub type Result<T> = std::result::Result<T, StorageError>;

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

    /// Whether this says that nothing is there.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
