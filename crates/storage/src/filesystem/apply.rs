//! Several changes in one go.
//!
//! Syncs are what a small push costs, and most of them wait for each other: the second file's
//! journal entry could have travelled with the first one's. So all contents are written before
//! the first of them is synced, everything gets its name before the first directory is synced,
//! and no directory is synced twice. What remains is the number of files and directories that
//! changed, of which the kernel finds most clean by then.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::Advice;

use super::inline;
use super::moved;
use super::parents::Kept;
use super::volume::Volume;
use super::write::{self, Temporary, parent_of};
use crate::{Change, Result, StorageError, StoragePath};

pub(super) fn apply(volume: &Volume, stages: &[Vec<Change>]) -> Result<()> {
    let mut stages = stages
        .iter()
        .map(|stage| stage.iter().map(|change| Prepared::new(volume, change)).collect())
        .collect::<Result<Vec<Vec<_>>>>()?;
    // Every content is on its way to the disk before anybody waits for one.
    for prepared in stages.iter().flatten() {
        prepared.start_writeback();
    }
    for prepared in stages.iter().flatten() {
        prepared.sync_content(volume)?;
    }
    let mut unsettled = 0;
    for at in 0..stages.len() {
        if stages[at].iter().any(|prepared| prepared.replaces) {
            settle(volume, &stages[unsettled..at])?;
            unsettled = at;
        }
        for prepared in &mut stages[at] {
            prepared.make_visible(volume)?;
        }
        for prepared in &mut stages[at] {
            prepared.keep_visible(volume)?;
        }
    }
    settle(volume, &stages[unsettled..])
}

/// Brings the names of what has become visible to stable storage.
fn settle(volume: &Volume, stages: &[Vec<Prepared<'_>>]) -> Result<()> {
    let settled = || stages.iter().flatten().filter(|prepared| prepared.file.is_some());
    let Some(first) = settled().next() else { return Ok(()) };
    let directories = settled().map(|prepared| prepared.directory.as_path());
    volume
        .durable
        .settle(&*volume.disk, directories)
        .map_err(|error| StorageError::from_write("sync", first.change.path(), error))?;
    for prepared in settled() {
        if let Some(metadata) = prepared.file.as_ref().and_then(|file| file.metadata().ok()) {
            volume.durable.remember_file(&prepared.target, &metadata);
        }
    }
    Ok(())
}

/// A change whose content is where it can be synced from.
struct Prepared<'a> {
    change: &'a Change,
    target: PathBuf,
    directory: PathBuf,
    /// What is going to be in place; `None` when nothing has to be brought to stable storage: it
    /// is known to be there, or may be lost.
    file: Option<File>,
    way: Way,
    /// Whether something else lies at the target.
    replaces: bool,
    _kept: Option<Kept>,
}

/// How a change comes about once its content is synced.
enum Way {
    /// The temporary file gets the target's name.
    Put(Temporary),
    /// The finished file gets the target's name.
    Publish(PathBuf),
    /// It is there already.
    Settle,
}

impl<'a> Prepared<'a> {
    fn new(volume: &Volume, change: &'a Change) -> Result<Self> {
        let path = change.path();
        let target = volume.locate(path);
        let directory = parent_of("write", path, &target)?.to_owned();
        let mut prepared = Self {
            change,
            target,
            directory,
            file: None,
            way: Way::Settle,
            replaces: false,
            _kept: None,
        };
        match change {
            Change::Put { content, reuse, .. } => prepared.put(volume, content, reuse.as_ref())?,
            Change::Publish { from, .. } => prepared.publish(volume, from)?,
            // It may be lost, so nothing is kept open for a sync.
            Change::Note { content, .. } => drop(prepared.write(volume, content, None)?),
        }
        Ok(prepared)
    }

    fn put(&mut self, volume: &Volume, content: &Bytes, reuse: Option<&StoragePath>) -> Result<()> {
        if let Some(mut there) = self.there()? {
            if self.holds(&mut there, content) {
                return self.settle(volume, there);
            }
            self.replaces = true;
        }
        self.file = Some(self.write(volume, content, reuse)?);
        Ok(())
    }

    /// Writes the content beside the target.
    fn write(
        &mut self,
        volume: &Volume,
        content: &Bytes,
        reuse: Option<&StoragePath>,
    ) -> Result<File> {
        self._kept = Some(volume.parents.keep(&self.directory));
        let reuse = reuse.map(|path| volume.locate(path));
        let written =
            write::temporary(volume, &self.target, &self.directory, content, reuse.as_deref());
        let (file, temporary) = written.map_err(|error| self.failed("write", error))?;
        self.way = Way::Put(temporary);
        Ok(file)
    }

