//! `wharf sync`.

mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use config::{Config, SyncJob};
use indicatif::{HumanBytes, HumanCount};
use registry::Registry;
use server::WriteGate;
use sync::{JobCounts, Synchronizer};
use tokio_util::sync::CancellationToken;

use self::report::{Done, Outcome, Standing};
use super::readonly::said;
use super::{block_on, configuration, on_storage, progress, say, say_error, with_causes};
use crate::cli::{SyncRunArguments, SyncStatusArguments};
use crate::storage_driver::For;
use crate::{options, syncing};

/// It was not even begun.
const NOT_BEGUN: u8 = 2;

/// How often it is looked whether the storage was switched to read-only, and how much of it is free.
const STORAGE_LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// Runs jobs on the storage of a configuration, beside the servers that use it.
pub(crate) fn run(arguments: &SyncRunArguments) -> ExitCode {
    let Some(config) = configuration(arguments.config.file.as_deref()) else {
        return ExitCode::from(NOT_BEGUN);
    };
    match run_jobs(arguments, &config) {
        Ok(done) => {
            let is_success = done.iter().all(Done::is_success);
            if arguments.json {
                if let Err(error) = say_json(&done) {
                    return not_begun(&error);
                }
            } else {
                for done in &done {
                    let texts = report::texts(done);
                    say(&texts.summary);
                    texts.findings.iter().for_each(say_error);
                }
            }
            if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => not_begun(&error),
    }
}

/// Shows how jobs stand.
pub(crate) fn status(arguments: &SyncStatusArguments) -> ExitCode {
    let Some(config) = configuration(arguments.config.file.as_deref()) else {
        return ExitCode::from(NOT_BEGUN);
    };
    match standings(arguments, &config) {
        Ok(standings) => {
            if arguments.json {
                if let Err(error) = say_json(&standings) {
                    return not_begun(&error);
                }
            } else {
                let texts: Vec<_> = standings.iter().map(report::standing).collect();
                say(&texts.join("\n"));
            }
            let has_failed = standings.iter().any(|standing| standing.status.failed_total > 0);
            if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => not_begun(&error),
    }
}

fn not_begun(error: &anyhow::Error) -> ExitCode {
    say_error(with_causes(error));
    ExitCode::from(NOT_BEGUN)
}

fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

/// The job of a name, or all of them.
fn chosen<'c>(config: &'c Config, name: Option<&str>) -> anyhow::Result<Vec<&'c SyncJob>> {
    let jobs = &config.sync.jobs;
    anyhow::ensure!(!jobs.is_empty(), "no job is configured: set sync.jobs");
    anyhow::ensure!(
        !matches!(config.storage.driver, config::Driver::InMemory),
        "storage driver inmemory holds nothing beyond the process that serves it"
    );
    let chosen: Vec<_> =
        jobs.iter().filter(|job| name.is_none_or(|name| name == job.name)).collect();
    let names = || jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>().join(", ");
    anyhow::ensure!(
        !chosen.is_empty(),
        "no job is called {}; there are: {}",
        name.unwrap_or_default(),
        names()
    );
    Ok(chosen)
}

fn run_jobs(arguments: &SyncRunArguments, config: &Config) -> anyhow::Result<Vec<Done>> {
    let chosen = chosen(config, arguments.job.as_deref())?;
    let is_dry = |job: &SyncJob| arguments.dry_run || job.dry_run;
    let writes = !chosen.iter().all(|job| is_dry(job));
    anyhow::ensure!(
        !writes || !config.storage.read_only,
        "the registry is read-only: storage.maintenance.readonly.enabled is set"
    );
    block_on(async {
        let purpose = if writes { For::Writing } else { For::Reading };
        let registry = Arc::new(on_storage::registry(config, purpose).await?);
        if writes && let Some(note) = registry.read_only_note().await? {
            anyhow::bail!("the registry is {}; `wharf readonly off` ends that", said(&note).trim());
        }
        let gate = gate(config, &registry);
        gate.look().await;
        let looking = tokio::spawn(look_again(gate.clone()));
        let jobs = chosen.iter().map(|job| {
            Ok((Arc::new(syncing::synchronizer(config, job, &registry, &gate)?), is_dry(job)))
        });
        let jobs = jobs.collect::<anyhow::Result<Vec<_>>>()?;
        let done = run_each(&jobs).await;
        looking.abort();
        done
    })
    .flatten()
}

