//! Marking: what is referred to, from all repositories.

use std::collections::{HashMap, HashSet};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::{Algorithm, Digest, RepositoryName};

use super::garbage::{Garbage, Item};
use super::report::Event;
use super::repository::Repository;
use super::{CollectionError, CollectionOptions, Run};
use crate::Registry;
use crate::catalog::{Misnamed, RepositoryWalk};
use crate::claims::Claim;
use crate::eviction::Plan;
use crate::limits::COLLECTION_LIST_CLAIMS_MAX;

/// What is known of references. Some 40 bytes for each blob and each manifest.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The content that something refers to.
    pub(super) referenced: HashSet<Claim>,
    /// The manifests that were taken in, told apart by repository.
    pub(super) seen: Seen,
    /// What was pinned when marking began.
    pub(super) pinned: HashSet<Claim>,
    /// The repositories that have garbage, with what of it came to be referred to since.
    pub(super) littered: HashMap<RepositoryName, Litter>,
    /// The repositories that have nothing, or nothing but garbage.
    pub(super) empty: Vec<RepositoryName>,
    /// Whether all blobs stay, as something may refer to them that is not looked into.
    pub(super) keeps_blobs: bool,
}

/// What marking again has to know of a repository that has garbage.
#[derive(Debug, Default)]
pub(super) struct Litter {
    /// Whether manifests or tags are among it, so that all of it has to be judged again.
    pub(super) has_manifests: bool,
    /// The tags that are garbage.
    pub(super) tags: HashSet<Claim>,
    /// What is not garbage any more.
    pub(super) rescued: HashSet<Claim>,
}

/// Manifests of repositories, by a number for each.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<u128>);

impl Seen {
    fn extend(&mut self, name: &RepositoryName, digests: &[Digest]) {
        let repository = number(&Digest::of(Algorithm::Sha256, name.as_str().as_bytes()));
        self.0.extend(digests.iter().map(|digest| repository ^ number(digest)));
    }

    /// Those of a repository.
    pub(super) fn of(&self, name: &RepositoryName) -> impl Fn(&Digest) -> bool {
        let repository = number(&Digest::of(Algorithm::Sha256, name.as_str().as_bytes()));
        move |digest| self.0.contains(&(repository ^ number(digest)))
    }
}

/// The first half of a digest.
fn number(digest: &Digest) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(half)
}

