//! Where a backup is: a directory, or the storage of a configuration file.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Config, Environment, Source};
use storage::Driver;
use storage::filesystem::{Filesystem, FilesystemOptions};

use crate::commands::say_error;
use crate::storage_driver;

/// Opens the place for a backup, which is made if it is a directory.
pub(super) async fn open_for_writing(place: &Path) -> anyhow::Result<Arc<dyn Driver>> {
    if place.is_file() {
        let driver = storage_driver::open_for_writing(&config_of(place)?.storage).await;
        return driver.with_context(|| place.display().to_string());
    }
    let looks_like_config = place.extension().is_some_and(|e| e == "yml" || e == "yaml");
    anyhow::ensure!(
        place.exists() || !looks_like_config,
        "{} is not there. If it shall be a directory, make it first",
        place.display()
    );
    open_directory(place, false)
}

/// Opens the place of a backup that is there, to write to it.
pub(super) async fn open_for_pruning(place: &Path) -> anyhow::Result<Arc<dyn Driver>> {
    ensure_there(place)?;
    open_for_writing(place).await
}

/// Opens the place of a backup; nothing is written there.
pub(super) async fn open_for_reading(place: &Path) -> anyhow::Result<Arc<dyn Driver>> {
    ensure_there(place)?;
    if place.is_file() {
        let driver = storage_driver::open_for_reading(&config_of(place)?.storage).await;
        return driver.with_context(|| place.display().to_string());
    }
    open_directory(place, true)
}

fn ensure_there(place: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        place.exists(),
        "{} is not there: name the directory of the backup, or a configuration file whose storage \
         holds it",
        place.display()
    );
    Ok(())
}

fn open_directory(root: &Path, read_only: bool) -> anyhow::Result<Arc<dyn Driver>> {
    let options =
        FilesystemOptions { read_only, watch_changes: false, ..FilesystemOptions::new(root) };
    let opened = Filesystem::open(options);
    Ok(Arc::new(opened.with_context(|| format!("{} can't be used", root.display()))?))
}

fn config_of(file: &Path) -> anyhow::Result<Config> {
    let loaded = Source::read(file).and_then(|s| config::load(&s, &Environment::default()));
    let loaded = super::super::loaded(file, loaded)?;
    let is_about_storage = |name: &String| name.starts_with("REGISTRY_STORAGE");
    let mut names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    if let Some(name) = names.find(is_about_storage) {
        say_error(format_args!(
            "{name} is set and does not apply to {}: it is meant for the registry",
            file.display()
        ));
    }
    Ok(loaded)
}
