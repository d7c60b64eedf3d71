//! Closing files that have no name any more.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use crate::limits::CLOSE_ELSEWHERE_BYTES;

/// To be called before a file is dropped on an async worker: the last close of a deleted file
/// frees its blocks, which for a large layer takes the disk a while. A second handle, closed on
/// the blocking pool, sees to it that the drop is not the last close.
pub(super) fn leave_last_close_to_the_pool(file: &File, size_bytes: u64) {
    if size_bytes < CLOSE_ELSEWHERE_BYTES {
        return;
    }
    let is_deleted = file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
    if is_deleted
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
        && let Ok(second) = file.try_clone()
    {
        runtime.spawn_blocking(move || drop(second));
    }
}
