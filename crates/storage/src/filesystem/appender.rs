//! Files that grow: uploads.
//!
//! One writer at a time is a matter of two locks. `flock` keeps out other processes on the same
//! volume, other hosts included where the network filesystem carries it. A table in memory keeps
//! out other requests of this process where a filesystem knows no `flock`.

use std::fs::{self, File, Metadata};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{Advice, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use tokio::sync::Mutex;

use super::close::leave_last_close_to_the_pool;
use super::inline;
use super::retries::parents_vanish;
use super::volume::Volume;
use super::writers::Claim;
use crate::limits::{APPEND_RETRIES, APPEND_TURN_BYTES, VECTORED_PIECES, WRITEBACK_BYTES};
use crate::{Appender, Feed, Result, StorageError, StoragePath};

const OPERATION: &str = "append to";

/// The open file with its locks. It lives as long as any operation on it runs, even if the
/// appender is dropped, so that no other writer comes in between.
#[derive(Debug)]
struct Locked {
    // Released after the file is unlocked, so that nobody meets the one without the other, and
    // before it is closed, after which a new file may get the number of a deleted one.
    _claim: Claim,
    file: File,
    /// Up to where writing back has been asked for, in bytes.
    written_back: u64,
    /// Whether the names on the way to the file may not be on stable storage.
    is_new: bool,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Explicitly, since the lock is shared with the handle that the pool closes later. Where
        // there are no locks, there is none to give up.
        flock(&self.file, FlockOperation::Unlock).ok();
        let size_bytes = self.file.metadata().map_or(0, |metadata| metadata.len());
        leave_last_close_to_the_pool(&self.file, size_bytes);
    }
}

#[derive(Debug)]
pub(super) struct FileAppender {
    path: StoragePath,
    volume: Arc<Volume>,
    locked: Arc<Mutex<Locked>>,
    /// Changed only by who holds `locked`.
    size_bytes: Arc<AtomicU64>,
}

pub(super) async fn open(volume: &Arc<Volume>, path: &StoragePath) -> Result<FileAppender> {
    let (locked, size_bytes) = match lock_inline(volume, path)? {
        Some(locked) => locked,
        None => {
            let at = path.clone();
            volume.blocking(OPERATION, path, move |volume| lock(volume, &at)).await?
        }
    };
    Ok(FileAppender {
        path: path.clone(),
        volume: Arc::clone(volume),
        locked: Arc::new(Mutex::new(locked)),
        size_bytes: Arc::new(size_bytes.into()),
    })
}

/// How files are opened for appending.
const OPEN: OFlags =
    OFlags::WRONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens a file that is there and takes both locks, on the async worker; `None` where that might
/// wait for the disk, and where anything is out of the ordinary.
fn lock_inline(volume: &Volume, path: &StoragePath) -> Result<Option<(Locked, u64)>> {
    let located = volume.locate(path);
    let Ok(Some((file, metadata))) = volume.inline.open(&located, OPEN) else { return Ok(None) };
    let taken = Locked::take(volume, path, file, &metadata, || {
        match volume.inline.open(&located, inline::OPEN_PATH) {
            Ok(Some((_, now))) => Ok(now),
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error),
        }
    });
    match taken {
        Err(error @ StorageError::Busy { .. }) => Err(error),
        Err(_) => Ok(None),
        Ok(taken) => Ok(taken),
    }
}

/// Opens the file, making it when it is absent, and takes both locks. With the size.
fn lock(volume: &Volume, path: &StoragePath) -> Result<(Locked, u64)> {
    let failed = |source| StorageError::from_write(OPERATION, path, source);
    let located = volume.locate(path);
    let directory = located.parent().filter(|_| !path.is_root());
    let directory = directory.ok_or_else(|| StorageError::root_is_fixed(OPERATION))?;
    let _kept = volume.parents.keep(directory);
    for round in 0..APPEND_RETRIES {
        let opened = rustix::fs::open(&located, OPEN | OFlags::CREATE, Mode::from_raw_mode(0o666));
        let file = match opened {
            Ok(descriptor) => File::from(descriptor),
            Err(Errno::NOENT) => {
                volume.make_directories(directory, round).map_err(failed)?;
                continue;
            }
            Err(error) => return Err(failed(error.into())),
        };
        let metadata = file.metadata().map_err(failed)?;
        let taken = Locked::take(volume, path, file, &metadata, || fs::metadata(&located))?;
        if let Some(taken) = taken {
            return Ok(taken);
        }
    }
    Err(failed(parents_vanish()))
}

