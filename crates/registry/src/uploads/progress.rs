//! How much of an upload others can read already.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells those who follow an upload how many of its bytes are in the storage's file. They may be
/// read there ([`storage::Driver::open_staged`]) where the storage is not a remote one, and are not
/// yet known to be right.
#[derive(Debug, Clone)]
pub struct Progress(Arc<watch::Sender<u64>>);

impl Progress {
    /// The progress of an upload that begins now, and who follows it.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<u64>) {
        let (sender, receiver) = watch::channel(0);
        (Self(Arc::new(sender)), receiver)
    }

    /// Tells of bytes that have been written.
    pub fn advance(&self, written_bytes: usize) {
        if written_bytes > 0 {
            self.0.send_modify(|bytes| *bytes += written_bytes as u64);
        }
    }
}
