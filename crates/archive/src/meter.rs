//! How far a job is, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The counters of a job. It is made before the job, and looked at from elsewhere; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    is_stopped: AtomicBool,
    repositories: AtomicU64,
    blobs: AtomicU64,
    read_bytes: AtomicU64,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Repositories that are done.
    pub repositories: u64,
    /// Blobs that are done.
    pub blobs: u64,
    /// Content that was read, in bytes.
    pub read_bytes: u64,
}

impl Meter {
    /// Has the job end soon, in order. What is begun is given up, and nothing of it is seen.
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            repositories: self.0.repositories.load(Relaxed),
            blobs: self.0.blobs.load(Relaxed),
            read_bytes: self.0.read_bytes.load(Relaxed),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Relaxed)
    }

    pub(crate) fn repository_done(&self) {
        self.0.repositories.fetch_add(1, Relaxed);
    }

    pub(crate) fn blob_done(&self) {
        self.0.blobs.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.0.read_bytes.fetch_add(bytes as u64, Relaxed);
    }
}
