//! A file with keys that is read again when it changes.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::limits::TOKEN_KEYS_BYTES_MAX;

/// A file, and how it was when it was last read with success.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
    read: Option<Stamp>,
    failing: bool,
    #[cfg(test)]
    pub(crate) hold: std::sync::Arc<Hold>,
}

/// A file system that hangs for as long as a test likes.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Hold {
    pub(crate) hangs: std::sync::atomic::AtomicBool,
    pub(crate) reads: std::sync::atomic::AtomicUsize,
}

#[cfg(test)]
impl Hold {
    fn wait(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        self.reads.fetch_add(1, Relaxed);
        while self.hangs.load(Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// What tells one state of a file from another; a file that takes its place has another inode,
/// whatever its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl KeyFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: None,
            failing: false,
            #[cfg(test)]
            hold: std::sync::Arc::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file if it isn't as it was when it was last [taken](Self::taken). Blocks.
    ///
    /// # Errors
    /// It can't be read, or is far too large.
    pub(crate) fn read_if_changed(&self) -> io::Result<Option<(Vec<u8>, Stamp)>> {
        #[cfg(test)]
        self.hold.wait();
        if self.read.is_some_and(|read| {
            self.path.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == read)
        }) {
            return Ok(None);
        }
        // To open a pipe would wait for its writer.
        if !self.path.metadata()?.is_file() {
            return Err(io::Error::other("not a file"));
        }
        let file = File::open(&self.path)?;
        // Before the content: what is written after this is seen as a change the next time.
        let metadata = file.metadata()?;
        let mut content = Vec::new();
        file.take(TOKEN_KEYS_BYTES_MAX as u64 + 1).read_to_end(&mut content)?;
        if content.len() > TOKEN_KEYS_BYTES_MAX {
            return Err(io::Error::other(format!("larger than {TOKEN_KEYS_BYTES_MAX} bytes")));
        }
        Ok(Some((content, Stamp::of(&metadata))))
    }

    /// What was read is in use.
    pub(crate) const fn taken(&mut self, stamp: Stamp) {
        self.read = Some(stamp);
    }

    /// Notes whether the file can be used, and says whether that is news.
    pub(crate) fn is_news(&mut self, failing: bool) -> bool {
        std::mem::replace(&mut self.failing, failing) != failing
    }
}
