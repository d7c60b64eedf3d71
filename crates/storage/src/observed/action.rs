//! What an operation is called and how it ended.

use crate::{Change, Result, StorageError};

/// An operation, by the name that Distribution's metrics and traces have for it, where they have
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// [`Driver::get`](crate::Driver::get).
    GetContent,
    /// [`Driver::put`](crate::Driver::put).
    PutContent,
    /// [`Driver::stat`](crate::Driver::stat).
    Stat,
    /// [`Driver::list`](crate::Driver::list).
    List,
    /// [`Driver::publish`](crate::Driver::publish): with the sync of the file that is moved.
    Move,
    /// [`Driver::delete`](crate::Driver::delete).
    Delete,
    /// [`Driver::open`](crate::Driver::open). Wharf's own, as are all below.
    Open,
    /// [`Driver::append`](crate::Driver::append): opening a file for it.
    Append,
    /// [`Appender::append`](crate::Appender::append) and
    /// [`Appender::append_from`](crate::Appender::append_from): a batch, or as many as came in time.
    Write,
    /// [`Appender::sync`](crate::Appender::sync).
    Sync,
    /// [`Appender::truncate`](crate::Appender::truncate).
    Truncate,
    /// [`Driver::settle`](crate::Driver::settle).
    Settle,
    /// [`Driver::put_unsynced`](crate::Driver::put_unsynced).
    PutNote,
    /// [`Driver::delete_empty`](crate::Driver::delete_empty).
    DeleteEmpty,
    /// [`Driver::listing_version`](crate::Driver::listing_version).
    ListingVersion,
    /// [`Appender::keep`](crate::Appender::keep).
    Keep,
    /// [`Driver::redirect`](crate::Driver::redirect).
    RedirectURL,
}

impl Action {
    /// Every action; `ALL[action as usize]` is `action`.
    pub const ALL: [Self; 17] = [
        Self::GetContent,
        Self::PutContent,
        Self::Stat,
        Self::List,
        Self::Move,
        Self::Delete,
        Self::Open,
        Self::Append,
        Self::Write,
        Self::Sync,
        Self::Truncate,
        Self::Settle,
        Self::PutNote,
        Self::DeleteEmpty,
        Self::ListingVersion,
        Self::Keep,
        Self::RedirectURL,
    ];

    /// What a change of [`Driver::apply`](crate::Driver::apply) counts as.
    pub(super) const fn of(change: &Change) -> Self {
        match change {
            Change::Put { .. } => Self::PutContent,
            Change::Note { .. } => Self::PutNote,
            Change::Publish { .. } => Self::Move,
        }
    }

    /// Its name, as metrics and traces show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetContent => "GetContent",
            Self::PutContent => "PutContent",
            Self::Stat => "Stat",
            Self::List => "List",
            Self::Move => "Move",
            Self::Delete => "Delete",
            Self::Open => "Open",
            Self::Append => "Append",
            Self::Write => "Write",
            Self::Sync => "Sync",
            Self::Truncate => "Truncate",
            Self::Settle => "Settle",
            Self::PutNote => "PutNote",
            Self::DeleteEmpty => "DeleteEmpty",
            Self::ListingVersion => "ListingVersion",
            Self::Keep => "Keep",
            Self::RedirectURL => "RedirectURL",
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked.
    Done,
    /// There was nothing at the path.
    Absent,
    /// The caller asked for what can't be had: a file that another request writes, more than the
    /// caller's own limit, a path that none can have.
    Refused,
    /// The storage is to blame.
    Failed,
}

impl Outcome {
    pub(super) fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(StorageError::NotFound { .. }) => Self::Absent,
            Err(
                StorageError::Busy { .. } | StorageError::TooLarge { .. } | StorageError::Path(_),
            ) => Self::Refused,
            Err(_) => Self::Failed,
        }
    }
}
