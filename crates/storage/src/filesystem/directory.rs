//! Listing and deleting.

use std::fs::{self, DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::retries::pause_before;
use super::volume::Volume;
use crate::limits::{DELETE_RETRIES, RACY_CLOCK};
use crate::path::{is_component, is_temporary_file};
use crate::{Entry, EntryKind, Listing, ListingVersion, Result, Stat, StorageError, StoragePath};

pub(super) fn list(volume: &Volume, path: &StoragePath) -> Result<Listing> {
    let located = volume.locate(path);
    let failed = |source| volume.read_error("list", path, source);
    // Before the entries are read: what changes meanwhile then makes the version differ.
    let version = version(&fs::metadata(&located).map_err(failed)?);
    let mut entries = Vec::new();
    for found in fs::read_dir(&located).map_err(failed)? {
        entries.extend(entry(&found.map_err(failed)?).map_err(failed)?);
    }
    entries.sort_unstable();
    Ok(Listing { entries, version })
}

/// The temporary files in a directory, those of Distribution among them.
pub(super) fn leftovers(volume: &Volume, path: &StoragePath) -> Result<Vec<(Box<str>, Stat)>> {
    let failed = |source| volume.read_error("list", path, source);
    let mut found: Vec<(Box<str>, Stat)> = Vec::new();
    for entry in fs::read_dir(volume.locate(path)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_temporary_file(name)) else { continue };
        // It may have got its name, or be gone.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let stat = Stat { kind: EntryKind::File, size_bytes: metadata.len(), modified };
            found.push((name.into(), stat));
        }
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// What is none of ours, or no longer there, is `None`.
fn entry(found: &DirEntry) -> io::Result<Option<Entry>> {
    let name = found.file_name();
    let Some(name) = name.to_str().filter(|name| is_component(name)) else { return Ok(None) };
    let listed = found.file_type().and_then(|kind| {
        // A symbolic link counts as what it leads to.
        if kind.is_symlink() {
            fs::metadata(found.path()).map(|to| to.file_type())
        } else {
            Ok(kind)
        }
    });
    let kind = match listed {
        Ok(kind) if kind.is_dir() => EntryKind::Directory,
        Ok(kind) if kind.is_file() && !is_temporary_file(name) => EntryKind::File,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(Entry { name: name.into(), kind }))
}

/// The version of a directory: where it is and when it last changed, both by the time that
/// programs may set and by the one that they can't. `None` while it is too fresh to be told from
/// a change that is still to come.
pub(super) fn version(directory: &Metadata) -> Option<ListingVersion> {
    let age = |secs: i64, nanos: i64| {
        let since_epoch = Duration::new(u64::try_from(secs).ok()?, u32::try_from(nanos).ok()?);
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH.checked_add(since_epoch)?).ok()
    };
    let modified = age(directory.mtime(), directory.mtime_nsec())?;
    let changed = age(directory.ctime(), directory.ctime_nsec())?;
    if modified.min(changed) < RACY_CLOCK {
        return None;
    }
    let hash = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (half, directory.dev(), directory.ino()).hash(&mut hasher);
        (directory.mtime(), directory.mtime_nsec()).hash(&mut hasher);
        (directory.ctime(), directory.ctime_nsec()).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    Some(ListingVersion(hash(0) << 64 | hash(1)))
}

pub(super) fn delete(volume: &Volume, path: &StoragePath) -> Result<()> {
    if path.is_root() {
        return Err(StorageError::root_is_fixed("delete"));
    }
    let located = volume.locate(path);
    let failed = |source| volume.read_error("delete", path, source);
    let what = fs::symlink_metadata(&located).map_err(failed)?;
    if !what.is_dir() {
        // A symbolic link is deleted, not what it leads to.
        return fs::remove_file(&located).map_err(failed);
    }
    for round in 0..DELETE_RETRIES {
        pause_before(round);
        match fs::remove_dir_all(&located) {
            // Another request has put something in, or has deleted the rest.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => return result.map_err(failed),
        }
    }
    Err(failed(io::Error::other("others go on writing into it")))
}

pub(super) fn delete_empty(volume: &Volume, path: &StoragePath) -> Result<()> {
    use io::ErrorKind as K;
    if path.is_root() {
        return Ok(());
    }
    let located = volume.locate(path);
    if volume.parents.is_used(&located) {
        return Ok(());
    }
    match fs::remove_dir(located) {
        Err(error)
            if !matches!(
                error.kind(),
                K::DirectoryNotEmpty | K::AlreadyExists | K::NotFound | K::NotADirectory
            ) =>
        {
            Err(StorageError::from_io("delete", path, error))
        }
        _ => Ok(()),
    }
}
