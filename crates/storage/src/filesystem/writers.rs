//! Which files this process writes to, so that no two requests write to one.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

/// The files that this process writes to, by device and inode: names change, these don't.
#[derive(Debug, Clone, Default)]
pub(super) struct Writers(Arc<std::sync::Mutex<HashSet<(u64, u64)>>>);

impl Writers {
    pub(super) fn claim(&self, file: (u64, u64)) -> Option<Claim> {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writers.insert(file).then(|| Claim { writers: self.clone(), file })
    }
}

/// The right to write to a file, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    writers: Writers,
    file: (u64, u64),
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.writers.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.file);
    }
}
