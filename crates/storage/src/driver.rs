//! The trait behind which every kind of storage lies.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use uuid::Uuid;

use crate::watch::Watcher;
use crate::{Result, StorageError, StoragePath};

/// The bytes of an object, piece by piece. An error ends it. It may be asked again after its end.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A kind of storage.
///
/// Every operation is atomic for readers: nobody ever sees a half-written file under its final
/// path. What [`Driver::put`] and [`Driver::publish`] have returned for is on stable storage,
/// together with every directory entry that leads to it.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// The driver's name in the configuration (`filesystem`, `inmemory`, …).
    fn name(&self) -> &'static str;

    /// The whole content of a small file.
    ///
    /// # Errors
    /// `NotFound`; `TooLarge` when it has more than `limit_bytes`.
    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes>;

    /// Writes a small file as a whole, durably, replacing what was there. Makes the directories
    /// above it.
    ///
    /// # Errors
    /// Never `NotFound`: a directory at the path, or a file where a directory has to be, is `Io`.
    /// After an error the path has its old content or the new one.
    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()>;

    /// Like [`Driver::put`], but a power failure may undo it or leave the file empty: for notes
    /// that only save work. Readers see all of it or nothing all the same.
    async fn put_unsynced(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.put(path, content).await
    }

    /// What lies at the path.
    ///
    /// # Errors
    /// `NotFound`. The root always exists once the driver has been made.
    async fn stat(&self, path: &StoragePath) -> Result<Stat>;

    /// Opens a file for reading. From then on it can be read to its end, even when it is deleted
    /// or replaced meanwhile.
    ///
    /// # Errors
    /// `NotFound`.
    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>>;

    /// Opens a file for appending at its end, creating it (and the directories above it) when it
    /// is absent. There is one writer at a time, across processes where the storage can tell.
    ///
    /// # Errors
    /// `Busy` while another writer holds it; never `NotFound`.
    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>>;

    /// [`Driver::append`] to a file that will be published at `target`. Where moving a file means
    /// to copy it, it can be written there at once, where nobody sees it before it is published.
    ///
    /// # Errors
    /// Those of [`Driver::append`].
    async fn append_toward(
        &self,
        path: &StoragePath,
        target: &StoragePath,
    ) -> Result<Box<dyn Appender>> {
        let _ = target;
        self.append(path).await
    }

    /// What there is of a file that is being appended to and was not published: its size and time.
    /// Other operations need not see it before it is published, but [`Driver::delete`] of a
    /// directory above it.
    ///
    /// # Errors
    /// `NotFound`.
    async fn stat_staged(&self, path: &StoragePath) -> Result<Stat> {
        self.stat(path).await
    }

    /// Opens a file that is being appended to and was not published, with what has come by now.
    ///
    /// # Errors
    /// `NotFound`.
    async fn open_staged(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        self.open(path).await
    }

    /// Gives up what writers that were killed left where no listing shows it, if it is older than
    /// `older_than`, and says what it was. With `dry_run` it is only named.
    ///
    /// # Errors
    /// When the storage can't say what there is.
    async fn abandon(&self, older_than: Duration, dry_run: bool) -> Result<Vec<String>> {
        let _ = (older_than, dry_run);
        Ok(Vec::new())
    }

    /// Moves a finished file to its final path, atomically, replacing what was there; makes the
    /// directories above it. The content is synced first, so that it is durable on return. An
    /// appender may still hold the file; what it has returned for is in it.
    ///
    /// # Errors
    /// `NotFound` when there is nothing at `from`.
    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()>;

    /// Makes several changes, durably, for about the price of one.
    ///
    /// They become visible in the order of the list. Nothing in a stage *replaces* what was there
    /// before everything in the stages before it is on stable storage; what is merely new may
    /// reach it along with them.
    ///
    /// # Errors
    /// Those of [`Driver::put`] and [`Driver::publish`]. The changes before the one that failed
    /// may have been made; each is whole or was not made at all.
    async fn apply(&self, stages: Vec<Vec<Change>>) -> Result<()> {
        for change in stages.into_iter().flatten() {
            apply_one(self, change).await?;
        }
        Ok(())
    }

    /// Makes sure that a file that is there already is on stable storage, with every directory
    /// entry that leads to it: another request may have put it there a moment ago and not have
    /// come to the end of its own syncs, or never come there. Costs next to nothing once it is
    /// known.
    ///
    /// # Errors
    /// `NotFound`.
    async fn settle(&self, path: &StoragePath) -> Result<()>;

    /// Deletes a file, or a directory with everything below it. A loss of power may undo it.
    ///
    /// # Errors
    /// `NotFound` when there was nothing. The root is refused.
    async fn delete(&self, path: &StoragePath) -> Result<()>;

    /// Deletes a directory if it is empty; nothing happens when it is not, or not there, or when
    /// a file below it is just being written.
    async fn delete_empty(&self, path: &StoragePath) -> Result<()>;

    /// The entries of a directory, sorted by the bytes of their names. Temporary files of this
    /// driver and of Distribution's (`*.tmp`) are left out, as are names that are no path component.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory.
    async fn list(&self, path: &StoragePath) -> Result<Listing>;

    /// The first `limit` entries of a directory whose names sort behind `after`, sorted as in
    /// [`Driver::list`]; there are more if and only if there are `limit` of them and another page
    /// is not empty.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory; a storage that has no directories can't tell
    /// one that has nothing behind `after` from one that is not there, and gives an empty page.
    async fn list_page(
        &self,
        path: &StoragePath,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        let entries = self.list(path).await?.entries;
        let first = entries.partition_point(|e| after.is_some_and(|after| &*e.name <= after));
        Ok(entries.into_iter().skip(first).take(limit).collect())
    }

    /// Whether each operation is a request to another machine: what only saves time on a disk is
    /// not worth one, large directories are read in pages, and what is independent is asked for
    /// at once.
    fn is_remote(&self) -> bool {
        false
    }

    /// Whether what was written may be missing from lists for a while: then nothing may be deleted
    /// for not being listed anywhere.
    fn lists_late(&self) -> bool {
        false
    }

    /// The largest file that it takes, in bytes.
    fn file_bytes_max(&self) -> u64 {
        u64::MAX
    }

    /// How much room there is; `None` where there is no bound that could be known.
    ///
    /// # Errors
    /// When the storage can't say.
    async fn space(&self) -> Result<Option<Space>> {
        Ok(None)
    }

    /// A URL from which a client can read the file by itself, for some minutes; `None` where there
    /// is none. Says nothing about whether the file is there.
    ///
    /// # Errors
    /// When it can't be made, for example for want of credentials.
    async fn redirect(&self, path: &StoragePath) -> Result<Option<String>> {
        let _ = path;
        Ok(None)
    }

    /// The temporary files in a directory, which [`Driver::list`] leaves out: of writers that are at
    /// work, and of those that were killed. None where a storage has no such files.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory.
    async fn leftovers(&self, path: &StoragePath) -> Result<Vec<(Box<str>, Stat)>> {
        let _ = path;
        Ok(Vec::new())
    }

    /// The present version of a directory's listing, much cheaper than the listing: as long as it
    /// equals [`Listing::version`], the listing is still right. `None` where the storage has
    /// nothing to compare, or the directory changed so lately that its clock can't tell.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory.
    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>>;

    /// Who is told of changes, where the storage can tell of every single one. Everywhere else
    /// what is remembered has to be compared with the storage.
    fn watcher(&self) -> Option<&dyn Watcher> {
        None
    }
}