impl Locked {
    /// Takes both locks of an open file, with its size. `None` when it is not the one at the path
    /// any more, at which `look` looks.
    fn take(
        volume: &Volume,
        path: &StoragePath,
        file: File,
        metadata: &Metadata,
        look: impl FnOnce() -> io::Result<Metadata>,
    ) -> Result<Option<(Self, u64)>> {
        let failed = |source| StorageError::from_write(OPERATION, path, source);
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        let identity = (metadata.dev(), metadata.ino());
        let busy = || StorageError::Busy { path: path.clone() };
        let claim = volume.writers.claim(identity).ok_or_else(busy)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(busy()),
            // The filesystem has no locks; then there is only the claim.
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let mut locked = Self { _claim: claim, file, written_back: 0, is_new: true };
        // Deleted, replaced or published between opening and locking?
        match look() {
            Ok(now) if (now.dev(), now.ino()) == identity => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let size_bytes = locked.file.metadata().map_err(failed)?.len();
        locked.written_back = size_bytes;
        Ok(Some((locked, size_bytes)))
    }
}

impl FileAppender {
    /// Does work on the file once all earlier work on it has ended, even work that nobody waited
    /// for.
    async fn on_file(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Volume, &mut Locked, &AtomicU64) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let mut locked = Arc::clone(&self.locked).lock_owned().await;
        let size_bytes = Arc::clone(&self.size_bytes);
        let path = self.path.clone();
        self.volume
            .blocking(operation, &self.path, move |volume| {
                work(volume, &mut locked, &size_bytes)
                    .map_err(|source| StorageError::from_write(operation, &path, source))
            })
            .await
    }
}

#[async_trait]
impl Appender for FileAppender {
    fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        self.on_file(OPERATION, move |_, locked, size_bytes| {
            write_all(&locked.file, &pieces, size_bytes)?;
            start_writeback(locked, size_bytes.load(Ordering::Acquire));
            Ok(())
        })
        .await
    }

    /// On one thread as long as there is something, which saves a hand-over for each batch.
    async fn append_from(&mut self, feed: Arc<dyn Feed>) -> Result<()> {
        let mut locked = Arc::clone(&self.locked).lock_owned().await;
        let size_bytes = Arc::clone(&self.size_bytes);
        let append = move || {
            let turn_ends = size_bytes.load(Ordering::Acquire).saturating_add(APPEND_TURN_BYTES);
            while size_bytes.load(Ordering::Acquire) < turn_ends
                && let Some(pieces) = feed.next()
            {
                write_all(&locked.file, &pieces, &size_bytes)?;
                start_writeback(&mut locked, size_bytes.load(Ordering::Acquire));
                // This thread may not sleep for long, and the scheduler would have a request that
                // takes microseconds wait for the end of its time.
                std::thread::yield_now();
            }
            Ok(())
        };
        let appended = self.volume.feeders.in_turn(append).await;
        appended
            .unwrap_or_else(|| Err(io::Error::other("the work was given up")))
            .map_err(|source| StorageError::from_write(OPERATION, &self.path, source))
    }

    async fn truncate(&mut self, size_bytes: u64) -> Result<()> {
        let path = self.path.clone();
        self.on_file("truncate", move |_, locked, size_now| {
            if size_bytes > size_now.load(Ordering::Acquire) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{path} is shorter than {size_bytes} bytes already"),
                ));
            }
            locked.file.set_len(size_bytes)?;
            locked.written_back = locked.written_back.min(size_bytes);
            size_now.store(size_bytes, Ordering::Release);
            Ok(())
        })
        .await
    }

    async fn sync(&mut self) -> Result<()> {
        let located = self.volume.locate(&self.path);
        self.on_file("sync", move |volume, locked, _| {
            volume.disk.sync_file(&locked.file, &located)?;
            if let Some(directory) = located.parent().filter(|_| locked.is_new) {
                volume.durable.settle(&*volume.disk, [directory])?;
                locked.is_new = false;
            }
            Ok(())
        })
        .await
    }
}

/// Writes at the end, keeping count of what is in the file whatever happens. Positions are
/// explicit: should two writers ever meet where locks don't work, they overwrite each other's
/// bytes with what must be the same, instead of appending them twice.
fn write_all(file: &File, pieces: &[Bytes], size_bytes: &AtomicU64) -> io::Result<()> {
    let mut slices: Vec<_> =
        pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let offset = size_bytes.load(Ordering::Acquire);
        let batch = &rest[..rest.len().min(VECTORED_PIECES)];
        match rustix::io::pwritev(file, batch, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                size_bytes.store(offset + count as u64, Ordering::Release);
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Asks the kernel to begin writing to the disk, so that the sync at the end is short. The
/// advice to drop pages from the cache starts writing them and, since they are dirty, drops none
/// of them; `sync_file_range` would say it more plainly but has no safe wrapper.
fn start_writeback(locked: &mut Locked, size_bytes: u64) {
    // Whole megabytes, so that no page is still being filled.
    let end = size_bytes & !0xF_FFFF;
    let length = end.saturating_sub(locked.written_back);
    if length >= WRITEBACK_BYTES {
        let length = NonZeroU64::new(length);
        // Only a wish, so whether it is granted doesn't matter.
        rustix::fs::fadvise(&locked.file, locked.written_back, length, Advice::DontNeed).ok();
        locked.written_back = end;
    }
}
