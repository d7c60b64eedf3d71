//! `wharf check`.

mod progress;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Config, Environment};
use registry::{Check, CheckOptions};
use storage::Driver;

use super::{find, report as report_errors, say, say_error, with_causes};
use crate::cli::CheckArguments;
use crate::storage_driver;

/// It was not even begun.
const NOT_BEGUN: u8 = 2;

/// Checks the storage of a configuration.
pub(crate) fn run(arguments: &CheckArguments) -> ExitCode {
    let environment = Environment::of_process();
    let loaded = find(arguments.config.as_deref(), &environment)
        .and_then(|(source, _)| config::load(&source, &environment));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => {
            report_errors(&errors.errors);
            return ExitCode::from(NOT_BEGUN);
        }
    };
    for warning in &loaded.warnings {
        say_error(format_args!("warning: {warning}"));
    }
    match check(arguments, &loaded.config) {
        Ok(code) => code,
        Err(error) => {
            say_error(with_causes(&error));
            ExitCode::from(NOT_BEGUN)
        }
    }
}

fn check(arguments: &CheckArguments, config: &Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime could not be started")?;
    let code = runtime.block_on(async {
        let driver = open(arguments, config).await?;
        check_storage(arguments, driver).await
    });
    // An operation of a storage that hangs shall not keep it.
    runtime.shutdown_background();
    code
}

/// Opens the storage; for writing only where something is to be mended.
async fn open(arguments: &CheckArguments, config: &Config) -> anyhow::Result<Arc<dyn Driver>> {
    anyhow::ensure!(
        !matches!(config.storage.driver, config::Driver::InMemory),
        "storage driver inmemory holds nothing beyond the process that serves it: there is nothing \
         to check"
    );
    // It makes nothing that is not there.
    let driver = storage_driver::open_for_reading(&config.storage).await?;
    if arguments.repair {
        return storage_driver::open_for_writing(&config.storage).await;
    }
    Ok(driver)
}

async fn check_storage(
    arguments: &CheckArguments,
    driver: Arc<dyn Driver>,
) -> anyhow::Result<ExitCode> {
    let options = CheckOptions {
        repair: arguments.repair,
        quick: arguments.quick,
        repositories: arguments.repository.clone(),
        concurrency: usize::from(arguments.concurrency),
        rate: arguments.rate,
    };
    let check = Check::new(driver, options);
    let looked_at = Arc::clone(&check);
    let outcome =
        super::progress::run(check.run(), move || looked_at.snapshot(), || check.stop()).await?;
    let Some(outcome) = outcome else {
        say_error("stopped at once");
        return Ok(ExitCode::FAILURE);
    };
    let report = outcome?;
    if arguments.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else {
        let texts = report::texts(&report);
        texts.findings.iter().for_each(say_error);
        say(&texts.summary);
    }
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
