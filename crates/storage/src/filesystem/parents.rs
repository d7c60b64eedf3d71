//! Keeping the directories on the way to a file that is about to be written.
//!
//! Between making a directory and putting the first file into it, the directory is empty, and
//! another request may delete it as such. Across processes there is nothing but to try again;
//! within this one, the deletion knows that somebody is about to use it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directories that are being written to: at most one for each blocking thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Parents(Arc<Mutex<Vec<PathBuf>>>);

impl Parents {
    /// Says that a directory is going to be written to, until what it returns is dropped.
    pub(super) fn keep(&self, directory: &Path) -> Kept {
        self.used().push(directory.to_owned());
        Kept { parents: self.clone(), directory: directory.to_owned() }
    }

    /// Whether somebody writes to a directory, or to one below it.
    pub(super) fn is_used(&self, directory: &Path) -> bool {
        self.used().iter().any(|used| used.starts_with(directory))
    }

    fn used(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Kept {
    parents: Parents,
    directory: PathBuf,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut used = self.parents.used();
        if let Some(at) = used.iter().position(|used| *used == self.directory) {
            used.swap_remove(at);
        }
    }
}
