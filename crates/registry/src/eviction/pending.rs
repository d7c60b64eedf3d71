//! The note of what is still to be deleted: content whose links are gone.

use bytes::Bytes;
use oci::Digest;
use storage::StorageError;

use crate::limits::{EVICTION_PENDING_BYTES_MAX, EVICTION_PENDING_MAX};
use crate::{Registry, Result, layout};

/// What is noted. A note that can't be read is none: what is in it is found by a collection.
pub(super) async fn read(registry: &Registry) -> Result<Vec<Digest>> {
    let path = layout::eviction_pending();
    let content = match registry.driver.get(&path, EVICTION_PENDING_BYTES_MAX).await {
        Ok(content) => content,
        Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
        Err(StorageError::TooLarge { .. }) => {
            tracing::warn!(%path, "note of what is to be deleted is too large; collect garbage");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let lines = content.split(|byte| *byte == b'\n').filter_map(|l| std::str::from_utf8(l).ok());
    Ok(lines.filter_map(|line| Digest::parse(line).ok()).take(EVICTION_PENDING_MAX).collect())
}

/// Notes that.
pub(crate) async fn write(registry: &Registry, pending: &[Digest]) -> Result<()> {
    let path = layout::eviction_pending();
    if pending.is_empty() {
        return registry.delete_if_there(&path).await;
    }
    let lines: String = pending.iter().map(|digest| format!("{digest}\n")).collect();
    Ok(registry.driver.put(&path, Bytes::from(lines)).await?)
}
