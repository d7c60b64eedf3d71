//! Link files: small files that hold a digest and nothing else.

use bytes::Bytes;
use oci::Digest;
use storage::{Change, Driver, StorageError, StoragePath};

use crate::limits::LINK_BYTES_MAX;

/// Reads a link. `None` when it is absent; also when it is empty or torn, as a crash of an older
/// registry may leave it: that is reported, and the next push writes it anew.
pub(crate) async fn read(
    driver: &dyn Driver,
    path: &StoragePath,
) -> Result<Option<Digest>, StorageError> {
    let content = match driver.get(path, LINK_BYTES_MAX).await {
        Ok(content) => content,
        Err(StorageError::NotFound { .. }) => return Ok(None),
        Err(StorageError::TooLarge { .. }) => Bytes::new(),
        Err(error) => return Err(error),
    };
    let digest = std::str::from_utf8(&content).ok().and_then(|t| Digest::parse(t.trim()).ok());
    if digest.is_none() {
        tracing::warn!(
            path = %path,
            size_bytes = content.len(),
            "link file is empty or damaged; treating it as absent (pushing again repairs it)"
        );
    }
    Ok(digest)
}

/// Follows a repository's link to the canonical digest of what it stands for, by the paths of its
/// links. A link under another digest only counts together with the canonical one.
pub(crate) async fn follow(
    driver: &dyn Driver,
    digest: &Digest,
    path_of: impl Fn(&Digest) -> StoragePath,
) -> Result<Option<Digest>, StorageError> {
    let target = read(driver, &path_of(digest)).await?;
    match target {
        Some(target) if target != *digest => {
            Ok(read(driver, &path_of(&target)).await?.map(|_| target))
        }
        other => Ok(other),
    }
}

/// The links of what is stored under its canonical digest, that one first.
pub(crate) fn changes(
    canonical: &Digest,
    requested: &Digest,
    path_of: impl Fn(&Digest) -> StoragePath,
) -> Vec<Change> {
    let mut changes = vec![change(path_of(canonical), canonical)];
    if requested != canonical {
        changes.push(change(path_of(requested), canonical));
    }
    changes
}

/// The writing of a link, without a newline as Distribution does.
pub(crate) fn change(path: StoragePath, digest: &Digest) -> Change {
    Change::put(path, Bytes::from(digest.to_string()))
}
