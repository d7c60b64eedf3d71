//! Writing files whole, and moving them to their final path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;

use super::inline;
use super::retries::parents_vanish;
use super::volume::Volume;
use crate::limits::PARENT_RETRIES;
use crate::{Result, StorageError, StoragePath};

/// Whether what was written may be lost with the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// It may not: file and directories are synced.
    Now,
    /// It may: the system writes it when it likes.
    Later,
}

pub(super) fn put(volume: &Volume, path: &StoragePath, content: &Bytes, sync: Sync) -> Result<()> {
    let target = volume.locate(path);
    let directory = parent_of("write", path, &target)?;
    let _kept = volume.parents.keep(directory);
    let mut write = |file: &mut File| file.write_all(content);
    replace(volume, &target, directory, &mut write, sync)
        .map_err(|source| StorageError::from_write("write", path, source))
}

pub(super) fn publish(volume: &Volume, from: &StoragePath, to: &StoragePath) -> Result<()> {
    let (source_path, target) = (volume.locate(from), volume.locate(to));
    let (source, metadata) = inline::open_blocking(&source_path, inline::OPEN_FILE)
        .map_err(|error| volume.read_error("publish", from, error))?;
    if !metadata.is_file() {
        return Err(volume.wrong_kind(from));
    }
    let directory = parent_of("publish", to, &target)?;
    let _kept = volume.parents.keep(directory);
    let failed = |error| StorageError::from_write("publish", to, error);
    volume.disk.sync_file(&source, &source_path).map_err(failed)?;
    if move_into_place(volume, from, &source_path, to, &target)? == Moved::Renamed {
        volume.durable.settle(&*volume.disk, [directory]).map_err(failed)?;
        volume.durable.remember_file(&target, &metadata);
    }
    Ok(())
}

/// How a file came to its final path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// By another name; the name is still to be brought to stable storage.
    Renamed,
    /// As a copy, which is durable, since the two paths lie on different disks.
    Copied,
}