fn gate(config: &Config, registry: &Arc<Registry>) -> WriteGate {
    let min = options::free_space_min(config.storage.free_space);
    WriteGate::new(Arc::clone(registry), config.storage.read_only, min)
}

async fn look_again(gate: WriteGate) {
    loop {
        tokio::time::sleep(STORAGE_LOOK_INTERVAL).await;
        gate.look().await;
    }
}

/// Runs jobs one after the other, those that are dry without writing anything.
async fn run_each(jobs: &[(Arc<Synchronizer>, bool)]) -> anyhow::Result<Vec<Done>> {
    let stop = CancellationToken::new();
    let work = async {
        let mut done = Vec::new();
        for (job, is_dry) in jobs {
            if stop.is_cancelled() {
                break;
            }
            let outcome = match is_dry {
                true => job.plan().await.map(Outcome::Planned),
                false => job.run(&stop).await.map(Outcome::Ran),
            };
            let outcome = outcome.unwrap_or_else(|error| Outcome::Failed(error.to_string()));
            let is_left = matches!(&outcome, Outcome::Ran(report) if report.left > 0);
            let status = if is_left { job.status().await.ok() } else { None };
            let oldest = status.and_then(|status| status.oldest);
            done.push(Done { job: job.job().name.clone(), outcome, oldest });
        }
        done
    };
    let looked_at: Vec<_> = jobs.iter().map(|(job, _)| Arc::clone(job)).collect();
    let look = move || Shown(looked_at.iter().map(|job| job.counts()).collect());
    progress::run(work, look, || stop.cancel())
        .await?
        .context("stopped at once; what is queued is gone on with by the next run")
}

/// How far runs are. How much there is to do shows only at their ends.
struct Shown(Vec<JobCounts>);

impl Shown {
    fn sum(&self, figure: impl Fn(&JobCounts) -> u64) -> u64 {
        self.0.iter().map(figure).sum()
    }
}

impl progress::Progress for Shown {
    fn position(&self) -> (u64, u64) {
        let done = self.sum(|counts| counts.copied + counts.skipped);
        (done, (done + self.sum(|counts| counts.queued)).max(1))
    }

    fn read_bytes(&self) -> u64 {
        self.sum(|counts| counts.bytes)
    }

    fn text(&self, bytes_per_sec: u64) -> String {
        format!(
            "{} copied, {} were there, {} queued; {}, {}/s",
            HumanCount(self.sum(|counts| counts.copied)),
            HumanCount(self.sum(|counts| counts.skipped)),
            HumanCount(self.sum(|counts| counts.queued)),
            HumanBytes(self.read_bytes()),
            HumanBytes(bytes_per_sec),
        )
    }
}

fn standings(arguments: &SyncStatusArguments, config: &Config) -> anyhow::Result<Vec<Standing>> {
    let chosen = chosen(config, arguments.job.as_deref())?;
    block_on(async {
        let registry = Arc::new(on_storage::registry(config, For::Reading).await?);
        let gate = gate(config, &registry);
        let mut standings = Vec::new();
        for job in chosen {
            let synchronizer = syncing::synchronizer(config, job, &registry, &gate)?;
            standings.push(Standing {
                job: job.name.clone(),
                direction: job.remote.key(),
                remote: job.remote.remote().urls.first().cloned().unwrap_or_default(),
                status: synchronizer.status().await.with_context(|| job.name.clone())?,
            });
        }
        Ok(standings)
    })
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::progress::Progress as _;
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let counts =
            JobCounts { copied: 3, skipped: 1, queued: 1000, bytes: 6 << 20, ..Default::default() };
        let shown = Shown(vec![counts, JobCounts { queued: 5, ..Default::default() }]);
        assert_eq!(shown.position(), (4, 1009));
        assert_eq!(
            shown.text(3 << 20),
            "3 copied, 1 were there, 1,005 queued; 6.00 MiB, 3.00 MiB/s"
        );
        assert_eq!(Shown(Vec::new()).position(), (0, 1));
    }
}
