//! How far uploads may receive ahead of the storage: far while there are few of them, less when
//! there are many, and all together never more than the memory that is set aside for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{UPLOAD_AHEAD_BYTES_MAX, UPLOAD_AHEAD_BYTES_MIN, UPLOADS_AHEAD_BYTES};

/// Among how many uploads the memory is divided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// The share of one more upload.
    pub(super) fn join(&self) -> Share {
        self.0.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// An upload's part of the memory, until it is dropped.
#[derive(Debug)]
pub(super) struct Share(Budget);

impl Share {
    /// What it is at this moment, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let uploads = self.0.0.load(Ordering::Relaxed).max(1);
        (UPLOADS_AHEAD_BYTES / uploads).clamp(UPLOAD_AHEAD_BYTES_MIN, UPLOAD_AHEAD_BYTES_MAX)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_uploads_together_keep_to_the_budget() {
        let budget = Budget::default();
        let mut shares = Vec::new();
        for uploads in 1..1000 {
            shares.push(budget.join());
            let all: usize = shares.iter().map(Share::bytes).sum();
            assert!(all <= UPLOADS_AHEAD_BYTES.max(UPLOAD_AHEAD_BYTES_MIN * uploads));
        }
        shares.truncate(1);
        assert_eq!(shares[0].bytes(), UPLOAD_AHEAD_BYTES_MAX);
    }
}
