//! Retention: the rules of the configuration, and the noting of pulls that they ask for.

use std::sync::Arc;

use anyhow::Context as _;
use config::{Config, Retention};
use registry::limits::PULLS_FLUSH_INTERVAL;
use registry::retention::{Keep, RetentionRule, WholeMatch};
use registry::{Registry, RepositoryPattern, RetentionRules, TagPattern};
use server::App;
use tracing::warn;

/// The rules, if there are any in force.
///
/// # Errors
/// When a pattern or an expression that the configuration let pass is none.
pub(crate) fn rules(config: &Config) -> anyhow::Result<Option<RetentionRules>> {
    let retention = &config.retention;
    if !retention.enabled || retention.rules.is_empty() {
        return Ok(None);
    }
    let rules = retention.rules.iter().enumerate().map(|(index, written)| {
        rule(written).with_context(|| format!("retention.rules.{index} can't be used"))
    });
    Ok(Some(RetentionRules { rules: rules.collect::<Result<_, _>>()?, dry_run: retention.dry_run }))
}

fn rule(rule: &config::RetentionRule) -> anyhow::Result<RetentionRule> {
    fn all<T, E>(texts: &[String], parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, E> {
        texts.iter().map(|text| parse(text)).collect()
    }
    Ok(RetentionRule {
        repositories: all(&rule.repositories, RepositoryPattern::parse)?,
        repository_expressions: all(&rule.repository_expressions, WholeMatch::parse)?,
        tags: all(&rule.tags, TagPattern::parse)?,
        tag_expressions: all(&rule.tag_expressions, WholeMatch::parse)?,
        keep: Keep {
            all: rule.all,
            newest: rule.newest,
            semver: rule.semver,
            pushed_within: rule.pushed_within,
            pulled_within: rule.pulled_within,
        },
        untagged: rule.untagged_older_than,
    })
}

/// Whether pulls have to be noted.
pub(crate) fn asks_for_pulls(retention: &Retention) -> bool {
    retention.enabled && retention.rules.iter().any(|rule| rule.pulled_within.is_some())
}

/// Whether it has to show when a tag is pushed that names its manifest already.
pub(crate) fn asks_for_pushes(retention: &Retention) -> bool {
    let asks = |rule: &config::RetentionRule| rule.newest.is_some() || rule.pushed_within.is_some();
    retention.enabled && retention.rules.iter().any(asks)
}

/// Writes down what was pulled, every minute until `stopped` and once more then. In read-only mode
/// it waits. Where nobody asks for pulls it notes that, and ends.
pub(crate) async fn note_pulls(app: Arc<App>, stopped: impl Future<Output = ()>) {
    let registry = app.registry();
    if !registry.notes_pulls() {
        if !app.read_only().is_on()
            && let Err(error) = registry.end_pulls().await
        {
            warn!(%error, "it can't be noted that pulls are not noted");
        }
        return;
    }
    let mut is_known_to_fail = false;
    let noting = async {
        loop {
            if !app.read_only().is_on() {
                flush(registry, &mut is_known_to_fail).await;
            }
            tokio::time::sleep(FLUSH_PAUSE_MIN).await;
            tokio::select! {
                () = tokio::time::sleep(PULLS_FLUSH_INTERVAL - FLUSH_PAUSE_MIN) => {}
                () = registry.pulls_crowded() => {}
            }
        }
    };
    tokio::select! {
        () = noting => {}
        () = stopped => {}
    }
    if !app.read_only().is_on() {
        flush(registry, &mut false).await;
    }
}

/// However much is pulled, it is not written down more often than that.
const FLUSH_PAUSE_MIN: std::time::Duration = std::time::Duration::from_secs(5);

async fn flush(registry: &Registry, is_known_to_fail: &mut bool) {
    match registry.flush_pulls().await {
        Ok(()) => *is_known_to_fail = false,
        Err(error) if !*is_known_to_fail => {
            *is_known_to_fail = true;
            warn!(%error, "it can't be written down what was pulled; it will be tried again");
        }
        Err(_) => {}
    }
}
