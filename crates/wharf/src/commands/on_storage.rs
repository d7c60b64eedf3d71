//! Work on the storage of a configuration, beside the servers that use it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use config::{Config, Driver, Environment};
use registry::Registry;

use super::{find, load, refuse, report, with_causes};
use crate::{options, shared_cache, storage_driver};

/// What the storage is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
}

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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime could not be started")?;
    let said = runtime.block_on(async {
        // Looks first whether there is anything, so that nothing is made in a wrong place.
        let mut driver = storage_driver::open_for_reading(&config.storage).await?;
        if purpose == For::Writing {
            driver = storage_driver::open_for_writing(&config.storage).await?;
        }
        let registry = Registry::new(driver, options::registry(config));
        let registry = match shared_cache::open(config)? {
            Some(cache) => registry.with_descriptor_cache(cache),
            None => registry,
        };
        work(registry).await
    });
    // An operation of a storage that hangs shall not keep it.
    runtime.shutdown_background();
    said
}
