//! Which units go.

use std::time::SystemTime;

use super::report::{EvictionReason, EvictionReport};
use super::survey::{CachedRepository, Survey, Unit};
use super::{EvictionOptions, Plan, UnitKind};
use crate::claims::Claim;

/// What is decided, step by step.
struct Choice<'a> {
    survey: &'a Survey<'a>,
    plan: &'a mut Plan,
    report: &'a mut EvictionReport,
    /// How many units still have each blob.
    left: Vec<u32>,
    bytes: u64,
}

/// Plans what goes: what was not used for too long, then what was not used for longest, as long as
/// there is too much. A manifest goes before what depends on it.
pub(super) fn choose(
    survey: &Survey<'_>,
    options: &EvictionOptions,
    now: SystemTime,
    plan: &mut Plan,
    report: &mut EvictionReport,
) {
    let left = survey.table.blobs().iter().map(|blob| blob.units).collect();
    let mut choice = Choice { survey, plan, report, left, bytes: survey.table.bytes() };
    choice.take_dangling_tags();
    let mut stays = Vec::new();
    for unit in &survey.units {
        let Some(repository) = repository_of(survey, unit).filter(|r| !r.is_held) else { continue };
        if age(now, unit.used.last) < options.used_within {
            choice.report.in_use_units += 1;
        } else if repository.ttl.is_some_and(|ttl| age(now, unit.used.idle_since) > ttl) {
            choice.take(repository, unit, EvictionReason::Age);
        } else {
            stays.push(unit);
        }
    }
    if let Some(max_bytes) = options.max_bytes.filter(|max| choice.bytes > *max) {
        let percent = u128::from(options.low_water_percent.min(100));
        let low_bytes = u128::from(max_bytes) * percent / 100;
        stays.sort_unstable_by_key(|unit| {
            (unit.used.last, unit.used.depth, unit.repository, unit.digest)
        });
        for unit in stays {
            if u128::from(choice.bytes) <= low_bytes {
                break;
            }
            if let Some(repository) = repository_of(survey, unit) {
                choice.take(repository, unit, EvictionReason::Size);
            }
        }
    }
    choice.report.bytes_after = choice.bytes;
}

fn repository_of<'a>(survey: &'a Survey<'_>, unit: &Unit) -> Option<&'a CachedRepository> {
    survey.repositories.get(unit.repository as usize)
}

/// How long ago something was; what is in the future has just been.
fn age(now: SystemTime, time: SystemTime) -> std::time::Duration {
    now.duration_since(time).unwrap_or_default()
}

impl Choice<'_> {
    /// What a repository that is looked at anyway has of them goes.
    fn take_dangling_tags(&mut self) {
        for repository in self.survey.repositories.iter().filter(|r| !r.is_held) {
            if repository.has_dangling_tags {
                self.plan.going(&repository.name);
            }
        }
    }

    fn take(&mut self, repository: &CachedRepository, unit: &Unit, reason: EvictionReason) {
        let mut freed_bytes = 0;
        for place in &unit.blobs {
            let place = *place as usize;
            let Some(left) = self.left.get_mut(place) else { continue };
            *left = left.saturating_sub(1);
            if *left == 0 {
                freed_bytes += self.survey.table.blobs().get(place).map_or(0, |b| b.size_bytes);
            }
        }
        self.bytes = self.bytes.saturating_sub(freed_bytes);
        let going = self.plan.going(&repository.name);
        let claim = Claim::content(&unit.digest);
        match unit.kind {
            UnitKind::Manifest => going.manifests.insert(claim),
            UnitKind::Blob => going.layers.insert(claim),
        };
        self.report.taken(&repository.name, unit, reason, freed_bytes);
    }
}
