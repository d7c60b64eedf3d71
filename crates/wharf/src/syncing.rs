//! Replication from and to other registries, as the configuration wants it.

mod pushes;
mod schedule;

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use config::{Config, SyncJob, SyncRemote, When};
use proxy::NameRules;
use registry::retention::WholeMatch;
use registry::{Registry, TagPattern};
use server::WriteGate;
use sync::{
    Direction, Gate, Job, NameMap, Pace, Platform, Platforms, Selection, Synchronizer, VersionRange,
};
use tokio::sync::Notify;

pub(crate) use self::pushes::watcher;
pub(crate) use self::schedule::run;

use crate::{mirroring, remotes};

/// A job, and when this server does it.
#[derive(Debug)]
pub(crate) struct Scheduled {
    /// Who does it.
    pub(crate) synchronizer: Arc<Synchronizer>,
    when: Option<When>,
    on_push: bool,
    dry_run: bool,
    /// Told when something was queued.
    woken: Notify,
}

impl Scheduled {
    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.synchronizer.job().name
    }
}

/// All jobs, for a server.
///
/// # Errors
/// When one can't be done as it is configured, with its name and the reason.
pub(crate) fn open(
    config: &Config,
    registry: &Arc<Registry>,
    gate: &WriteGate,
) -> anyhow::Result<Vec<Arc<Scheduled>>> {
    let scheduled = |job: &SyncJob| {
        Ok(Arc::new(Scheduled {
            synchronizer: Arc::new(synchronizer(config, job, registry, gate)?),
            when: job.when.clone(),
            on_push: job.on_push,
            dry_run: job.dry_run,
            woken: Notify::new(),
        }))
    };
    config.sync.jobs.iter().map(scheduled).collect()
}

/// Who does a job.
///
/// # Errors
/// As [`open`].
pub(crate) fn synchronizer(
    config: &Config,
    job: &SyncJob,
    registry: &Arc<Registry>,
    gate: &WriteGate,
) -> anyhow::Result<Synchronizer> {
    let parsed = parsed(job).with_context(|| format!("sync: {}", job.name))?;
    let mirrored = mirroring::selection(config)?;
    let gate = Arc::new(Admission(gate.clone()));
    Ok(Synchronizer::new(Arc::clone(registry), parsed, mirrored).with_gate(gate))
}

/// Texts were checked with the configuration.
fn parsed(job: &SyncJob) -> anyhow::Result<Job> {
    let remote = job.remote.remote();
    let called = remote.registry().unwrap_or_else(|| job.name.clone());
    let client = remotes::client(&called, remote, NameRules::default())?;
    let tags = job.tags.iter().map(|text| TagPattern::parse(text));
    let expressions = job.tag_expressions.iter().map(|text| WholeMatch::parse(text));
    let newest = job.newest.map(|count| usize::try_from(count.get()).unwrap_or(usize::MAX));
    let platforms = job.platforms.iter().map(|text| Platform::parse(text));
    let rewrite = job.rewrite.iter().map(|rule| (rule.from.clone(), rule.to.clone()));
    Ok(Job {
        name: job.name.clone(),
        direction: match job.remote {
            SyncRemote::From(_) => Direction::From(Arc::new(client)),
            SyncRemote::To(_) => Direction::To(Arc::new(client)),
        },
        selection: Selection {
            repositories: remotes::patterns(&job.repositories)?,
            tags: tags.collect::<Result<_, _>>()?,
            tag_regexes: expressions.collect::<Result<_, _>>()?,
            semver: job.semver.as_deref().map(VersionRange::parse).transpose()?,
            newest: newest.and_then(NonZeroUsize::new),
        },
        names: NameMap { rewrite: rewrite.collect(), prefix: job.prefix.clone() },
        platforms: Platforms(platforms.collect::<Result<_, _>>()?),
        referrers: job.referrers,
        pace: Pace { bytes_per_second: job.bandwidth, requests_per_minute: job.request_rate },
        concurrency: job.concurrency,
    })
}

/// What requests are held to, for jobs.
#[derive(Debug)]
struct Admission(WriteGate);

#[async_trait]
impl Gate for Admission {
    async fn admit(&self, bytes: u64) -> Result<(), String> {
        self.0.admit(bytes).await
    }
}
