//! `wharf check`.

mod progress;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use config::Config;
use registry::{Check, CheckOptions};
use storage::Driver;

use super::{block_on, configuration, say, say_error, with_causes};
use crate::cli::CheckArguments;
use crate::mirroring;
use crate::storage_driver::{self, For};

/// It was not even begun.
const NOT_BEGUN: u8 = 2;

/// Checks the storage of a configuration.
pub(crate) fn run(arguments: &CheckArguments) -> ExitCode {
    let Some(config) = configuration(arguments.config.as_deref()) else {
        return ExitCode::from(NOT_BEGUN);
    };
    let checked = block_on(async {
        let driver = open(arguments, &config).await?;
        check_storage(arguments, &config, driver).await
    });
    match checked.flatten() {
        Ok(code) => code,
        Err(error) => {
            say_error(with_causes(&error));
            ExitCode::from(NOT_BEGUN)
        }
    }
}

/// Opens the storage; for writing only where something is to be mended.
async fn open(arguments: &CheckArguments, config: &Config) -> anyhow::Result<Arc<dyn Driver>> {
    anyhow::ensure!(
        !matches!(config.storage.driver, config::Driver::InMemory),
        "storage driver inmemory holds nothing beyond the process that serves it: there is nothing \
         to check"
    );
    let purpose = if arguments.repair { For::Writing } else { For::Reading };
    storage_driver::open_there(&config.storage, purpose).await
}

async fn check_storage(
    arguments: &CheckArguments,
    config: &Config,
    driver: Arc<dyn Driver>,
) -> anyhow::Result<ExitCode> {
    let options = CheckOptions {
        repair: arguments.repair,
        quick: arguments.quick,
        repositories: arguments.repository.clone(),
        concurrency: usize::from(arguments.concurrency),
        rate: arguments.rate,
        cached: mirroring::selection(config)?,
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
