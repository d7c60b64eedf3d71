//! What can go wrong in a transfer.

use oci::Digest;
use storage::{StorageError, StoragePath};

/// Why a transfer was not even begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// What is written to the target appears in the source.
    #[error("source and target are the same storage: a registry is not copied onto itself")]
    SameStorage,
    /// There is no registry at the source.
    #[error(
        "the source holds no registry: there is no {path} in it. Look whether its root is the \
         right one"
    )]
    NothingThere {
        /// What is missing.
        path: StoragePath,
    },
    /// The source can't be read.
    #[error("the source can't be read: {0}")]
    Source(#[source] StorageError),
    /// The target can't be written.
    #[error("the target can't be written: {0}")]
    Target(#[source] StorageError),
}

/// Why one thing could not be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("source: {0}")]
    Source(StorageError),
    #[error("target: {0}")]
    Target(StorageError),
    #[error(
        "the source's content is damaged (it has digest {actual}, not {expected}); push it again \
         there to repair it"
    )]
    Corrupt { expected: Digest, actual: Digest },
    #[error("its content is damaged at the source")]
    KnownCorrupt,
    #[error("the tags wait until everything else of the repository is copied")]
    TagsWait,
    #[error("the transfer was stopped")]
    Stopped,
}

impl Failure {
    /// Whether it is the storage that failed, and not what lies in it.
    pub(super) const fn is_storage(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Target(_))
    }

    /// Whether the content is to blame, whoever finds it.
    pub(super) const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::KnownCorrupt)
    }
}
