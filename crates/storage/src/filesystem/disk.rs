//! The calls on which durability hangs, behind a trait so that tests can watch their order and
//! make them fail.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

pub(super) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes one directory, its parent being there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Brings a file's content and size to stable storage. `path` is what it is called.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Brings the names in a directory to stable storage.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        // 0777 & ~umask, as Distribution makes them, so that either can take over.
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let directory_only = OFlags::DIRECTORY.bits().cast_signed();
        let directory = OpenOptions::new().read(true).custom_flags(directory_only).open(path);
        match directory.and_then(|directory| directory.sync_all()) {
            // Some network and FUSE filesystems have no such operation; with them there is
            // nothing that could be done.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            // It was deleted after our rename, with what we put into it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}
