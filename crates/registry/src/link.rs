//! Link files: small files that hold a digest and nothing else.

use bytes::Bytes;
use oci::Digest;
use storage::{Change, Driver, StorageError, StoragePath};

use crate::limits::LINK_BYTES_MAX;

/// What lies where a link should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A link to this digest.
    Link(Digest),
    /// Something that is no link: empty or torn, as a crash of an older registry may leave it.
    Damaged {
        /// How much of it there is, in bytes; 0 also for what is too large to be looked at.
        size_bytes: usize,
    },
    /// Nothing.
    Nothing,
}

/// Looks at a link.
pub(crate) async fn look(driver: &dyn Driver, path: &StoragePath) -> Result<Found, StorageError> {
    let content = match driver.get(path, LINK_BYTES_MAX).await {
        Ok(content) => content,
        Err(StorageError::NotFound { .. }) => return Ok(Found::Nothing),
        Err(StorageError::TooLarge { .. }) => Bytes::new(),
        Err(error) => return Err(error),
    };
    let digest = std::str::from_utf8(&content).ok().and_then(|t| Digest::parse(t.trim()).ok());
    Ok(digest.map_or(Found::Damaged { size_bytes: content.len() }, Found::Link))
}

/// Reads a link. `None` when it is absent; also when it is damaged: that is reported, and the next
/// push writes it anew.
pub(crate) async fn read(
    driver: &dyn Driver,
    path: &StoragePath,
) -> Result<Option<Digest>, StorageError> {
    match look(driver, path).await? {
        Found::Link(digest) => Ok(Some(digest)),
        Found::Nothing => Ok(None),
        Found::Damaged { size_bytes } => {
            tracing::warn!(
                path = %path,
                size_bytes,
                "link file is empty or damaged; treating it as absent (pushing again repairs it)"
            );
            Ok(None)
        }
    }
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

/// The writing of a link.
pub(crate) fn change(path: StoragePath, digest: &Digest) -> Change {
    Change::put(path, content(digest))
}

/// What is in a link: no newline, as with Distribution.
pub(crate) fn content(digest: &Digest) -> Bytes {
    Bytes::from(digest.to_string())
}
