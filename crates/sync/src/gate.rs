//! Whether this registry takes what a job copies.

use async_trait::async_trait;

/// Who says whether this registry can be written to just now: not while it is read-only, nor while
/// its volume is as good as full.
#[async_trait]
pub trait Gate: std::fmt::Debug + Send + Sync {
    /// Whether so many more bytes can be written here.
    ///
    /// # Errors
    /// Why not, for a person.
    async fn admit(&self, bytes: u64) -> Result<(), String>;
}
