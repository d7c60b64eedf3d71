//! Work on the storage of a configuration, beside the servers that use it.

use std::path::Path;
use std::process::ExitCode;

use config::{Config, Driver, Environment};
use registry::Registry;

use super::{block_on, find, load, refuse, report, with_causes};
use crate::storage_driver::{self, For};
use crate::{options, shared_cache};

/// Opens the storage of the configuration that `serve` would use, and does something with the
/// registry on it. `work` says what is to be said of it.
pub(super) fn run(
    file: Option<&Path>,
    purpose: For,
    work: impl AsyncFnOnce(Registry) -> anyhow::Result<String>,
) -> ExitCode {
    let environment = Environment::of_process();
    let (source, _) = match find(file, &environment) {
        Ok(found) => found,
        Err(errors) => return report(&errors.errors),
    };
    let loaded = match load(&source, &environment) {
        Ok(loaded) => loaded,
        Err(errors) => return report(&errors),
    };
    match run_on(&loaded.config, purpose, work) {
        Ok(said) => {
            super::say(&said);
            ExitCode::SUCCESS
        }
        Err(error) => refuse(with_causes(&error)),
    }
}

fn run_on(
    config: &Config,
    purpose: For,
    work: impl AsyncFnOnce(Registry) -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    anyhow::ensure!(
        !matches!(config.storage.driver, Driver::InMemory),
        "storage driver inmemory holds nothing beyond the process that serves it"
    );
    block_on(async { work(registry(config, purpose).await?).await }).flatten()
}

/// The registry of a configuration, with the cache that servers share: it must not remember what the
/// work deletes.
pub(super) async fn registry(config: &Config, purpose: For) -> anyhow::Result<Registry> {
    let driver = storage_driver::open_there(&config.storage, purpose).await?;
    let registry = Registry::new(driver, options::registry(config));
    Ok(match shared_cache::open(config)? {
        Some(cache) => registry.with_descriptor_cache(cache),
        None => registry,
    })
}
