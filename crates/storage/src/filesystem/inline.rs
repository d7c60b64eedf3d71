//! Opening and reading on the async worker, only ever from the kernel's memory.
//!
//! `openat2` with `RESOLVE_CACHED` (Linux 5.12) walks a path without touching the disk, and
//! `preadv2` with `RWF_NOWAIT` (Linux 4.14) reads what is in the page cache. Both say `EAGAIN`
//! where they would have to wait. What isn't supported at all is remembered.

use std::fs::{File, Metadata};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// How files are opened for reading. Without `NONBLOCK`, a named pipe in the place of a file
/// would hold the thread for ever.
pub(super) const OPEN_FILE: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// How something is opened to look at what it is.
pub(super) const OPEN_PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Filesystems on which opening and looking at what is cached sends nothing over a network and
/// asks no other process, by the magic number in `statfs(2)`. On others `RESOLVE_CACHED` may
/// still wait, since it speaks of the path and not of the file.
const LOCAL_FILESYSTEMS: [u32; 10] = [
    0x0000_EF53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
    0x794C_7630, // overlayfs
    0x2FC1_2FC1, // ZFS
    0xF2F5_2010, // F2FS
    0xCA45_1A4E, // bcachefs
    0x3153_464A, // JFS
];

/// What can be done inline. It only ever becomes less.
#[derive(Debug)]
pub(super) struct Inline {
    open: AtomicBool,
    read: AtomicBool,
    device: u64,
}

impl Inline {
    /// `device` and `is_local` are those of the root.
    pub(super) fn new(wanted: bool, is_local: bool, device: u64) -> Self {
        Self { open: (wanted && is_local).into(), read: wanted.into(), device }
    }

    /// Opens something and looks at what it is; `None` when that might block.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> io::Result<Option<(File, Metadata)>> {
        if !self.open.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let resolve = ResolveFlags::CACHED | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
            Ok(descriptor) => {
                let file = File::from(descriptor);
                let metadata = file.metadata()?;
                Ok(Some((file, metadata)))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            // No such call; refused by a seccomp filter; no such flag.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => {
                self.open.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads into the buffer; `None` when that might block. Fewer bytes than fit mean nothing,
    /// except that 0 is the end of the file.
    pub(super) fn read_at(
        &self,
        file: &InlineFile,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<Option<usize>> {
        if !self.read.load(Ordering::Relaxed) || !file.readable.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let slices = &mut [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&file.file, slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => {
                file.readable.store(false, Ordering::Relaxed);
                // Another filesystem, behind a symbolic link, says nothing about the root's.
                if file.device == self.device {
                    self.read.store(false, Ordering::Relaxed);
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(test)]
    pub(super) fn is_on(&self) -> bool {
        self.open.load(Ordering::Relaxed) && self.read.load(Ordering::Relaxed)
    }
}

/// A file that may be readable inline.
#[derive(Debug)]
pub(super) struct InlineFile {
    pub(super) file: File,
    device: u64,
    readable: AtomicBool,
}

impl InlineFile {
    pub(super) fn new(file: File, metadata: &Metadata) -> Self {
        Self { file, device: metadata.dev(), readable: true.into() }
    }
}

/// Opens something and looks at what it is, waiting as long as it takes.
pub(super) fn open_blocking(path: &Path, flags: OFlags) -> io::Result<(File, Metadata)> {
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Whether a directory lies on a filesystem of which opening a cached file never waits.
pub(super) fn is_local(directory: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(directory)?.f_type;
    Ok(LOCAL_FILESYSTEMS.iter().any(|&local| i128::from(local) == i128::from(kind)))
}
