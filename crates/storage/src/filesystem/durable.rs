//! Making directories, and bringing their names to stable storage.
//!
//! A file survives a loss of power only if every directory on the way to it does. Syncing the
//! directories that this operation made is not enough: of two requests that write below a new
//! directory, the one that did not make it may be the first to finish. So a driver remembers
//! which directories it has seen durable since it started, and whoever writes below any other
//! one syncs that one's name first. Files are remembered too, so that finding one in place costs a
//! sync only once.

use std::collections::HashSet;
use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::disk::Disk;
use crate::limits::DURABLE_PATHS;

#[derive(Debug)]
pub(super) struct DurableDirectories {
    root: PathBuf,
    /// Hashes of paths, which are an eighth of the size; keyed at random, so that nobody can make
    /// two of them collide.
    known: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl DurableDirectories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: Mutex::default(), hasher: RandomState::new() }
    }

    /// Makes a directory and those above it, but never the root: when that is gone, the volume
    /// is, and what would be written in its place would be lost once it comes back.
    ///
    /// `NotFound` when another request has deleted one of them as empty meanwhile.
    pub(super) fn make(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        let Some(parent) = directory.parent().filter(|_| directory != self.root) else {
            return Err(io::Error::other("the storage's root is gone: is it mounted?"));
        };
        let mut made = self.make_one(disk, directory);
        if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.make(disk, parent)?;
            made = self.make_one(disk, directory);
        }
        made
    }

    fn make_one(&self, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
        // Before it can be seen by others, so that they never take it for durable.
        self.forget_directory(directory);
        match disk.create_directory(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    /// Notes that the name of a directory is not, or no longer, known to be durable.
    pub(super) fn forget_directory(&self, directory: &Path) {
        self.known().remove(&self.hasher.hash_one(directory));
    }

    /// Whether this content is known to lie under this name on stable storage.
    pub(super) fn knows_file(&self, path: &Path, file: &Metadata) -> bool {
        self.known().contains(&self.file_hash(path, file))
    }

    /// Notes that it does.
    pub(super) fn remember_file(&self, path: &Path, file: &Metadata) {
        self.remember(self.file_hash(path, file));
    }

    /// A file that replaces another one is another file, also when it gets the other's inode.
    fn file_hash(&self, path: &Path, file: &Metadata) -> u64 {
        let changed = (file.mtime(), file.mtime_nsec(), file.size());
        self.hasher.hash_one((path, file.dev(), file.ino(), changed))
    }

    fn remember(&self, hash: u64) {
        let mut known = self.known();
        if known.len() >= DURABLE_PATHS {
            known.clear();
        }
        known.insert(hash);
    }

    /// Brings the names in some directories to stable storage, and their own names and those of the
    /// directories above them where they may not be there yet. Each is synced once.
    pub(super) fn settle<'a>(
        &self,
        disk: &dyn Disk,
        directories: impl IntoIterator<Item = &'a Path>,
    ) -> io::Result<()> {
        let mut synced: Vec<&Path> = Vec::new();
        let mut sync = |directory: &'a Path| {
            if synced.contains(&directory) {
                return Ok(());
            }
            disk.sync_directory(directory)?;
            synced.push(directory);
            Ok::<_, io::Error>(())
        };
        for directory in directories {
            sync(directory)?;
            let mut below = directory;
            while let Some(above) = below.parent().filter(|_| below != self.root) {
                let hash = self.hasher.hash_one(below);
                let is_known = self.known().contains(&hash);
                if !is_known {
                    sync(above)?;
                    self.remember(hash);
                }
                below = above;
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
