//! Planning: what of the source the target lacks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use oci::{Digest, ManifestKind, Reference, RepositoryName, Tag};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::companions::{ByDigest, among, belonging};
use crate::engine::Engine;
use crate::fault::Result;
use crate::limits::{
    DEPTH_MAX, FAILURES_IN_A_ROW_MAX, LOOKS_AT_ONCE, MANIFESTS_MAX, REFERRERS_DEPTH_MAX,
};
use crate::place::{Content, Place, Tags};
use crate::tally::Problems;
use crate::{Child, Plan, PlannedItem, Reason, SyncError};

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
                fault.wait().into_iter().for_each(|wait| self.health.pause(wait));
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
                    fault.wait().into_iter().for_each(|wait| self.health.pause(wait));
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

    /// A manifest of a side, and the manifests that are copied with it.
    async fn tree_of(
        &self,
        place: &Place,
        name: &RepositoryName,
        root: Digest,
    ) -> Result<Vec<Digest>> {
        let (mut tree, mut level) = (vec![root], vec![root]);
        for _ in 0..DEPTH_MAX {
            let mut next = Vec::new();
            for digest in level {
                let found = place.manifest(name, &digest).await?;
                if !matches!(Content::parse(&found)?.manifest.kind, ManifestKind::Index { .. }) {
                    continue;
                }
                let children = Child::of_index(&found.content).unwrap_or_default();
                let chosen = self.job.platforms.chosen(&children);
                let manifests = chosen.into_iter().filter(|child| child.is_manifest());
                for digest in manifests.filter_map(Child::parsed_digest) {
                    if tree.len() < MANIFESTS_MAX && !tree.contains(&digest) {
                        tree.push(digest);
                        next.push(digest);
                    }
                }
            }
            level = next;
        }
        Ok(tree)
    }

    /// What the target lacks of a manifest that it has.
    async fn lacked(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: Digest,
        companions: &ByDigest,
    ) -> Result<Option<Reason>> {
        // Nothing is asked of what is known to be there in whole, and has no referrers to look for.
        if !self.job.referrers && self.whole.has(to, &digest) {
            return Ok(None);
        }
        let Some(tree) = self.tree_at_target(from, to, digest).await? else {
            return Ok(Some(Reason::Incomplete));
        };
        self.whole.note(to, &digest);
        let lacks_referrers = self.job.referrers && self.lacks(from, to, tree, companions).await?;
        Ok(lacks_referrers.then_some(Reason::Referrers))
    }

    /// A manifest that both sides have, and the manifests that are copied with it; `None` when the
    /// target lacks one of these, as it does when they were left out by `platforms` before.
    async fn tree_at_target(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        root: Digest,
    ) -> Result<Option<Vec<Digest>>> {
        // Here it can be read without being counted by anybody.
        match &self.source {
            Place::There(_) => match self.tree_of(&self.target, to, root).await {
                Err(fault) if fault.is_unknown_here() => Ok(None),
                tree => tree.map(Some),
            },
            Place::Here(_) => {
                let tree = self.tree_of(&self.source, from, root).await?;
                if !self.whole.has(to, &root) {
                    for digest in tree.iter().skip(1) {
                        let by_digest = Reference::Digest(*digest);
                        if self.target.resolve(to, &by_digest).await?.is_none() {
                            return Ok(None);
                        }
                    }
                }
                Ok(Some(tree))
            }
        }
    }

    /// Whether the target lacks anything that refers to any of these manifests.
    async fn lacks(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        tree: Vec<Digest>,
        companions: &ByDigest,
    ) -> Result<bool> {
        let mut level = tree;
        // Gathered first: an iterator over closures may not wait in a future that is to be sent.
        let tags: Vec<_> = level.iter().filter_map(|d| companions.get(d)).flatten().collect();
        for tag in tags {
            let reference = Reference::Tag(tag.clone());
            let here = self.source.resolve(from, &reference).await?;
            if here.is_some() && here != self.target.resolve(to, &reference).await? {
                return Ok(true);
            }
        }
        for _ in 0..REFERRERS_DEPTH_MAX {
            let mut next = Vec::new();
            for subject in level {
                let referrers = self.source.referrers(from, &subject).await?;
                if referrers.is_empty() {
                    continue;
                }
                let there = self.target.referrers(to, &subject).await?;
                if referrers.iter().any(|referrer| !there.contains(referrer)) {
                    return Ok(true);
                }
                next.extend(referrers);
            }
            level = next;
        }
        Ok(false)
    }
}
