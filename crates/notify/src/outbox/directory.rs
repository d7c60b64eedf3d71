//! The directory of an outbox, and what is found there at the start.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cursor::{CursorFile, Place};
use super::segment::{Content, Opened, Segment, SegmentFile};
use super::{Outbox, sync_directory};
use crate::error::NotifyError;
use crate::options::{EndpointOptions, OutboxBounds};

/// What the names of segments end with; in front is the sequence number of the first record.
const SUFFIX: &str = ".log";

/// The file that is locked as long as the outbox is in use.
const LOCK: &str = "lock";

/// A directory that no other process uses as an outbox.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// One for each endpoint.
    pub(super) cursors: Vec<CursorFile>,
    /// Where each endpoint was when the outbox was opened.
    pub(super) places: Vec<u64>,
    /// The lock is let go with the file.
    _lock: File,
    /// Tests hang the disk by writing to this.
    #[cfg(test)]
    pub(super) disk: std::sync::RwLock<()>,
}

impl Directory {
    /// Makes the file for records from a sequence number on.
    pub(super) fn create_segment(&self, first: u64) -> io::Result<SegmentFile> {
        #[cfg(test)]
        let _disk = self.disk.read();
        let file = SegmentFile::create(self.path.join(format!("{first:020}{SUFFIX}")))?;
        sync_directory(&self.path)?;
        Ok(file)
    }

    /// Deletes the file of a segment.
    pub(super) fn delete_segment(&self, path: &Path) {
        #[cfg(test)]
        let _disk = self.disk.read();
        if let Err(error) = fs::remove_file(path) {
            // It is read again by the next process, which finds nothing to do in it.
            let path = path.display();
            tracing::warn!(%path, %error, "a part of the outbox can't be deleted");
        }
    }
}

impl Outbox {
    /// Opens or makes the outbox in a directory. What was cut off in the middle of a write, and
    /// thus never acknowledged, is removed. Blocks.
    ///
    /// # Errors
    /// [`NotifyError`] when another process uses the directory, or when it can't be used.
    pub(crate) fn open(
        path: &Path,
        endpoints: Arc<[EndpointOptions]>,
        bounds: OutboxBounds,
    ) -> Result<Self, NotifyError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| NotifyError::Io { path, source }
        };
        // What users pull is nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))?;
        let lock = lock(path)?;
        let names = names(path).map_err(at(path))?;
        let cursors = cursor_files(path, &endpoints);
        remove_other_cursors(path, &names, &cursors);

        let mut firsts: Vec<u64> = names.iter().filter_map(|name| first_of(name)).collect();
        firsts.sort_unstable();
        let mut places = Vec::new();
        for cursor in &cursors {
            places.push(cursor.load().map_err(at(cursor.path()))?);
        }
        let oldest = firsts.first().copied().unwrap_or(1);
        let from: Vec<u64> = places.iter().map(|place| wanted_from(place, oldest)).collect();
        let mut segments = VecDeque::new();
        for first in firsts {
            let file = path.join(format!("{first:020}{SUFFIX}"));
            segments.extend(load(&file, first, &endpoints, &from)?);
        }
        // A cursor may be further than the log when files were lost: a number that it has passed
        // must not be used again, or the event would be taken for delivered.
        let ends = segments.iter().map(|s| s.end);
        let next = ends.chain(from.iter().copied().filter(|n| *n != u64::MAX)).max().unwrap_or(1);
        let from: Vec<u64> = from.into_iter().map(|n| n.min(next)).collect();
        for ((cursor, place), next) in cursors.iter().zip(&places).zip(&from) {
            if !matches!(place, Place::At(_)) {
                cursor.save(*next, true).map_err(at(cursor.path()))?;
            }
        }
        sync_directory(&path.to_owned()).map_err(at(path))?;
        let directory = Directory {
            path: path.to_owned(),
            cursors,
            places: from,
            _lock: lock,
            #[cfg(test)]
            disk: std::sync::RwLock::default(),
        };
        let outbox = Self::new(Some(directory), endpoints, bounds, segments, next);
        outbox.tidy();
        Ok(outbox)
    }

    /// Deletes the files that an earlier process was done with.
    fn tidy(&self) {
        let mut finished = self.finished();
        let is_wanted = |segment: &Segment| segment.wanted.iter().any(|n| *n > 0);
        let segments = std::mem::take(&mut self.lock().segments);
        let (wanted, unwanted): (VecDeque<_>, VecDeque<_>) =
            segments.into_iter().partition(is_wanted);
        self.lock().segments = wanted;
        unwanted.into_iter().for_each(|segment| finished.extend(Some(segment)));
        finished.delete();
    }
}

