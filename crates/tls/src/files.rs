//! Which version of the files is on disk, and whether it is another one than before.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::limits;

/// What `stat` says of some files, through symbolic links: Kubernetes replaces a volume's files by
/// pointing a link at another directory, which changes the inode behind an unchanged path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    files: Vec<Result<File, io::ErrorKind>>,
    /// Whether all of it was changed long enough ago that another change would show.
    pub(crate) settled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    /// Also changes with permissions, so that a `chmod` after "permission denied" is seen.
    changed: (i64, i64),
}

impl Version {
    /// Looks at the files. Blocks on the file system.
    pub(crate) fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let now = SystemTime::now();
        let mut settled = true;
        let files = paths
            .into_iter()
            .map(|path| {
                let metadata = std::fs::metadata(path).map_err(|error| error.kind())?;
                settled &= is_settled(&metadata, now);
                Ok(File {
                    device: metadata.dev(),
                    inode: metadata.ino(),
                    size_bytes: metadata.size(),
                    modified: (metadata.mtime(), metadata.mtime_nsec()),
                    changed: (metadata.ctime(), metadata.ctime_nsec()),
                })
            })
            .collect();
        Self { files, settled }
    }

    /// Whether the files are the same as in another look.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let changed = u64::try_from(metadata.ctime()).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
    now.duration_since(changed).is_ok_and(|age| age > limits::FILE_SETTLED_AFTER)
}
