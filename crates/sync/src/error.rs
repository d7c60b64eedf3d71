//! What can go wrong with a job as a whole. What goes wrong with one item is in the reports.

use jiff::Timestamp;

/// Why a job can't be planned or worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Another process, or another task of this one, is working on the job.
    #[error("the job is being worked on already; wait until that has ended")]
    Running,
    /// Another process took over, since this one was not heard of for too long.
    #[error(
        "another process has taken the job over, as this one had stood still; it goes on there"
    )]
    Overtaken,
    /// Nothing is asked of the remote for a while.
    #[error(
        "nothing is asked of the other registry before {until}, as it wants to be left alone or too \
         much failed"
    )]
    Paused {
        /// When it may be asked again.
        until: Timestamp,
    },
    /// The queue has as many items as it may.
    #[error("the queue of the job has {items} items, and takes no more before some are done")]
    QueueFull {
        /// How many.
        items: usize,
    },
    /// The source can't be listed.
    #[error("the repositories of the source can't be listed: {0}")]
    Source(String),
    /// The job's name is no component of a path.
    #[error("{0:?} can't be the name of a job: write letters, digits, '.', '_' and '-'")]
    Name(String),
    /// The storage failed.
    #[error("{0}")]
    Storage(#[from] registry::Error),
}

impl From<storage::StorageError> for SyncError {
    fn from(error: storage::StorageError) -> Self {
        Self::Storage(error.into())
    }
}
