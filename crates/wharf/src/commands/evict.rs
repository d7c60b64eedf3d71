//! `wharf mirror evict`.

use std::process::ExitCode;
use std::sync::Arc;

use config::Config;
use indicatif::{HumanBytes, HumanCount};
use registry::eviction::{Evicted, EvictionReport, UnitKind};

use super::{block_on, configuration, on_storage, say, say_error, with_causes};
use crate::cli::EvictArguments;
use crate::evicting;
use crate::storage_driver::For;

/// Evicts once from the storage of a configuration, beside the servers that use it.
pub(crate) fn run(arguments: &EvictArguments) -> ExitCode {
    let Some(config) = configuration(arguments.config.as_deref()) else {
        return ExitCode::FAILURE;
    };
    match evict(arguments, &config) {
        Ok(report) => {
            say(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say_error(format_args!("failed to evict: {}", with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

fn evict(arguments: &EvictArguments, config: &Config) -> anyhow::Result<String> {
    anyhow::ensure!(
        evicting::is_wanted(config),
        "nothing is ever evicted with this configuration: set proxy.remoteurl or proxy.upstreams, \
         and proxy.maxsize or a ttl"
    );
    anyhow::ensure!(
        !matches!(config.storage.driver, config::Driver::InMemory),
        "storage driver inmemory holds nothing beyond the process that serves it"
    );
    let dry_run = arguments.dry_run;
    let purpose = if dry_run { For::Reading } else { For::Writing };
    let report = block_on(async {
        let registry = Arc::new(on_storage::registry(config, purpose).await?);
        let eviction = evicting::eviction(config, &registry, dry_run)?;
        let eviction = eviction.with_observer(Arc::new(evicting::log));
        anyhow::Ok(eviction.run().await?)
    })
    .flatten()?;
    Ok(match arguments.json {
        true => format!("{}\n", serde_json::to_string_pretty(&report)?),
        false => summary(&report),
    })
}

/// A line for everything that goes, and one for all of it.
fn summary(report: &EvictionReport) -> String {
    let verb = if report.dry_run { "would go" } else { "evicted" };
    let mut text = String::new();
    for Evicted { repository, kind, digest, reason, last_used, .. } in &report.taken {
        let kind = match kind {
            UnitKind::Manifest => "manifest",
            UnitKind::Blob => "blob",
        };
        let reason = reason.as_str();
        text += &format!("{verb}: {kind} {repository}@{digest} ({reason}; used {last_used})\n");
    }
    let (age, size) = (&report.by_age, &report.by_size);
    text + &format!(
        "{verb}: {} by age, {} by size; {} cached, {} before; {} of data deleted\n",
        HumanCount(age.units()),
        HumanCount(size.units()),
        HumanBytes(report.bytes_after),
        HumanBytes(report.bytes_before),
        HumanBytes(report.deleted.blob_bytes),
    )
}
