//! Being told of changes, by storages that can tell.
//!
//! Whoever keeps an answer in memory has to know that the storage would still give it. Looking is
//! always possible, and costs as many looks as the answer has sources. A [`Watcher`] is told
//! instead, and then asking is next to free.

use std::fmt;

use async_trait::async_trait;

use crate::StoragePath;

/// What an answer was derived from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Which entries a directory has, or that there is no such directory.
    Listing(StoragePath),
    /// What a file holds, or that there is no such file.
    File(StoragePath),
}

/// Why something can't be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotWatched {
    /// Not in this way, or not now: it lies behind a symbolic link or on another filesystem, takes
    /// more watches than it may, or changed just when the watch began.
    Impossible,
    /// As much is watched as may be. Dropping watches makes room.
    Full,
}

/// A storage that is told of every change, whoever makes it: this process or another one.
#[async_trait]
pub trait Watcher: fmt::Debug + Send + Sync {
    /// Begins to watch `sources`, of which some may be absent. What is read from them after this
    /// has returned is what the watch speaks of.
    ///
    /// It may take one watch of the system for each directory on the way to a source, but not more
    /// than `watches_max`.
    ///
    /// # Errors
    /// [`NotWatched`]; the storage's own errors are left to whoever reads.
    async fn watch(
        &self,
        sources: &[Source],
        watches_max: usize,
    ) -> Result<Box<dyn Watch>, NotWatched>;

    /// Begins to follow a directory that is there: whoever lists it after this has returned can
    /// keep the listing right by what is told of it.
    ///
    /// # Errors
    /// [`NotWatched`].
    async fn follow(&self, directory: &StoragePath) -> Result<Box<dyn Follow>, NotWatched>;
}

/// A watch over the sources of an answer, until it is dropped.
pub trait Watch: fmt::Debug + Send + Sync {
    /// Whether none of the sources has changed since the watch began. Every change is known that
    /// was finished before this was called. Once it is false it stays so; it may be false without
    /// need. Never waits for a disk.
    fn is_current(&self) -> bool;

    /// How many of the system's watches it takes, shared ones included.
    fn watches(&self) -> usize;
}

/// A directory that is followed, until this is dropped.
pub trait Follow: fmt::Debug + Send + Sync {
    /// What has become of its subdirectories since this was last called, in order; everything
    /// that was finished before the call is in it. `None` when that can't be told any more, so
    /// that the directory has to be listed again. Never waits for a disk.
    fn changes(&self) -> Option<Vec<EntryChange>>;
}

/// What has become of a name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryChange {
    /// The name.
    pub name: Box<str>,
    /// Whether it is that of a subdirectory now, or of nothing.
    pub is_directory: bool,
}