    fn publish(&mut self, volume: &Volume, from: &StoragePath) -> Result<()> {
        let source = volume.locate(from);
        let (file, metadata) = inline::open_blocking(&source, inline::OPEN_FILE)
            .map_err(|error| volume.read_error("publish", from, error))?;
        if !metadata.is_file() {
            return Err(volume.wrong_kind(from));
        }
        if let Some(there) = self.there()? {
            if there.metadata().is_ok_and(|there| there.len() == metadata.len()) {
                return self.settle(volume, there);
            }
            self.replaces = true;
        }
        self._kept = Some(volume.parents.keep(&self.directory));
        self.file = Some(file);
        self.way = Way::Publish(source);
        Ok(())
    }

    /// The file that lies at the target.
    fn there(&self) -> Result<Option<File>> {
        match inline::open_blocking(&self.target, inline::OPEN_FILE) {
            Ok((file, metadata)) if metadata.is_file() => Ok(Some(file)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("look at", error)),
        }
    }

    /// Whether a file has just this content. One that can't be read has not.
    fn holds(&self, there: &mut File, content: &Bytes) -> bool {
        let size_bytes = content.len() as u64;
        if !there.metadata().is_ok_and(|metadata| metadata.len() == size_bytes) {
            return false;
        }
        let mut found = Vec::with_capacity(content.len());
        there.take(size_bytes).read_to_end(&mut found).is_ok() && found == *content
    }

    /// Leaves in place what is there, and has it synced unless it is known to be.
    fn settle(&mut self, volume: &Volume, there: File) -> Result<()> {
        let metadata = there.metadata().map_err(|error| self.failed("look at", error))?;
        if !volume.durable.knows_file(&self.target, &metadata) {
            self.file = Some(there);
        }
        Ok(())
    }

    fn start_writeback(&self) {
        if let (Some(file), Way::Put(_)) = (&self.file, &self.way) {
            // Only a wish, so whether it is granted doesn't matter.
            rustix::fs::fadvise(file, 0, None, Advice::DontNeed).ok();
        }
    }

    fn sync_content(&self, volume: &Volume) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let called: &Path = match &self.way {
            Way::Put(temporary) => temporary.path(),
            Way::Publish(source) => source,
            Way::Settle => &self.target,
        };
        volume.disk.sync_file(file, called).map_err(|error| self.failed("sync", error))
    }

    fn make_visible(&mut self, volume: &Volume) -> Result<()> {
        match (&mut self.way, self.change) {
            (
                Way::Put(temporary),
                Change::Put { path, content, .. } | Change::Note { path, content },
            ) => {
                match temporary.rename(volume, &self.target) {
                    // The directory was deleted with the file in it: once more from the start.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let sync = match self.file.take() {
                            Some(_) => write::Sync::Now,
                            None => write::Sync::Later,
                        };
                        write::put(volume, path, content, sync)
                    }
                    renamed => renamed.map_err(|error| self.failed("write", error)),
                }
            }
            (Way::Publish(source), Change::Publish { from, to }) => {
                let source_directory = parent_of("publish", from, source)?;
                if moved::with_directory(volume, source, &self.target)
                    .map_err(|error| StorageError::from_write("publish", to, error))?
                {
                    return Ok(());
                }
                // What was copied to another disk was synced there.
                if write::move_into_place(volume, from, source, to, &self.target)?
                    == write::Moved::Copied
                {
                    self.file = None;
                }
                moved::delete_remains(source_directory, from);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Looks once more for what was found in place, now that what belongs to it is there: a repair
    /// may have moved it away meanwhile because that was missing. One that moves it later sees that
    /// it is not, and moves it back.
    fn keep_visible(&mut self, volume: &Volume) -> Result<()> {
        if !matches!(self.way, Way::Settle) {
            return Ok(());
        }
        let is_gone = match std::fs::symlink_metadata(&self.target) {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(self.failed("look at", error)),
        };
        if is_gone {
            self.file = None;
        }
        match self.change {
            Change::Put { path, content, reuse } => {
                if is_gone {
                    write::put(volume, path, content, write::Sync::Now)?;
                }
                if let Some(remains) = reuse {
                    moved::delete_remains(&volume.locate(remains), remains);
                }
            }
            Change::Publish { from, to } => {
                if is_gone {
                    write::publish(volume, from, to)?;
                }
                let source = volume.locate(from);
                moved::delete_remains(parent_of("publish", from, &source)?, from);
            }
            Change::Note { .. } => {}
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, error: io::Error) -> StorageError {
        StorageError::from_write(operation, self.change.path(), error)
    }
}
