//! `wharf storage copy`.

mod progress;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Config, Environment, Source};
use registry::{Transfer, TransferError, TransferOptions};
use storage::Driver;
use storage::memory::Memory;

use super::{block_on, report as report_errors, say, say_error, say_warnings, with_causes};
use crate::cli::CopyArguments;
use crate::storage_driver;

/// It was not even begun.
const NOT_BEGUN: u8 = 2;

/// Copies a registry from the storage of one configuration to that of another one.
pub(crate) fn run(arguments: &CopyArguments) -> ExitCode {
    warn_of_variables();
    let (Some(from), Some(to)) = (load(&arguments.from), load(&arguments.to)) else {
        return ExitCode::from(NOT_BEGUN);
    };
    match copy(arguments, &from, &to) {
        Ok(code) => code,
        Err(error) => {
            say_error(with_causes(&error));
            ExitCode::from(NOT_BEGUN)
        }
    }
}

/// Variables would be meant for both files, and make the same storage of them.
fn warn_of_variables() {
    let is_about_storage = |name: &String| name.starts_with("REGISTRY_STORAGE");
    let names: Vec<_> =
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    if let Some(name) = names.iter().find(|name| is_about_storage(name)) {
        say_error(format_args!(
            "warning: {name} is set and does not apply here: write into the two files what \
             differs between them"
        ));
    }
}

/// A configuration; what is wrong with it is said.
fn load(file: &Path) -> Option<Config> {
    let loaded = Source::read(file)
        .and_then(|source| config::load(&source, &Environment::default()))
        .map_err(|errors| report_errors(&errors.errors))
        .ok()?;
    say_warnings(&loaded);
    Some(loaded.config)
}

fn copy(arguments: &CopyArguments, from: &Config, to: &Config) -> anyhow::Result<ExitCode> {
    block_on(async {
        let (source, target) = open(arguments, from, to).await?;
        copy_between(arguments, source, target).await
    })
    .flatten()
}

/// Opens source and target.
async fn open(
    arguments: &CopyArguments,
    from: &Config,
    to: &Config,
) -> anyhow::Result<(Arc<dyn Driver>, Arc<dyn Driver>)> {
    for (config, file) in [(from, &arguments.from), (to, &arguments.to)] {
        anyhow::ensure!(
            !matches!(config.storage.driver, config::Driver::InMemory),
            "{}: storage driver inmemory holds nothing beyond the process that serves it: there \
             is nothing to copy from or to",
            file.display()
        );
    }
    if let (Some(one), Some(other)) = (root(from), root(to))
        && one == other
    {
        return Err(TransferError::SameStorage)
            .with_context(|| format!("both files name {}", one.display()));
    }
    let named = |file: &Path| format!("{}", file.display());
    let source = storage_driver::open_for_reading(&from.storage).await;
    let source = source.with_context(|| named(&arguments.from))?;
    let target = match root_given(to).filter(|_| arguments.dry_run) {
        // It would be made.
        Some(root) if !root.exists() => Ok(Arc::new(Memory::new()) as Arc<dyn Driver>),
        _ if arguments.dry_run => storage_driver::open_for_reading(&to.storage).await,
        _ => storage_driver::open_for_writing(&to.storage).await,
    };
    Ok((source, target.with_context(|| named(&arguments.to))?))
}

/// The directory of a filesystem driver, as it is written.
fn root_given(config: &Config) -> Option<&PathBuf> {
    match &config.storage.driver {
        config::Driver::Filesystem(filesystem) => Some(&filesystem.root_directory),
        _ => None,
    }
}

/// The same without symbolic links, if it is there.
fn root(config: &Config) -> Option<PathBuf> {
    root_given(config)?.canonicalize().ok()
}

async fn copy_between(
    arguments: &CopyArguments,
    source: Arc<dyn Driver>,
    target: Arc<dyn Driver>,
) -> anyhow::Result<ExitCode> {
    let options = TransferOptions {
        passes_max: arguments.passes,
        concurrency: usize::from(arguments.concurrency),
        verify: arguments.verify,
        delete: arguments.delete,
        dry_run: arguments.dry_run,
    };
    let transfer = Transfer::new(source, target, options);
    let looked_at = Arc::clone(&transfer);
    let outcome =
        super::progress::run(transfer.run(), move || looked_at.snapshot(), || transfer.stop())
            .await?;
    let Some(outcome) = outcome else {
        say_error("stopped at once; start it again to go on");
        return Ok(ExitCode::FAILURE);
    };
    let report = outcome?;
    if arguments.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else {
        let texts = report::texts(&report);
        say(&texts.summary);
        texts.findings.iter().for_each(say_error);
    }
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
