//! The tags of a repository: what they name, and which of them go by the rules.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::{Digest, RepositoryName, Tag};
use storage::StorageError;

use super::garbage::{Garbage, Item, Reason};
use super::repository::{self, Node, Repository, look_at};
use super::{CollectionError, CollectionOptions, Run, links};
use crate::claims::Claim;
use crate::limits::EVICTION_PULLS_KEPT;
use crate::link::Found;
use crate::pulls::{self, PullTimes};
use crate::retention::{Decision, RulesOf, TagState, Verdict, subject_of};
use crate::{Registry, layout};

/// What the tags of a repository come to.
#[derive(Debug, Default)]
pub(super) struct Tagged {
    /// The canonical digests of what the tags name that are kept.
    pub(super) kept: HashSet<Digest>,
    /// The tags that go, by the canonical digest of what they name.
    pub(super) going: HashMap<Digest, Vec<Claim>>,
    /// How old an untagged manifest has to be to go by the rules.
    pub(super) untagged: Option<Duration>,
    /// When things were last pulled, as far as the rules ask.
    pub(super) pulls: Option<PullTimes>,
}

/// The manifests that a repository has.
pub(super) struct Manifests {
    /// Their canonical digests.
    pub(super) there: HashSet<Digest>,
    /// The canonical digests of the others under which it has them.
    pub(super) by_alias: HashMap<Digest, Digest>,
}

impl Manifests {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let there = nodes.iter().map(|node| node.digest).collect();
        let by_alias = nodes.iter().flat_map(|n| n.aliases.iter().map(|a| (*a, n.digest)));
        Self { there, by_alias: by_alias.collect() }
    }

    pub(super) fn canonical(&self, digest: &Digest) -> Digest {
        self.by_alias.get(digest).copied().unwrap_or(*digest)
    }
}

