//! What the operations of a driver share.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use super::disk::Disk;
use super::durable::DurableDirectories;
use super::feeders::Feeders;
use super::inline::Inline;
use super::parents::Parents;
use super::retries::pause_before;
use super::watching::Watching;
use super::writers::Writers;
use crate::limits::WATCHES_MAX;
use crate::{Result, Space, StorageError, StoragePath};

#[derive(Debug)]
pub(super) struct Volume {
    pub(super) root: PathBuf,
    /// The device of the root when the driver was opened.
    pub(super) device: u64,
    pub(super) disk: Box<dyn Disk>,
    pub(super) durable: DurableDirectories,
    pub(super) inline: Inline,
    pub(super) writers: Writers,
    pub(super) parents: Parents,
    pub(super) watch_changes: bool,
    /// What is watched; filled when it is first asked for.
    pub(super) watching: OnceLock<Option<Arc<Watching>>>,
    /// Streams that are being read.
    pub(super) streams: AtomicUsize,
    /// Who appends from feeds.
    pub(super) feeders: Arc<Feeders>,
    /// One permit for each operation that may block at once.
    pub(super) threads: Arc<Semaphore>,
}

impl Volume {
    pub(super) fn locate(&self, path: &StoragePath) -> PathBuf {
        let root = self.root.as_os_str();
        let mut located = std::ffi::OsString::with_capacity(root.len() + path.as_str().len());
        located.push(root);
        if !path.is_root() {
            located.push(path.as_str());
        }
        located.into()
    }

    /// What is watched, where that can be done.
    pub(super) fn watching(&self) -> Option<&Arc<Watching>> {
        let begin =
            || self.watch_changes.then(|| Watching::begin(&self.root, self.device, WATCHES_MAX));
        self.watching.get_or_init(|| begin().flatten()).as_ref()
    }

    /// Does work that may wait for the disk. Once it has begun it runs to its end, whether or not
    /// anyone still waits for it.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        path: &StoragePath,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let broken = |source| StorageError::Io { operation, path: path.clone(), source };
        // The semaphore is never closed.
        let permit = Arc::clone(&self.threads)
            .acquire_owned()
            .await
            .map_err(|e| broken(io::Error::other(e)))?;
        let volume = Arc::clone(self);
        let work = move || {
            let result = work(&volume);
            drop(permit);
            result
        };
        // It fails when the runtime shuts down, or when the work panicked.
        tokio::task::spawn_blocking(work).await.map_err(|e| broken(io::Error::other(e)))?
    }

    /// The room of the filesystem that the root is on, for users other than root.
    pub(super) fn space(&self) -> Result<Space> {
        let root = StoragePath::root();
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|error| StorageError::from_io("look at", &root, error.into()))?;
        Ok(Space {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    /// Sorts the error of an operation that reads. Before it says that something is not there, it
    /// makes sure that the volume is.
    pub(super) fn read_error(
        &self,
        operation: &'static str,
        path: &StoragePath,
        source: io::Error,
    ) -> StorageError {
        let error = StorageError::from_io(operation, path, source);
        match self.check_root() {
            Err(source) if error.is_not_found() => {
                StorageError::Io { operation, path: path.clone(), source }
            }
            _ => error,
        }
    }

    /// The same for something of the wrong kind.
    pub(super) fn wrong_kind(&self, path: &StoragePath) -> StorageError {
        StorageError::NotFound { path: path.clone() }
    }

    /// Makes the directories on the way to a file, for an attempt to write it that failed without
    /// them. The caller is to try again at once, and to call this again should they be gone by
    /// then; `round` counts the attempts.
    pub(super) fn make_directories(&self, directory: &Path, round: u32) -> io::Result<()> {
        self.check_root()?;
        // Here and not later: between making them and using them there must be no time to lose.
        pause_before(round);
        match self.durable.make(&*self.disk, directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Whether the root is still what was opened. An unmounted volume leaves an empty directory
    /// behind, in which nothing is found and where nothing must be written.
    fn check_root(&self) -> io::Result<()> {
        let gone = |why: &str| {
            let root = self.root.display();
            io::Error::other(format!("the storage's root {root} {why}: mount it again, or restart"))
        };
        match fs::metadata(&self.root) {
            Ok(metadata) if metadata.dev() == self.device => Ok(()),
            Ok(_) => Err(gone("is not on the filesystem it was on at the start")),
            Err(error) => Err(gone(&format!("can't be reached ({error})"))),
        }
    }
}
