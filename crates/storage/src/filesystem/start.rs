//! Opening a root.

use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::FilesystemOptions;
use super::disk::Disk;
use super::durable::DurableDirectories;
use super::feeders::Feeders;
use super::inline::{self, Inline};
use super::parents::Parents;
use super::volume::Volume;
use super::writers::Writers;
use crate::limits::{FEEDS_AT_ONCE_MIN, MAX_THREADS_MIN};

/// Why a root can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is a file, or something else that is no directory.
    #[error("the storage's root {} is not a directory: name another one", root.display())]
    NotADirectory {
        /// The root.
        root: PathBuf,
    },
    /// It was absent and could not be made.
    #[error(
        "could not make the storage's root {}: {source}; make it, owned by the user that runs this",
        root.display()
    )]
    Create {
        /// The root.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is there, and can't be looked at.
    #[error("could not look at the storage's root {}: {source}", root.display())]
    Look {
        /// The root.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It lies on a filesystem that is mounted read-only.
    #[error(
        "the storage's root {} is on a read-only mount: mount it read-write, or serve it read-only",
        root.display()
    )]
    ReadOnlyMount {
        /// The root.
        root: PathBuf,
    },
    /// It can't be written to.
    #[error(
        "could not write to the storage's root {}: {source}; give it to the user that runs this, \
         or serve it read-only",
        root.display()
    )]
    NotWritable {
        /// The root.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(super) fn open(options: FilesystemOptions, disk: Box<dyn Disk>) -> Result<Volume, OpenError> {
    let root = std::path::absolute(&options.root)
        .map_err(|source| OpenError::Look { root: options.root.clone(), source })?;
    make_root(&*disk, &root)?;
    let look = |source| OpenError::Look { root: root.clone(), source };
    let metadata = fs::metadata(&root).map_err(look)?;
    if !metadata.is_dir() {
        return Err(OpenError::NotADirectory { root });
    }
    fs::read_dir(&root).map_err(look)?;
    if !options.read_only {
        probe(&*disk, &root)?;
    }
    let is_local = inline::is_local(&root).map_err(look)?;
    let device = metadata.dev();
    Ok(Volume {
        device,
        disk,
        durable: DurableDirectories::new(root.clone()),
        inline: Inline::new(options.inline_reads, is_local, device),
        writers: Writers::default(),
        parents: Parents::default(),
        watch_changes: options.watch_changes,
        watching: OnceLock::new(),
        streams: AtomicUsize::default(),
        feeders: Feeders::new(feeders_max()),
        threads: Arc::new(Semaphore::new(
            options.max_threads.clamp(MAX_THREADS_MIN, Semaphore::MAX_PERMITS),
        )),
        root,
    })
}

/// Makes the root and what is missing above it, durably.
fn make_root(disk: &dyn Disk, root: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Create { root: root.to_owned(), source };
    let missing: Vec<_> = root
        .ancestors()
        .take_while(|directory| matches!(fs::exists(directory), Ok(false)))
        .collect();
    for directory in missing.iter().rev() {
        match disk.create_directory(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        if let Some(above) = directory.parent() {
            disk.sync_directory(above).map_err(failed)?;
        }
    }
    Ok(())
}

/// Does once what every write will do. A full disk is only warned of.
fn probe(disk: &dyn Disk, root: &Path) -> Result<(), OpenError> {
    let first = root.join(format!("probe.{}.tmp", Uuid::new_v4()));
    let second = root.join(format!("probe.{}.tmp", Uuid::new_v4()));
    let probed = File::create_new(&first)
        .and_then(|mut file| {
            file.write_all(b"probe")?;
            disk.sync_file(&file, &first)
        })
        .and_then(|()| disk.rename(&first, &second))
        .and_then(|()| disk.sync_directory(root));
    fs::remove_file(&first).or_else(|_| fs::remove_file(&second)).ok();
    let root = root.to_owned();
    match probed {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            let root = root.display();
            tracing::warn!(%root, "the storage is full: it can be read, but pushes will fail");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Err(OpenError::ReadOnlyMount { root })
        }
        Err(source) => Err(OpenError::NotWritable { root, source }),
        Ok(()) => Ok(()),
    }
}

/// How many threads append from feeds, beside those of `FilesystemOptions::max_threads`.
pub fn feeders_max() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(FEEDS_AT_ONCE_MIN)
}
