//! Planning: what of the source the target lacks.

mod lacking;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use oci::{Digest, Reference, RepositoryName, Tag};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::companions::{ByDigest, among, belonging};
use crate::engine::Engine;
use crate::fault::Result;
use crate::limits::{FAILURES_IN_A_ROW_MAX, LOOKS_AT_ONCE};
use crate::place::{Content, Place, Tags};
use crate::tally::Problems;
use crate::{Plan, PlannedItem, Reason, SyncError};

/// How a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanEnd {
    /// Everything was looked at, whatever came of it.
    Whole,
    /// It was told to stop.
    Stopped,
    /// A side did not work, and what came last was not looked at.
    BrokenOff {
        /// For how long the remote wants to be left alone, if it says so.
        wait: Option<Duration>,
    },
}

impl Engine {
    /// What the target lacks, at most so many items, and whether everything was looked at.
    pub(crate) async fn plan(
        &self,
        items_max: usize,
        stop: &CancellationToken,
    ) -> std::result::Result<(Plan, PlanEnd), SyncError> {
        let mut plan = Plan::default();
        let mut problems = Problems::default();
        let (names, more) =
            self.source.repositories(&self.job.selection).await.map_err(|fault| {
                self.health.heed(&fault);
                SyncError::Source(fault.text())
            })?;
        plan.deferred += more;
        let (mut end, mut failures_in_a_row) = (PlanEnd::Whole, 0);
        for from in names {
            if stop.is_cancelled() {
                end = PlanEnd::Stopped;
                break;
            }
            if failures_in_a_row >= FAILURES_IN_A_ROW_MAX || self.health.paused_until().is_some() {
                let reason = "it was not looked at, nor what sorts behind it, as too much failed";
                problems.add(&from, None, reason.to_owned());
                break;
            }
            plan.repositories += 1;
            let planned = self.plan_repository(&from, items_max, &mut plan, &mut problems).await;
            (end, failures_in_a_row) = match &planned {
                Err(fault) if fault.is_of_all() => {
                    self.health.heed(fault);
                    (PlanEnd::BrokenOff { wait: fault.wait() }, failures_in_a_row + 1)
                }
                _ => (PlanEnd::Whole, 0),
            };
            if let Err(fault) = planned {
                problems.add(&from, None, fault.text());
            }
        }
        (plan.problems, plan.problems_unlisted) = (problems.listed, problems.unlisted);
        Ok((plan, end))
    }

    async fn plan_repository(
        &self,
        from: &RepositoryName,
        items_max: usize,
        plan: &mut Plan,
        problems: &mut Problems,
    ) -> Result<()> {
        let to = self.target_of(from)?;
        let at = Instant::now();
        let Tags { names: tags, is_cut } = self.source.tags(from).await?;
        if is_cut {
            let reason = format!("it has more tags than the {} that are looked at", tags.len());
            problems.add(from, None, reason);
        }
        let companions = match self.job.referrers {
            true => among(&tags),
            false => ByDigest::new(),
        };
        let companions = Arc::new(companions);
        if self.job.referrers {
            self.companions.note(from, at, Arc::clone(&companions));
        }
        let tags = self.selected(from, tags).await?;
        plan.looked_at += tags.len() as u64;
        let looks = tags.into_iter().map(|tag| {
            let (to, companions) = (&to, &companions);
            async move {
                let looked = self.look(from, to, &tag, companions).await;
                (tag, looked)
            }
        });
        let mut looks = std::pin::pin!(stream::iter(looks).buffered(LOOKS_AT_ONCE));
        while let Some((tag, looked)) = looks.next().await {
            match looked {
                Ok(None) => {}
                Ok(Some(_)) if plan.items.len() >= items_max => plan.deferred += 1,
                Ok(Some(item)) => plan.items.push(item),
                Err(fault) if fault.is_of_all() => return Err(fault),
                Err(fault) => problems.add(from, Some(&Reference::Tag(tag)), fault.text()),
            }
        }
        Ok(())
    }

    /// The tags that are copied.
    async fn selected(&self, from: &RepositoryName, tags: Vec<Tag>) -> Result<Vec<Tag>> {
        let selection = &self.job.selection;
        // What belongs to another manifest goes along with it.
        let is_meant = |tag: &Tag| {
            selection.selects_tag(tag) && (!self.job.referrers || belonging(tag).is_none())
        };
        let tags: Vec<_> = tags.into_iter().filter(is_meant).collect();
        if selection.newest.is_none_or(|newest| tags.len() <= newest.get()) {
            return Ok(tags);
        }
        let times = tags.into_iter().map(|tag| async move {
            let time = self.source.time_of(from, &tag, &self.ages).await?;
            Ok::<_, crate::fault::Fault>((tag, time))
        });
        let mut times = std::pin::pin!(stream::iter(times).buffered(LOOKS_AT_ONCE));
        let mut timed = Vec::new();
        while let Some(tag) = times.next().await {
            timed.push(tag?);
        }
        Ok(selection.newest_of(timed))
    }

    /// Whether a tag is to be copied, and why.
    async fn look(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        tag: &Tag,
        companions: &ByDigest,
    ) -> Result<Option<PlannedItem>> {
        let reference = Reference::Tag(tag.clone());
        let Some(digest) = self.source.resolve(from, &reference).await? else { return Ok(None) };
        let reason = match self.target.resolve(to, &reference).await? {
            None => Reason::New,
            Some(there) if there != digest => Reason::Moved,
            Some(_) => match self.lacked(from, to, digest, companions).await? {
                Some(reason) => reason,
                None => return Ok(None),
            },
        };
        let size_bytes = match &self.source {
            Place::Here(_) => self.size_of(from, digest).await?,
            // Reading a manifest may count as a pull there.
            Place::There(_) => None,
        };
        Ok(Some(PlannedItem {
            repository: from.to_string(),
            target: to.to_string(),
            reference: tag.to_string(),
            digest: digest.to_string(),
            reason,
            size_bytes,
        }))
    }

    /// The size of what is copied of an image or an index, in bytes.
    async fn size_of(&self, from: &RepositoryName, digest: Digest) -> Result<Option<u64>> {
        let mut size_bytes = 0_u64;
        for digest in self.tree_of(&self.source, from, digest).await? {
            let found = self.source.manifest(from, &digest).await?;
            let parts = Content::parse(&found)?.size_bytes().unwrap_or_default();
            size_bytes = size_bytes.saturating_add(found.content.len() as u64 + parts);
        }
        Ok(Some(size_bytes))
    }
}