/// Moves a synced file to its final path, making the directories above it.
pub(super) fn move_into_place(
    volume: &Volume,
    from: &StoragePath,
    source_path: &Path,
    to: &StoragePath,
    target: &Path,
) -> Result<Moved> {
    let directory = parent_of("publish", to, target)?;
    let failed = |error| StorageError::from_write("publish", to, error);
    for round in 0..PARENT_RETRIES {
        match volume.disk.rename(source_path, target) {
            Ok(()) => return Ok(Moved::Renamed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Either another request has published it, or the directory isn't there.
                if !fs::exists(source_path).map_err(failed)? {
                    return Err(volume.read_error("publish", from, error));
                }
                volume.make_directories(directory, round).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                // One of the two lies behind a symbolic link to another disk.
                let mut copy = |file: &mut File| {
                    let mut reader = File::open(source_path)?;
                    io::copy(&mut reader, file).map(drop)
                };
                replace(volume, target, directory, &mut copy, Sync::Now).map_err(failed)?;
                fs::remove_file(source_path).map_err(failed)?;
                return Ok(Moved::Copied);
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(parents_vanish()))
}

/// Syncs a file that is there already, and the names that lead to it.
pub(super) fn settle(volume: &Volume, path: &StoragePath) -> Result<()> {
    let located = volume.locate(path);
    let directory = parent_of("sync", path, &located)?;
    let (file, metadata) = inline::open_blocking(&located, inline::OPEN_FILE)
        .map_err(|error| volume.read_error("sync", path, error))?;
    if !metadata.is_file() {
        return Err(volume.wrong_kind(path));
    }
    let failed = |error| StorageError::from_write("sync", path, error);
    volume.disk.sync_file(&file, &located).map_err(failed)?;
    volume.durable.settle(&*volume.disk, [directory]).map_err(failed)?;
    volume.durable.remember_file(&located, &metadata);
    Ok(())
}

/// Writes a file beside its target and gives it the target's name, synced before and after.
fn replace(
    volume: &Volume,
    target: &Path,
    directory: &Path,
    write: &mut dyn FnMut(&mut File) -> io::Result<()>,
    sync: Sync,
) -> io::Result<()> {
    for round in 0..PARENT_RETRIES {
        let renamed = Temporary::write(target, write).and_then(|(file, mut temporary)| {
            if sync == Sync::Now {
                volume.disk.sync_file(&file, temporary.path())?;
            }
            temporary.rename(volume, target)?;
            file.metadata()
        });
        match renamed {
            Ok(_) if sync == Sync::Later => return Ok(()),
            Ok(metadata) => {
                volume.durable.settle(&*volume.disk, [directory])?;
                volume.durable.remember_file(target, &metadata);
                return Ok(());
            }
            // The directory was never there, or was deleted with the file in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                volume.make_directories(directory, round)?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(parents_vanish())
}

/// Writes the content of a file beside its target, making the directories above it; into a file
/// that is not needed any more, if there is one.
pub(super) fn temporary(
    volume: &Volume,
    target: &Path,
    directory: &Path,
    content: &Bytes,
    reuse: Option<&Path>,
) -> io::Result<(File, Temporary)> {
    let mut reuse = reuse;
    for round in 0..PARENT_RETRIES {
        let mut write = |file: &mut File| file.write_all(content);
        let written = match reuse {
            Some(origin) => Temporary::rewrite(origin, target, &mut write),
            None => Temporary::write(target, &mut write),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Either the directory isn't there, or the file to be used isn't.
                reuse = reuse.filter(|origin| fs::exists(origin).unwrap_or(false));
                volume.make_directories(directory, round)?;
            }
            // It lies on another disk, or is no file of ours.
            Err(_) if reuse.is_some() => reuse = None,
            written => return written,
        }
    }
    Err(parents_vanish())
}

/// A file beside its target, removed unless it gets the target's name. What stays in spite of
/// this, after a crash, is skipped by listings.
pub(super) struct Temporary {
    path: PathBuf,
    /// Where it goes back to instead of being removed.
    origin: Option<PathBuf>,
    has_its_name: bool,
}

impl Temporary {
    fn write(
        target: &Path,
        write: &mut dyn FnMut(&mut File) -> io::Result<()>,
    ) -> io::Result<(File, Self)> {
        let path = temporary_beside(target);
        // 0666 & ~umask, as Distribution makes them, so that either can take over.
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let temporary = Self { path, origin: None, has_its_name: false };
        write(&mut file)?;
        Ok((file, temporary))
    }

    /// Writes into a file that lies elsewhere.
    fn rewrite(
        origin: &Path,
        target: &Path,
        write: &mut dyn FnMut(&mut File) -> io::Result<()>,
    ) -> io::Result<(File, Self)> {
        if !fs::symlink_metadata(origin)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let path = temporary_beside(target);
        fs::rename(origin, &path)?;
        let temporary = Self { origin: Some(origin.to_owned()), path, has_its_name: false };
        let mut file = OpenOptions::new().write(true).truncate(true).open(&temporary.path)?;
        write(&mut file)?;
        Ok((file, temporary))
    }

    /// Where it is until it has its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it the target's name.
    pub(super) fn rename(&mut self, volume: &Volume, target: &Path) -> io::Result<()> {
        volume.disk.rename(&self.path, target)?;
        self.has_its_name = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match &self.origin {
            _ if self.has_its_name => {}
            Some(origin) => drop(fs::rename(&self.path, origin)),
            None => drop(fs::remove_file(&self.path)),
        }
    }
}

/// `<path>.<uuid>.tmp`, the name that Distribution 3.1 knows as well.
fn temporary_beside(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".{}.tmp", Uuid::new_v4()));
    name.into()
}

pub(super) fn parent_of<'a>(
    operation: &'static str,
    path: &StoragePath,
    located: &'a Path,
) -> Result<&'a Path> {
    located
        .parent()
        .filter(|_| !path.is_root())
        .ok_or_else(|| StorageError::root_is_fixed(operation))
}
