//! What can go wrong in a check.

use storage::{StorageError, StoragePath};

/// Why a check was not even begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There is no registry.
    #[error(
        "the storage holds no registry: there is no {path} in it. Look whether its root is the \
         right one"
    )]
    NothingThere {
        /// What is missing.
        path: StoragePath,
    },
    /// There are repositories, and no content at all: nothing that a repair could help.
    #[error(
        "there are repositories, but {path} is empty or not there: look whether a disk is not \
         mounted. Without --repair it is checked all the same"
    )]
    NoBlobs {
        /// What is missing.
        path: StoragePath,
    },
    /// The storage can't be read.
    #[error("the storage can't be read: {0}")]
    Storage(#[source] StorageError),
}

/// Why one thing could not be looked at or mended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The storage failed.
    Storage(StorageError),
    /// The check is ending.
    Stopped,
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