/// Where an endpoint goes on. One that is new gets nothing of what was before it. One whose place
/// is not known gets everything: twice is better than never.
fn wanted_from(place: &Place, oldest: u64) -> u64 {
    match place {
        Place::At(next) => *next,
        Place::New => u64::MAX,
        Place::Damaged => oldest,
    }
}

fn lock(directory: &Path) -> Result<File, NotifyError> {
    let path = directory.join(LOCK);
    let io = |source| NotifyError::Io { path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(NotifyError::Locked { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// The sequence number in the name of a segment.
fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

fn cursor_files(directory: &Path, endpoints: &[EndpointOptions]) -> Vec<CursorFile> {
    let nth = |i: usize| endpoints[..i].iter().filter(|e| e.name == endpoints[i].name).count();
    let of = |i: usize| CursorFile::of(directory, &endpoints[i].name, nth(i));
    (0..endpoints.len()).map(of).collect()
}

/// An endpoint that is not configured any more holds nothing back. Should it return, it begins anew.
fn remove_other_cursors(directory: &Path, names: &[String], cursors: &[CursorFile]) {
    for name in names.iter().filter(|name| CursorFile::is_named(name)) {
        let path = directory.join(name);
        if cursors.iter().any(|cursor| cursor.path() == path) {
            continue;
        }
        if let Err(error) = fs::remove_file(&path) {
            let path = path.display();
            tracing::warn!(%path, %error, "the place of a former endpoint can't be deleted");
        }
    }
}

/// Reads a segment of an earlier process. A file that holds nothing usable is put aside.
fn load(
    path: &Path,
    first: u64,
    endpoints: &[EndpointOptions],
    from: &[u64],
) -> Result<Option<Segment>, NotifyError> {
    let io = |source| NotifyError::Io { path: path.to_owned(), source };
    let file = match SegmentFile::open(path).map_err(io)? {
        Opened::Segment(file) => file,
        Opened::OtherVersion => return Err(NotifyError::Version { path: path.to_owned() }),
        Opened::Unusable => {
            put_aside(path).map_err(io)?;
            return Ok(None);
        }
    };
    let mut wanted = vec![0; endpoints.len()];
    let (mut events, mut end) = (0, first);
    let size_bytes = file
        .scan(|sequence, record| {
            events += 1;
            end = end.max(sequence.saturating_add(1));
            for (i, endpoint) in endpoints.iter().enumerate() {
                if sequence >= from[i] && endpoint.wants(record.action, &record.media_type) {
                    wanted[i] += 1;
                }
            }
        })
        .map_err(io)?;
    let torn_bytes = file.len_bytes().map_err(io)?.saturating_sub(size_bytes);
    if torn_bytes > 0 {
        let path = path.display();
        tracing::warn!(%path, torn_bytes, "cutting off what was not written to its end");
        file.truncate(size_bytes).and_then(|()| file.sync()).map_err(io)?;
    }
    let content = Content::File(Arc::new(file));
    Ok(Some(Segment { first, end, size_bytes, events, wanted, content }))
}

/// A file that was just being made when the process ended is deleted; anything else is renamed, for
/// somebody to look at.
fn put_aside(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.len() <= SegmentFile::start_bytes() {
        return fs::remove_file(path);
    }
    let aside = path.with_extension("damaged");
    tracing::error!(path = %aside.display(), "a part of the outbox is damaged and was put aside");
    fs::rename(path, aside)
}