/// The room of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What can still be written, in bytes.
    pub free_bytes: u64,
    /// All there is, in bytes.
    pub total_bytes: u64,
}

/// One change of a [`Driver::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// [`Driver::put`], unless the file has this content already: then [`Driver::settle`].
    Put {
        /// The file.
        path: StoragePath,
        /// What shall be in it.
        content: Bytes,
        /// A small file that is not needed any more, and may become this one: making files and
        /// deleting them is a good part of what a small push costs. It is gone afterwards if
        /// there was one, unless an error comes in between.
        reuse: Option<StoragePath>,
    },
    /// [`Driver::put_unsynced`].
    Note {
        /// The file.
        path: StoragePath,
        /// What shall be in it.
        content: Bytes,
    },
    /// [`Driver::publish`], unless there is a file of the same size at the target: then that is
    /// settled, and nothing is moved. For targets that are named by their content.
    ///
    /// The directory that the file lay in is gone afterwards, with whatever else was in it. That
    /// it can't be deleted is only logged.
    Publish {
        /// The finished file.
        from: StoragePath,
        /// Its final path.
        to: StoragePath,
    },
}

impl Change {
    /// A [`Change::Put`] that reuses nothing.
    #[must_use]
    pub const fn put(path: StoragePath, content: Bytes) -> Self {
        Self::Put { path, content, reuse: None }
    }

    /// The path that it is about; for a publication, the final one.
    #[must_use]
    pub const fn path(&self) -> &StoragePath {
        match self {
            Self::Put { path, .. } | Self::Note { path, .. } | Self::Publish { to: path, .. } => {
                path
            }
        }
    }
}