impl Repository {
    /// Reads the tags, and has the rules decide about them. Of those that `going` does not name, if
    /// there is such a set, none goes: they were no garbage when that was announced.
    pub(super) async fn tagged(
        &mut self,
        registry: &Registry,
        options: &CollectionOptions,
        (rules, going): (Option<&RulesOf<'_>>, Option<&HashSet<Claim>>),
        manifests: &Manifests,
    ) -> Result<Tagged, CollectionError> {
        let tags = self.read_tags(registry).await?;
        let mut tagged = Tagged::default();
        let decided = match rules {
            Some(rules) if self.problems.is_empty() => {
                self.decide(registry, options, rules, manifests, &tags, &mut tagged).await?
            }
            _ => HashMap::new(),
        };
        let is_trial = is_trial(options);
        for (tag, digest) in tags {
            let claim = Claim::tag(&self.name, &tag);
            let goes = decided.get(&tag).is_some_and(|decision| !decision.verdict.keeps())
                && !is_trial
                && going.is_none_or(|going| going.contains(&claim));
            if goes {
                tagged.going.entry(manifests.canonical(&digest)).or_default().push(claim);
                let garbage = Garbage::Tag { name: self.name.clone(), tag, digest };
                self.tags.push(Item::new(garbage, Reason::Retention));
            } else {
                tagged.kept.insert(manifests.canonical(&digest));
                self.kept_tags.push(tag);
            }
        }
        if !self.problems.is_empty() {
            // It can't be known what the tag is for.
            tagged.kept.extend(manifests.by_alias.values());
        }
        Ok(tagged)
    }

    /// The tags, with the digests that are in their links.
    pub(super) async fn read_tags(
        &mut self,
        registry: &Registry,
    ) -> Result<Vec<(Tag, Digest)>, CollectionError> {
        let tags = links::tags(registry, &self.name).await?;
        self.operations += tags.len() as u64;
        let name = self.name.clone();
        let mut looks = stream::iter(tags)
            .map(|tag| {
                let path = layout::tag_current(&name, &tag);
                look_at(registry, tag, path).boxed()
            })
            .buffered(registry.requests_at_once());
        let mut read = Vec::new();
        while let Some((tag, found)) = looks.next().await {
            match found {
                Ok(Found::Link(digest)) => read.push((tag, digest)),
                Ok(Found::Nothing) => {}
                Ok(Found::Damaged { size_bytes }) => self.problems.push(format!(
                    "the link of tag {tag} is damaged ({size_bytes} bytes); what the repository \
                     has is kept"
                )),
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        Ok(read)
    }

    /// Has the rules decide about the tags. When it can't be known what they ask for, they decide
    /// nothing.
    async fn decide(
        &mut self,
        registry: &Registry,
        options: &CollectionOptions,
        rules: &RulesOf<'_>,
        manifests: &Manifests,
        tags: &[(Tag, Digest)],
        tagged: &mut Tagged,
    ) -> Result<HashMap<Tag, Decision>, CollectionError> {
        if rules.ask_for_pulls() {
            self.operations += 2;
            self.asked_for_pulls = true;
            match registry.pulls_of(&self.name).await {
                Ok(pulls) => tagged.pulls = Some(pulls),
                Err(error) => {
                    self.problems.push(format!("it can't be read what was pulled: {error}"));
                    return Ok(HashMap::new());
                }
            }
        }
        let states = self.states(registry, rules, manifests, tags, tagged.pulls.as_ref()).await?;
        let mut decided = HashMap::with_capacity(states.len());
        let plan = rules.plan(&states, registry.claims.clock().now());
        for (state, mut decision) in states.into_iter().zip(plan) {
            if decision.verdict == Verdict::SubjectGone {
                self.operations += 1;
                let link = layout::tag_current(&self.name, &state.tag);
                if repository::is_young(registry, options.older_than, &[&link]).await? {
                    decision.verdict = Verdict::Young;
                }
            }
            self.decisions.push((state.tag.clone(), decision.clone()));
            decided.insert(state.tag, decision);
        }
        tagged.untagged = rules.untagged().filter(|_| !is_trial(options));
        Ok(decided)
    }

    /// What the rules have to know of the tags. One that has gone meanwhile is left out.
    async fn states(
        &mut self,
        registry: &Registry,
        rules: &RulesOf<'_>,
        manifests: &Manifests,
        tags: &[(Tag, Digest)],
        pulls: Option<&PullTimes>,
    ) -> Result<Vec<TagState>, CollectionError> {
        self.operations += tags.iter().filter(|(tag, _)| rules.ask_for_push_of(tag)).count() as u64;
        let name = self.name.clone();
        let looks: Vec<_> = tags
            .iter()
            .map(|(tag, _)| pushed(registry, &name, tag, rules.ask_for_push_of(tag)).boxed())
            .collect();
        let mut times = stream::iter(looks).buffered(registry.requests_at_once());
        let mut states = Vec::with_capacity(tags.len());
        for (tag, digest) in tags {
            let Some(pushed) = times.next().await.transpose()?.flatten() else { continue };
            let canonical = manifests.canonical(digest);
            let subject = subject_of(tag).map(|subject| manifests.canonical(&subject));
            states.push(TagState {
                pushed,
                pulled: pulls.and_then(|pulls| pulls.of_tag(tag, [*digest, canonical])),
                subject: subject.map(|subject| manifests.there.contains(&subject)),
                tag: tag.clone(),
            });
        }
        Ok(states)
    }
}

/// Whether the rules are only asked what they would do, by a collection that does something.
fn is_trial(options: &CollectionOptions) -> bool {
    options.retention.as_ref().is_some_and(|rules| rules.dry_run) && !options.dry_run
}

/// When a tag was pushed; none when it is not there any more.
async fn pushed(
    registry: &Registry,
    name: &RepositoryName,
    tag: &Tag,
    is_asked_for: bool,
) -> Result<Option<SystemTime>, StorageError> {
    if !is_asked_for {
        return Ok(Some(UNIX_EPOCH));
    }
    match registry.driver.stat(&layout::tag_current(name, tag)).await {
        Ok(stat) => Ok(Some(stat.modified)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Run<'_> {
    /// Has this process write down what was pulled from it, if the rules ask for it.
    pub(super) async fn flush_pulls(&self) -> Result<(), CollectionError> {
        let rules = self.options.retention.as_ref();
        let asks = rules.is_some_and(|rules| rules.ask_for_pulls()) || self.evicting.is_some();
        if asks && !self.options.dry_run {
            self.registry.flush_pulls().await?;
        }
        Ok(())
    }

    /// Puts the notes of earlier days together that say what was pulled from a repository.
    pub(super) async fn merge_pulls(
        &mut self,
        name: &RepositoryName,
    ) -> Result<(), CollectionError> {
        let asked_for = self.options.retention.as_ref().and_then(|rules| rules.pulls_asked_for());
        let Some(asked_for) = asked_for else { return Ok(()) };
        self.spend(1).await;
        let asked_for = match self.options.is_cached(name) {
            true => asked_for.max(EVICTION_PULLS_KEPT),
            false => asked_for,
        };
        let oldest = pulls::oldest(self.registry.claims.clock().now(), asked_for);
        if let Err(error) = self.registry.merge_pulls(name, oldest).await {
            self.report(Some(name), format!("the notes of pulls can't be put together: {error}"));
        }
        Ok(())
    }
}
