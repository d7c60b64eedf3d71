//! How much of an upload others can read already.

use std::sync::Arc;

use tokio::sync::watch;

/// What of an upload is in the storage's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// So many bytes. They may be read there ([`storage::Driver::open_staged`]) where the storage is
    /// not a remote one.
    pub bytes: u64,
    /// Whether it is all of it, and has the digest that it should have.
    pub is_right: bool,
}

/// Tells those who follow an upload what of it is in the storage's file.
#[derive(Debug, Clone)]
pub struct Progress {
    sender: Arc<watch::Sender<Written>>,
    tells_bytes: bool,
}

impl Progress {
    /// The progress of an upload that begins now, and who follows it.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Written>) {
        let (sender, receiver) = watch::channel(Written::default());
        (Self { sender: Arc::new(sender), tells_bytes: true }, receiver)
    }

    /// The same, but that of its bytes somebody else tells.
    #[must_use]
    pub fn without_bytes(&self) -> Self {
        Self { sender: Arc::clone(&self.sender), tells_bytes: false }
    }

    /// Tells of bytes that have been written.
    pub fn advance(&self, written_bytes: usize) {
        if self.tells_bytes && written_bytes > 0 {
            self.sender.send_modify(|written| written.bytes += written_bytes as u64);
        }
    }

    /// Tells that everything was written, and that it is right.
    pub fn confirm(&self) {
        self.sender.send_modify(|written| written.is_right = true);
    }
}