/// Makes one change by the operations of a driver that has nothing better.
async fn apply_one<D: Driver + ?Sized>(driver: &D, change: Change) -> Result<()> {
    match change {
        Change::Put { path, content, reuse } => {
            match driver.get(&path, content.len() as u64).await {
                Ok(found) if found == content => driver.settle(&path).await?,
                Ok(_) | Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => {
                    driver.put(&path, content).await?;
                }
                Err(error) => return Err(error),
            }
            if let Some(reuse) = reuse {
                delete_remains(driver, &reuse).await;
            }
            Ok(())
        }
        Change::Note { path, content } => driver.put_unsynced(&path, content).await,
        Change::Publish { from, to } => {
            let size_bytes = driver.stat(&from).await?.size_bytes;
            match driver.stat(&to).await {
                Ok(stat) if stat.kind == EntryKind::File && stat.size_bytes == size_bytes => {
                    driver.settle(&to).await?;
                }
                Ok(_) | Err(StorageError::NotFound { .. }) => driver.publish(&from, &to).await?,
                Err(error) => return Err(error),
            }
            if let Some(directory) = from.parent() {
                delete_remains(driver, &directory).await;
            }
            Ok(())
        }
    }
}

/// Deletes what only costs space, if it is there. That it can't be deleted is only logged.
pub async fn delete_remains<D: Driver + ?Sized>(driver: &D, path: &StoragePath) {
    match driver.delete(path).await {
        Ok(()) | Err(StorageError::NotFound { .. }) => {}
        Err(error) => warn_of_remains(path, &error),
    }
}

/// Says that something which is not needed any more takes space.
pub(crate) fn warn_of_remains(path: &StoragePath, error: &StorageError) {
    tracing::warn!(%path, %error, "what is not needed any more could not be deleted");
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// File or directory.
    pub kind: EntryKind,
    /// Size of a file in bytes; 0 for a directory.
    pub size_bytes: u64,
    /// When it was last changed.
    pub modified: SystemTime,
}

/// Files hold bytes, directories hold entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, a path component.
    pub name: Box<str>,
    /// What it is.
    pub kind: EntryKind,
}

/// The entries of a directory.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Sorted by the bytes of the names.
    pub entries: Vec<Entry>,
    /// The version that was listed, when it can be recognised again; see
    /// [`Driver::listing_version`].
    pub version: Option<ListingVersion>,
}

/// A version of a directory's listing, to be compared and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListingVersion(pub u128);

/// An open file.
pub trait Object: fmt::Debug + Send + Sync + 'static {
    /// Its size when it was opened, in bytes.
    fn size_bytes(&self) -> u64;

    /// A part of it, in pieces of a bounded size. The stream fails if the file turns out shorter
    /// than it was, or if `range` goes beyond its end.
    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream;
}

/// A file open for appending. Dropping it leaves what was appended so far in place and lets the
/// next writer in.
///
/// The future of any operation may be dropped, as when a client hangs up: what it has begun goes
/// on to its end. The file then has a prefix of what was being appended, the next operation on the
/// same appender waits for that end, and other writers find the file busy until then.
#[async_trait]
pub trait Appender: fmt::Debug + Send + 'static {
    /// Bytes in the file so far.
    fn size_bytes(&self) -> u64;

    /// What tells the file's content as it was opened, or last kept, from any other of the same size.
    /// `None` when nothing was kept yet, and where what one writer kept no other can replace.
    fn generation(&self) -> Option<Uuid> {
        None
    }

    /// Appends `pieces` in order. After an error, [`Appender::size_bytes`] says how much of them
    /// is in the file.
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<()>;

    /// Appends what `feed` has, batch by batch, until it has nothing more at the moment, or earlier
    /// so that others get their turn: who feeds it looks whether something is left. Fails like
    /// [`Appender::append`], and what the feed gave by then is gone.
    async fn append_from(&mut self, feed: Arc<dyn Feed>) -> Result<()> {
        while let Some(pieces) = feed.next() {
            self.append(pieces).await?;
        }
        Ok(())
    }

    /// Cuts the file back to `size_bytes`, which must not be more than it has. A storage that
    /// writes in parts may refuse every size but the one that the file had when it was opened.
    async fn truncate(&mut self, size_bytes: u64) -> Result<()>;

    /// Brings what was appended to stable storage.
    async fn sync(&mut self) -> Result<()>;

    /// Leaves what was appended to whoever appends next, here or on another replica. Where
    /// [`Appender::append`] gathers bytes in memory until they are worth a request, what was
    /// appended since the last `keep` or `sync` is lost with the appender. A loss of power may
    /// take it as well, until [`Appender::sync`].
    async fn keep(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Where bytes to be appended come from while they are being appended.
pub trait Feed: Send + Sync + 'static {
    /// The next bytes in order, if there are enough at this moment; those given out before have
    /// been appended. Does not wait for more, but may take its time to work on them: where the
    /// storage has threads for what blocks, it is called on one of those.
    fn next(&self) -> Option<Vec<Bytes>>;
}
