//! Files that move together with the directory made for them.
//!
//! An upload has a directory to itself, and so has the blob that it becomes. Moving the directory
//! saves making the one and deleting the other, and with them what a filesystem writes down about
//! both.

use std::fs;
use std::io;
use std::path::Path;

use super::volume::Volume;
use crate::driver::warn_of_remains;
use crate::limits::PARENT_RETRIES;
use crate::{StorageError, StoragePath};

/// Moves a file to its final path together with the directory it is in, without what else is in
/// there. Returns whether that could be done; otherwise the file is where it was.
pub(super) fn with_directory(volume: &Volume, source: &Path, target: &Path) -> io::Result<bool> {
    let (Some(from), Some(to)) = (source.parent(), target.parent()) else { return Ok(false) };
    let Some(above) = to.parent().filter(|_| source.file_name() == target.file_name()) else {
        return Ok(false);
    };
    if !is_alone(source, from)? {
        return Ok(false);
    }
    // Before it can be seen, so that its name is not taken for durable.
    volume.durable.forget_directory(to);
    for round in 0..PARENT_RETRIES {
        use io::ErrorKind as K;
        match volume.disk.rename(from, to) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == K::NotFound && fs::exists(source)? => {
                volume.make_directories(above, round)?;
            }
            // There is such a directory with something in it, or the two lie on different disks, or
            // a symbolic link leads to one of them.
            Err(error)
                if matches!(
                    error.kind(),
                    K::DirectoryNotEmpty
                        | K::AlreadyExists
                        | K::NotADirectory
                        | K::CrossesDevices
                        | K::NotFound
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Deletes everything beside a file; whether that leaves the file alone in a real directory.
fn is_alone(source: &Path, directory: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(directory)?.is_dir() {
        return Ok(false);
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path != source && fs::remove_file(&path).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes what only costs space, if it is there: a file, or a directory with what is below.
/// `near` is what the log says about where.
pub(super) fn delete_remains(remains: &Path, near: &StoragePath) {
    let deleted = match fs::symlink_metadata(remains) {
        Ok(what) if what.is_dir() => fs::remove_dir_all(remains),
        Ok(_) => fs::remove_file(remains),
        Err(error) => Err(error),
    };
    match deleted {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn_of_remains(near, &StorageError::from_io("delete", near, error));
        }
        _ => {}
    }
}
