//! From the configuration to a storage driver.

use std::sync::Arc;

use anyhow::Context as _;
use config::Driver;
use objects::Objects;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;

mod object_store;

/// A driver, and the same one as an object store if it is one.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The driver.
    pub(crate) driver: Arc<dyn storage::Driver>,
    /// Who knows how the store does.
    pub(crate) objects: Option<Arc<Objects>>,
}

impl Opened {
    fn local(driver: impl storage::Driver) -> Self {
        Self { driver: Arc::new(driver), objects: None }
    }
}

/// Opens the configured driver, and finds out what an object store can do.
///
/// # Errors
/// When it can't be used as it is configured, with the reason; and for a driver that is not built,
/// which `Config::unsupported` should have named before.
pub(crate) async fn open(storage: &config::Storage) -> anyhow::Result<Opened> {
    let objects = match &storage.driver {
        Driver::S3(s3) => object_store::s3(storage, s3)?,
        Driver::Azure(azure) => object_store::azure(storage, azure)?,
        Driver::Gcs(gcs) => object_store::gcs(storage, gcs)?,
        _ => return open_local(storage),
    };
    let objects = Arc::new(objects);
    object_store::probe(&objects, &storage.driver, storage.read_only).await?;
    Ok(Opened { driver: objects.clone(), objects: Some(objects) })
}

fn open_local(storage: &config::Storage) -> anyhow::Result<Opened> {
    match &storage.driver {
        Driver::Filesystem(filesystem) => {
            let root = &filesystem.root_directory;
            let options = FilesystemOptions {
                max_threads: usize::try_from(filesystem.max_threads).unwrap_or(usize::MAX),
                read_only: storage.read_only,
                ..FilesystemOptions::new(root)
            };
            let opened = Filesystem::open(options).with_context(|| {
                format!("storage.filesystem.rootdirectory {} can't be used", root.display())
            })?;
            Ok(Opened::local(opened))
        }
        Driver::InMemory => Ok(Opened::local(Memory::new())),
        other => anyhow::bail!("storage driver {} is not built yet", other.name()),
    }
}

/// Opens the configured driver for reading: nothing is written there, nor made if it is not there.
///
/// # Errors
/// As for [`open`], and when there is nothing.
pub(crate) async fn open_for_reading(
    storage: &config::Storage,
) -> anyhow::Result<Arc<dyn storage::Driver>> {
    if let Driver::Filesystem(filesystem) = &storage.driver {
        let root = &filesystem.root_directory;
        anyhow::ensure!(
            root.is_dir(),
            "storage.filesystem.rootdirectory {} is not there, or no directory",
            root.display()
        );
    }
    Ok(open(&config::Storage { read_only: true, ..storage.clone() }).await?.driver)
}

/// Opens the configured driver to see what writing to it would do: a directory that is not there is
/// not made, but looks like an empty one.
///
/// # Errors
/// As for [`open`].
pub(crate) async fn open_without_making(
    storage: &config::Storage,
) -> anyhow::Result<Arc<dyn storage::Driver>> {
    match &storage.driver {
        Driver::Filesystem(filesystem) if !filesystem.root_directory.exists() => {
            Ok(Arc::new(Memory::new()))
        }
        _ => open_for_reading(storage).await,
    }
}

/// Opens the configured driver for writing, also where `storage.maintenance.readonly` keeps the
/// server from it.
///
/// # Errors
/// As for [`open`].
pub(crate) async fn open_for_writing(
    storage: &config::Storage,
) -> anyhow::Result<Arc<dyn storage::Driver>> {
    Ok(open(&config::Storage { read_only: false, ..storage.clone() }).await?.driver)
}

/// What a storage is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Nothing is written.
    Reading,
    /// It is written to.
    Writing,
}

/// Opens the storage that a registry has: nothing is made where there is none, as a file with a
/// wrong name may say.
///
/// # Errors
/// As for [`open_for_reading`] and [`open_for_writing`].
pub(crate) async fn open_there(
    storage: &config::Storage,
    purpose: For,
) -> anyhow::Result<Arc<dyn storage::Driver>> {
    let driver = open_for_reading(storage).await?;
    match purpose {
        For::Reading => Ok(driver),
        For::Writing => open_for_writing(storage).await,
    }
}

/// Has a driver watched if somebody wants to know: `metrics`, or traces. Otherwise it is left as it
/// is, and costs nothing more.
pub(crate) fn observed(
    driver: Arc<dyn storage::Driver>,
    metrics: Option<&server::Metrics>,
    is_traced: bool,
) -> Arc<dyn storage::Driver> {
    let observer = metrics.map(|metrics| metrics.storage_observer(driver.name()));
    if observer.is_none() && !is_traced {
        return driver;
    }
    Arc::new(storage::Observed::new(driver, observer))
}
