//! `wharf garbage-collect`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use config::Config;
use indicatif::{HumanBytes, HumanCount};
use registry::collection::{Counts, Event, Garbage, Observer, Promises, Reason, Report};
use registry::{Collection, CollectionOptions, Registry};

use super::{block_on, configuration, on_storage, say, say_error, with_causes};
use crate::cli::CollectArguments;
use crate::storage_driver::For;
use crate::{mirroring, presence, retention, shutdown};

/// Collects once on the storage of a configuration.
pub(crate) fn run(arguments: &CollectArguments) -> ExitCode {
    let Some(config) = configuration(arguments.config.as_deref()) else {
        return ExitCode::FAILURE;
    };
    match collect(arguments, &config) {
        Ok(code) => code,
        Err(error) => {
            say_error(format_args!("failed to garbage collect: {}", with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

fn collect(arguments: &CollectArguments, config: &Config) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !matches!(config.storage.driver, config::Driver::InMemory),
        "storage driver inmemory holds nothing beyond the process that serves it: there is nothing \
         to collect"
    );
    let report = block_on(async {
        let purpose = if arguments.dry_run { For::Reading } else { For::Writing };
        let registry = Arc::new(on_storage::registry(config, purpose).await?);
        let older_than = age(arguments, config, &registry).await?;
        collect_on(arguments, config, registry, older_than).await
    })
    .flatten()?;
    if arguments.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else if !arguments.quiet {
        say(&summary(&report));
    }
    Ok(if report.stopped { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Looks for servers that start meanwhile, while what is collected was found to have none.
fn promises(registry: &Registry) -> Promises {
    let driver = Arc::clone(registry.driver());
    Arc::new(move || {
        let driver = Arc::clone(&driver);
        Box::pin(async move { Ok(presence::promised(&*driver).await?.unwrap_or_default()) })
    })
}

/// How old something has to be to go. What a running server has promised to its clients is kept.
async fn age(
    arguments: &CollectArguments,
    config: &Config,
    registry: &Registry,
) -> anyhow::Result<Duration> {
    let Some(promised) = presence::promised(&**registry.driver()).await? else {
        return Ok(arguments.older_than.unwrap_or_default());
    };
    let age = arguments.older_than.unwrap_or_else(|| config.storage.gc.grace.max(promised));
    anyhow::ensure!(
        age >= promised || arguments.dry_run,
        "a server uses this storage and promises its clients to keep for {} s what it told them is \
         there (storage.maintenance.gc.grace): take that for --older-than at least, or stop the \
         server first",
        promised.as_secs()
    );
    if !arguments.quiet {
        say_error(format_args!(
            "a server uses this storage, and may go on: what is younger than {} s stays",
            age.as_secs()
        ));
    }
    Ok(age)
}

async fn collect_on(
    arguments: &CollectArguments,
    config: &Config,
    registry: Arc<Registry>,
    older_than: Duration,
) -> anyhow::Result<Report> {
    let purging = &config.storage.upload_purging;
    let pattern = arguments.repository.clone();
    let collect_options = CollectionOptions {
        older_than,
        promises: Some(promises(&registry)),
        untagged: arguments.delete_untagged,
        referrers: config.storage.gc.referrers,
        repositories: pattern.map(|pattern| -> registry::collection::Selection {
            Arc::new(move |name| pattern.matches(name))
        }),
        rate: arguments.rate,
        dry_run: arguments.dry_run,
        tells_parts: !is_silent(arguments),
        uploads_older_than: purging.enabled.then_some(purging.age),
        uploads_dry_run: purging.dry_run,
        retention: retention::rules(config)?.map(Arc::new),
        cached: mirroring::selection(config)?,
    };
    let only_told = collect_options.retention.as_ref().is_some_and(|rules| rules.dry_run);
    let collection =
        Collection::new(registry, collect_options).with_observer(observer(arguments, only_told));
    let told = shutdown::requested().context("signals can't be received")?;
    let running = collection.run();
    tokio::pin!(running);
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = told => {
            collection.stop();
            say_error("stopping");
            running.await
        }
    };
    Ok(outcome?)
}

/// Whether nothing is said of what happens.
const fn is_silent(arguments: &CollectArguments) -> bool {
    arguments.quiet || arguments.json
}

/// Says what happens, in the words of Distribution where it says the same: scripts look for them. What
/// there is to say beyond that comes behind it, on the same line.
fn observer(arguments: &CollectArguments, only_told: bool) -> Observer {
    let is_silent = is_silent(arguments);
    let (dry_run, explain) = (arguments.dry_run, arguments.explain);
    Arc::new(move |event: &Event<'_>| match event {
        Event::Problem { problem } => {
            let repository = problem.repository.as_deref().map(|name| format!("{name}: "));
            say_error(format_args!("{}{}", repository.unwrap_or_default(), problem.what));
        }
        _ if is_silent => {}
        Event::Repository { name } => say(&format!("{name}\n")),
        Event::Marked { name, digest } => say(&format!("{name}: marking manifest {digest} \n")),
        Event::MarkedPart { name, digest } => say(&format!("{name}: marking blob {digest}\n")),
        Event::Retention { name, tag, decision } if decision.verdict.keeps() => {
            if explain {
                say(&format!("tag {name}:{tag} kept: {decision}\n"));
            }
        }
        Event::Retention { name, tag, decision } => {
            let what = match only_told && !dry_run {
                true => "would go but for retention.dryrun",
                false => "eligible for deletion",
            };
            say(&format!("tag {name}:{tag} {what}: {decision}\n"));
        }
        // Said above.
        Event::Garbage { garbage: Garbage::Tag { .. }, .. } => {}
        Event::Garbage { garbage, reason } => say(&eligible(garbage, *reason)),
        Event::Deleted { garbage } => say(&format!("deleted {}\n", garbage)),
        Event::Upload { path, dry_run: true } => {
            say(&format!("upload eligible for deletion: {path}\n"))
        }
        Event::Upload { path, dry_run: false } => say(&format!("deleted upload {path}\n")),
        Event::RepositoryRemoved { name } => say(&format!("removed empty repository {name}\n")),
    })
}

/// That something would go or goes, in the words of Distribution, and why.
fn eligible(garbage: &Garbage, reason: Reason) -> String {
    let what = match garbage {
        Garbage::Blob { digest, size_bytes } => {
            format!("blob eligible for deletion: {digest} ({})", HumanBytes(*size_bytes))
        }
        Garbage::Layer { name, digest, .. } => {
            format!("{name}: layer link eligible for deletion: {digest}")
        }
        // As Go writes what it is deleted by: with its tags, of which there are none.
        Garbage::Manifest { name, digest, .. } => {
            format!("manifest eligible for deletion: {{{name} {digest} []}}")
        }
        Garbage::Tag { name, tag, .. } => format!("tag {name}:{tag} eligible for deletion"),
    };
    format!("{what}: {}\n", reason.as_str())
}

/// What came of it.
fn summary(report: &Report) -> String {
    let Report { garbage, deleted, .. } = report;
    let mut lines = vec![
        String::new(),
        format!(
            "{} blobs marked, {} blobs and {} manifests eligible for deletion ({} blobs seen, {} \
             manifests marked)",
            report.blobs_marked,
            garbage.blobs,
            garbage.manifests,
            report.blobs_seen,
            report.manifests_marked
        ),
    ];
    lines.push(match report.dry_run {
        true => format!("would be deleted: {}", counts(garbage)),
        false => format!("deleted: {}", counts(deleted)),
    });
    let Report { retention, .. } = report;
    if retention.kept + retention.going > 0 {
        let (kept, going) = (HumanCount(retention.kept), HumanCount(retention.going));
        lines.push(format!("retention: {kept} tags kept, {going} let go"));
    }
    for (count, what) in [
        (report.uploads, "abandoned uploads removed"),
        (report.repositories_removed, "empty repositories removed"),
        (report.young_blobs, "blobs that nothing refers to are too young to go"),
        (report.rescued, "things stay, as something has come to rely on them"),
        (report.problems_total, "things could not be read or deleted; `wharf check` looks closer"),
    ] {
        if count > 0 {
            lines.push(format!("{} {what}", HumanCount(count)));
        }
    }
    if report.left_over {
        lines.push("there is more than fits one run: collect again".to_owned());
    }
    if report.stopped {
        lines.push("stopped before its end; what is left goes the next time".to_owned());
    }
    lines.join("\n") + "\n"
}

fn counts(counts: &Counts) -> String {
    format!(
        "{} blobs of {}, {} manifests, {} layer links, {} tags",
        HumanCount(counts.blobs),
        HumanBytes(counts.blob_bytes),
        HumanCount(counts.manifests),
        HumanCount(counts.layers),
        HumanCount(counts.tags)
    )
}
