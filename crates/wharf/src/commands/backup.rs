//! `wharf backup`: snapshots of a registry.

mod place;
mod report;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use archive::Backup;
use archive::backup::{CreateOptions, RestoreOptions};
use registry::Registry;

use super::job::{self, Outcome};
use super::registry_of;
use crate::cli::{
    BackupCommand, CreateArguments, PruneArguments, RestoreArguments, VerifyArguments,
};
use crate::{mirroring, options, storage_driver};
use report::Texts;

/// Runs one of the commands.
pub(crate) fn run(command: &BackupCommand) -> ExitCode {
    match command {
        BackupCommand::Create(arguments) => create(arguments),
        BackupCommand::List { place, json } => list(place, *json),
        BackupCommand::Verify(arguments) => verify(arguments),
        BackupCommand::Restore(arguments) => restore(arguments),
        BackupCommand::Prune(arguments) => prune(arguments),
    }
}

fn create(arguments: &CreateArguments) -> ExitCode {
    job::run(async |meter| {
        let config = registry_of(&arguments.config)?;
        let source = storage_driver::open_for_reading(&config.storage).await;
        let source = source.with_context(|| arguments.config.display().to_string())?;
        let place = place::open_for_writing(&arguments.place).await?;
        let backup = Backup::make(place).await;
        let backup = backup.with_context(|| arguments.place.display().to_string())?;
        let registry = Registry::new(source, reading(options::registry(&config)));
        let options = CreateOptions {
            concurrency: usize::from(arguments.common.concurrency),
            left_out: match arguments.mirrored {
                true => None,
                false => mirroring::selection(&config)?,
            },
        };
        let outcome = backup.create(&registry, &options, &meter).await;
        ended(outcome, arguments.common.json, report::of_create, |r| r.is_success())
    })
}

fn list(place: &Path, as_json: bool) -> ExitCode {
    job::run(async |_| {
        let snapshots = open(place).await?.snapshots().await;
        let snapshots = snapshots.with_context(|| place.display().to_string())?;
        let summary = if as_json { job::json(&snapshots)? } else { report::of_list(&snapshots) };
        Ok(Outcome::Done { summary, findings: Vec::new(), is_success: true })
    })
}

fn verify(arguments: &VerifyArguments) -> ExitCode {
    job::run(async |meter| {
        let backup = open(&arguments.place).await?;
        let concurrency = usize::from(arguments.common.concurrency);
        let outcome = backup.verify(arguments.snapshot.as_deref(), concurrency, &meter).await;
        ended(outcome, arguments.common.json, report::of_verify, |r| r.is_success())
    })
}

fn restore(arguments: &RestoreArguments) -> ExitCode {
    job::run(async |meter| {
        let config = registry_of(&arguments.config)?;
        let backup = open(&arguments.place).await?;
        // Nothing is opened for writing, or made, for what isn't there.
        let found = backup.find_snapshot(arguments.snapshot.as_deref()).await;
        found.with_context(|| arguments.place.display().to_string())?;
        let target = match arguments.dry_run {
            true => storage_driver::open_without_making(&config.storage).await,
            false => storage_driver::open_for_writing(&config.storage).await,
        };
        let target = target.with_context(|| arguments.config.display().to_string())?;
        let options = RestoreOptions {
            snapshot: arguments.snapshot.clone(),
            repositories: arguments.repository.clone(),
            overwrite: arguments.overwrite,
            dry_run: arguments.dry_run,
            concurrency: usize::from(arguments.common.concurrency),
        };
        let outcome = backup.restore(&target, &options, &meter).await;
        ended(outcome, arguments.common.json, report::of_restore, |r| r.is_success())
    })
}

fn prune(arguments: &PruneArguments) -> ExitCode {
    job::run(async |meter| {
        let place = match arguments.dry_run {
            true => place::open_for_reading(&arguments.place).await?,
            false => place::open_for_pruning(&arguments.place).await?,
        };
        let backup = Backup::open(place).await;
        let backup = backup.with_context(|| arguments.place.display().to_string())?;
        let keep = usize::try_from(arguments.keep).unwrap_or(usize::MAX);
        let outcome = backup.prune(keep, arguments.dry_run, &meter).await;
        ended(outcome, arguments.json, report::of_prune, |_| true)
    })
}

/// Opens a backup for reading.
async fn open(place: &Path) -> anyhow::Result<Backup> {
    let backup = Backup::open(place::open_for_reading(place).await?).await;
    backup.with_context(|| place.display().to_string())
}

/// Each manifest is read once.
fn reading(options: registry::Options) -> registry::Options {
    registry::Options { manifest_cache_entries: 0, ..options }
}

/// What a job that was begun has to say at its end.
fn ended<R: serde::Serialize>(
    outcome: Result<R, archive::BackupError>,
    as_json: bool,
    texts_of: impl FnOnce(&R) -> Texts,
    is_success: impl FnOnce(&R) -> bool,
) -> anyhow::Result<Outcome> {
    use archive::BackupError as E;
    let report = match outcome {
        Ok(report) => report,
        Err(
            error @ (E::Busy { .. }
            | E::NoSnapshots
            | E::SnapshotUnknown { .. }
            | E::NothingFits { .. }),
        ) => {
            return Err(error.into());
        }
        Err(error) => return Ok(Outcome::Failed(error.into())),
    };
    let is_success = is_success(&report);
    if as_json {
        let summary = job::json(&report)?;
        return Ok(Outcome::Done { summary, findings: Vec::new(), is_success });
    }
    let Texts { summary, findings } = texts_of(&report);
    Ok(Outcome::Done { summary, findings, is_success })
}
