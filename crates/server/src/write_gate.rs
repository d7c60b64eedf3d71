//! Whether what comes by other ways than requests may be written just now.

use std::sync::Arc;

use registry::Registry;

use crate::free_space::{FreeSpaceGuard, FreeSpaceMin};
use crate::read_only::ReadOnly;

/// Says of content that no request brings whether it may be written: not while the registry is
/// read-only, nor when too little of the volume would stay free.
#[derive(Debug, Clone)]
pub struct WriteGate {
    registry: Arc<Registry>,
    read_only: Arc<ReadOnly>,
    free_space: Arc<FreeSpaceGuard>,
}

impl WriteGate {
    /// A gate where no [`App`](crate::App) is, whose own is [`App::write_gate`](crate::App::write_gate).
    /// `is_read_only` is what the configuration says. [`WriteGate::look`] is to be called before it
    /// is asked, and again every few seconds.
    #[must_use]
    pub fn new(registry: Arc<Registry>, is_read_only: bool, min: FreeSpaceMin) -> Self {
        let free_space = Arc::new(FreeSpaceGuard::new(Arc::clone(registry.driver()), min));
        Self::of(registry, Arc::new(ReadOnly::new(is_read_only)), free_space)
    }

    pub(crate) fn of(
        registry: Arc<Registry>,
        read_only: Arc<ReadOnly>,
        free_space: Arc<FreeSpaceGuard>,
    ) -> Self {
        Self { registry, read_only, free_space }
    }

    /// Looks at the storage anew.
    pub async fn look(&self) {
        self.read_only.look(&self.registry).await;
        self.free_space.look().await;
    }

    /// Whether so many more bytes may be written.
    ///
    /// # Errors
    /// Why not, and how to end that.
    pub async fn admit(&self, bytes: u64) -> Result<(), String> {
        if let Some(reason) = self.read_only.reason() {
            return Err(reason);
        }
        self.free_space.refuses(bytes).await.map_or(Ok(()), Err)
    }
}