impl Run<'_> {
    /// Reads every repository; returns what of tags, manifests and layer links is garbage. What does
    /// not fit the memory is left for the next time.
    pub(super) async fn mark(&mut self) -> Result<Vec<Item>, CollectionError> {
        let registry = self.registry;
        let mut garbage = Vec::new();
        let mut walk = RepositoryWalk::starting_after(registry, None);
        loop {
            let mut names = Vec::new();
            while names.len() < registry.requests_at_once()
                && let Some(name) = Self::repositories(&mut walk).await?
            {
                names.push(name);
            }
            if names.is_empty() || self.collection.is_stopped() {
                break;
            }
            let pinned = std::mem::take(&mut self.marks.pinned);
            let (options, plan) = (self.options, self.plan());
            let judged: Vec<_> = stream::iter(names)
                .map(|name| judge(registry, (options, plan), (&pinned, None), name).boxed())
                .buffered(registry.requests_at_once())
                .collect()
                .await;
            self.marks.pinned = pinned;
            for repository in judged {
                self.take_in(repository?, &mut garbage).await?;
            }
        }
        self.look_at_misnamed(&walk);
        self.tally.blobs_marked(self.marks.referenced.len() as u64);
        Ok(garbage)
    }

    /// Has all blobs stay if there are directories among the repositories that can't be one: whoever
    /// made them, they may refer to anything.
    fn look_at_misnamed(&mut self, walk: &RepositoryWalk<'_>) {
        let Some(Misnamed { first, count }) = walk.misnamed() else { return };
        if !std::mem::replace(&mut self.marks.keeps_blobs, true) {
            let more = match count - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            self.report(
                None,
                format!(
                    "{first}{more} is no name of a repository, so what it refers to is not known; \
                     all blobs are kept until it is renamed or moved away"
                ),
            );
        }
    }

    async fn take_in(
        &mut self,
        repository: Repository,
        garbage: &mut Vec<Item>,
    ) -> Result<(), CollectionError> {
        let Repository { name, .. } = &repository;
        self.spend(repository.operations).await;
        self.tell(&Event::Repository { name });
        for digest in &repository.kept {
            self.tell(&Event::Marked { name, digest });
        }
        for digest in &repository.parts {
            if !self.marks.referenced.contains(&Claim::content(digest)) {
                self.tell(&Event::MarkedPart { name, digest });
            }
        }
        self.marks.seen.extend(name, &repository.kept);
        self.tally.marked(repository.kept.len() as u64);
        for problem in &repository.problems {
            self.report(Some(name), problem.clone());
        }
        for (tag, decision) in &repository.decisions {
            self.tell(&Event::Retention { name, tag, decision });
            self.tally.retention(name, tag, decision);
        }
        if repository.asked_for_pulls && !self.options.dry_run {
            self.merge_pulls(name).await?;
        }
        self.marks.referenced.extend(repository.references.iter().copied());
        if repository.is_empty() && (self.evicting.is_none() || self.selects(name)) {
            self.marks.empty.push(name.clone());
        }
        if !self.selects(name) {
            self.keep(&repository);
            return Ok(());
        }
        let name = name.clone();
        for item in repository.into_garbage() {
            if garbage.len() >= COLLECTION_LIST_CLAIMS_MAX {
                self.tally.left_over();
                // Its content has to stay as well then.
                self.marks.referenced.insert(item.garbage.claim());
                continue;
            }
            let litter = self.marks.littered.entry(name.clone()).or_default();
            litter.has_manifests |= !matches!(item.garbage, Garbage::Layer { .. });
            if let Garbage::Tag { .. } = item.garbage {
                litter.tags.insert(item.garbage.claim());
            }
            self.tally.found(&item);
            self.tell(&Event::Garbage { garbage: &item.garbage, reason: item.reason });
            garbage.push(item);
        }
        Ok(())
    }

    /// Keeps what a repository has, garbage or not.
    fn keep(&mut self, repository: &Repository) {
        let claims = repository.garbage().map(|item| item.garbage.claim());
        self.marks.referenced.extend(claims);
        self.marks.referenced.extend(repository.doomed_references.keys().copied());
    }

    /// Looks for what has come to be referred to since marking began.
    pub(super) async fn mark_again(&mut self) -> Result<(), CollectionError> {
        #[cfg(test)]
        if super::model::is_broken(super::model::Break::MarkingAgain) {
            return Ok(());
        }
        let registry = self.registry;
        // What was pinned before everybody knew what is announced was pinned alone, without what it
        // is made of.
        self.pin_down().await?;
        self.flush_pulls().await?;
        let mut walk = RepositoryWalk::starting_after(registry, None);
        while let Some(name) = Self::repositories(&mut walk).await? {
            let litter = self.marks.littered.get(&name);
            let is_evicting = self.evicting.is_some();
            if litter.is_some_and(|litter| litter.has_manifests || is_evicting) {
                self.judge_again(name).await?;
            } else {
                self.read_new(name).await?;
            }
        }
        self.look_at_misnamed(&walk);
        Ok(())
    }

    async fn judge_again(&mut self, name: RepositoryName) -> Result<(), CollectionError> {
        let pinned = std::mem::take(&mut self.marks.pinned);
        let litter = self.marks.littered.remove(&name).unwrap_or_default();
        let (options, plan, going) = (self.options, self.plan(), Some(&litter.tags));
        let judged = judge(self.registry, (options, plan), (&pinned, going), name.clone()).await;
        self.marks.littered.insert(name.clone(), litter);
        self.marks.pinned = pinned;
        let repository = judged?;
        self.spend(repository.operations).await;
        let rescued: Vec<_> = repository.kept.iter().map(Claim::content).collect();
        self.marks.rescue(&name, rescued.iter().chain(&repository.references).copied());
        self.marks.rescue(&name, repository.kept_tags.iter().map(|tag| Claim::tag(&name, tag)));
        Ok(())
    }

    async fn read_new(&mut self, name: RepositoryName) -> Result<(), CollectionError> {
        let (registry, options, seen) = (self.registry, self.options, &self.marks.seen);
        let repository = match &self.evicting {
            // However young, links keep what they lead to from an eviction.
            #[cfg(test)]
            Some(_) if super::model::is_broken(super::model::Break::NewLinks) => {
                Repository::read_new(registry, options, &name, seen).await?
            }
            Some(_) => Repository::read_all(registry, options, &name, seen).await?,
            None => Repository::read_new(registry, options, &name, seen).await?,
        };
        self.spend(repository.operations).await;
        self.marks.seen.extend(&name, &repository.kept);
        for problem in &repository.problems {
            self.report(Some(&name), problem.clone());
        }
        self.marks.rescue(&name, repository.references.iter().copied());
        Ok(())
    }
}

/// Reads a repository and decides what of it goes.
async fn judge(
    registry: &Registry,
    (options, plan): (&CollectionOptions, Option<&Plan>),
    (pinned, going): (&HashSet<Claim>, Option<&HashSet<Claim>>),
    name: RepositoryName,
) -> Result<Repository, CollectionError> {
    match plan {
        None => Repository::judge(registry, options, pinned, going, name).await,
        Some(plan) if plan.takes_from(&name) => {
            Repository::judge_cached(registry, plan, (pinned, going), name).await
        }
        Some(_) => Repository::read_all(registry, options, &name, &Seen::default()).await,
    }
}

impl Marks {
    /// Takes in that these are referred to in a repository.
    fn rescue(&mut self, name: &RepositoryName, claims: impl Iterator<Item = Claim>) {
        let mut litter = self.littered.get_mut(name);
        for claim in claims {
            self.referenced.insert(claim);
            if let Some(litter) = &mut litter {
                litter.rescued.insert(claim);
            }
        }
    }

    /// Whether something is still garbage after marking again.
    pub(super) fn is_garbage(&self, item: &Item) -> bool {
        let claim = item.garbage.claim();
        match item.garbage.repository() {
            Some(name) => {
                self.littered.get(name).is_none_or(|litter| !litter.rescued.contains(&claim))
            }
            None => !self.keeps_blobs && !self.referenced.contains(&claim),
        }
    }
}
