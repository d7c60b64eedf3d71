//! What can go wrong with a backup.

use storage::{StorageError, StoragePath};

/// Why a backup can't be made, read or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The place for the backup is the storage of a registry.
    #[error(
        "there is a registry where the backup is to be kept: choose another directory or another \
         storage for it"
    )]
    HoldsRegistry,
    /// The place for the backup holds an OCI layout that is no backup.
    #[error(
        "there is an OCI layout already where the backup is to be kept, which is no backup: choose \
         another directory"
    )]
    OtherLayout,
    /// The place for the backup holds something else.
    #[error(
        "there is {name} already where the backup is to be kept, and it is no backup: choose an \
         empty directory"
    )]
    NotEmpty {
        /// One of the things there are.
        name: Box<str>,
    },
    /// There is no backup.
    #[error("there is no backup here: {path} is missing. Look whether the place is the right one")]
    NoBackup {
        /// What is missing.
        path: StoragePath,
    },
    /// No snapshot was ever finished, or none is left.
    #[error("the backup has no snapshot: none was ever finished")]
    NoSnapshots,
    /// There is no such snapshot.
    #[error(
        "the backup has no snapshot {name:?}; the newest is {newest}, and `wharf backup list` names \
         all"
    )]
    SnapshotUnknown {
        /// What was asked for.
        name: String,
        /// The newest there is.
        newest: String,
    },
    /// A snapshot can't be read.
    #[error("snapshot {name} is damaged: {reason}")]
    SnapshotDamaged {
        /// The snapshot.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No repository of the snapshot fits.
    #[error("snapshot {name} has {repositories} repositories, and none of them fits the pattern")]
    NothingFits {
        /// The snapshot.
        name: String,
        /// How many it has.
        repositories: u64,
    },
    /// Another job is at work on the backup, and the two don't go together.
    #[error(
        "another `wharf backup {what}` is at work on this backup, or was killed less than a quarter \
         of an hour ago: wait, or delete {path} if you know that it was"
    )]
    Busy {
        /// What it does.
        what: String,
        /// The mark that it has left.
        path: StoragePath,
    },
    /// It was told to stop.
    #[error("stopped; start it again to go on, what is copied is not copied again")]
    Stopped,
    /// The storage of the backup failed.
    #[error("the storage of the backup: {0}")]
    Storage(#[from] StorageError),
    /// The registry failed.
    #[error("the registry: {0}")]
    Registry(#[from] registry::Error),
}
