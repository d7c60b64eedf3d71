//! From the configuration to a storage driver.

use std::sync::Arc;

use anyhow::Context as _;
use config::Driver;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;

/// Opens the configured driver.
///
/// # Errors
/// When its root can't be used, with the reason; and for a driver that is not built, which
/// `Config::unsupported` should have named before.
pub(crate) fn open(storage: &config::Storage) -> anyhow::Result<Arc<dyn storage::Driver>> {
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
            Ok(Arc::new(opened))
        }
        Driver::InMemory => Ok(Arc::new(Memory::new())),
        other => anyhow::bail!("storage driver {} is not built yet", other.name()),
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
