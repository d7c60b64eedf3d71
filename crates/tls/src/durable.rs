//! Files that are there as a whole or not at all, also after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Readable by the owner only: what holds a private key.
pub(crate) const PRIVATE: u32 = 0o600;

/// Readable by everybody: certificates.
pub(crate) const PUBLIC: u32 = 0o644;

/// Puts a file in the place of one that may be there. The permissions are those given, whatever the
/// file before had.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = Temporary::write(path, content, mode)?;
    std::fs::rename(&temporary.0, path)?;
    sync_parent(path)
}

/// Makes a file that must not exist yet.
pub(crate) fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = Temporary::write(path, content, mode)?;
    match renameat_with(CWD, &temporary.0, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        // File systems that can't do both at once, such as some network ones.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if std::fs::symlink_metadata(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(&temporary.0, path)?;
        }
        Err(error) => return Err(error.into()),
    }
    sync_parent(path)
}

/// A file that goes away unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary =
            Self(path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id())));
        // What a process with the same id left behind when it was killed.
        let _ = std::fs::remove_file(&temporary.0);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary.0)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn replaced_and_created_files_are_whole_and_have_their_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "old and readable by all").unwrap();
        replace(&path, b"new", PRIVATE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let error = create(&path, b"another", PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        create(&directory.path().join("second"), b"2", PUBLIC).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary files");
    }
}
