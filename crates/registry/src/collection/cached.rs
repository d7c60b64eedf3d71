//! Cached repositories: what is in them, and what of it goes by the plan of an eviction.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use oci::{Algorithm, Digest, RepositoryName, Tag};

use super::garbage::{Garbage, Item, Reason};
use super::mark::Seen;
use super::repository::{self, Doom, Node, Repository};
use super::retained::Manifests;
use super::{CollectionError, CollectionOptions, links};
use crate::claims::Claim;
use crate::eviction::{Going, Plan};
use crate::link::{self, Found};
use crate::pulls::PullTimes;
use crate::{Registry, layout};

/// What a cached repository has.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Its manifests.
    pub(crate) manifests: Vec<Node>,
    /// Its tags, and the canonical digests of what they name.
    pub(crate) tags: Vec<(Tag, Digest)>,
    /// Its links to blobs, with the blobs' canonical digests.
    pub(crate) layers: Vec<(Digest, Digest)>,
    /// What can't be read, in words. An eviction takes nothing of it then.
    pub(crate) problems: Vec<String>,
    /// What it took, in operations of the storage.
    pub(crate) operations: u64,
}

/// What stays whatever the plan says.
struct Staying<'a> {
    pinned: &'a HashSet<Claim>,
    /// The tags of which alone any goes, if there are such.
    going: Option<&'a HashSet<Claim>>,
    pulls: PullTimes,
}

impl Repository {
    /// What a cached repository has. Its tags are read after its manifests.
    pub(crate) async fn contents(
        registry: &Registry,
        name: &RepositoryName,
    ) -> Result<Contents, CollectionError> {
        let mut this = Self::new(name.clone());
        this.is_cached = true;
        let revisions = this.revisions(registry, &|_| false).await?;
        let manifests = this.read(registry, revisions).await?;
        let known = Manifests::of(&manifests);
        let tags = this.read_tags(registry).await?;
        let tags = tags.into_iter().map(|(tag, digest)| (tag, known.canonical(&digest))).collect();
        let layers = this.read_layers(registry).await?;
        let Self { problems, operations, .. } = this;
        Ok(Contents { manifests, tags, layers, problems, operations })
    }

    /// The links of its blobs, with the digests that they lead to. Under a canonical digest there is
    /// nothing but the link to that; where there are directories, there may be one without a link.
    async fn read_layers(
        &mut self,
        registry: &Registry,
    ) -> Result<Vec<(Digest, Digest)>, CollectionError> {
        let mut layers = Vec::new();
        for digest in links::layers(registry, &self.name).await? {
            if digest.algorithm() == Algorithm::Sha256 && registry.driver.is_remote() {
                layers.push((digest, digest));
                continue;
            }
            self.operations += 1;
            match link::look(&*registry.driver, &layout::layer_link(&self.name, &digest)).await? {
                Found::Link(canonical) => layers.push((digest, canonical)),
                Found::Damaged { .. } | Found::Nothing => {}
            }
        }
        self.operations += 1;
        Ok(layers)
    }

    /// Reads a repository of which nothing goes, the links of its blobs included.
    pub(super) async fn read_all(
        registry: &Registry,
        options: &CollectionOptions,
        name: &RepositoryName,
        seen: &Seen,
    ) -> Result<Self, CollectionError> {
        let mut this = Self::read_new(registry, options, name, seen).await?;
        let layers = match this.is_cached {
            true => this.read_layers(registry).await?.into_iter().map(|(_, to)| to).collect(),
            // Of what is not cached even a directory without a link counts.
            false => links::layers(registry, name).await?,
        };
        this.operations += 1;
        this.keep_layers(layers);
        Ok(this)
    }

    /// Reads a repository of which a plan takes something, and decides about that anew: what was used
    /// since then stays, and what is pinned. Of tags only those go that `going` names, if it is
    /// there.
    pub(super) async fn judge_cached(
        registry: &Registry,
        plan: &Plan,
        (pinned, going): (&HashSet<Claim>, Option<&HashSet<Claim>>),
        name: RepositoryName,
    ) -> Result<Self, CollectionError> {
        let mut this = Self::new(name);
        this.is_cached = true;
        let revisions = this.revisions(registry, &|_| false).await?;
        let nodes = this.read(registry, revisions).await?;
        let tags = this.read_tags(registry).await?;
        let layers = this.read_layers(registry).await?;
        let pulls = registry.pulls_of(&this.name).await?;
        this.operations += 2;
        let taken = plan.of(&this.name).filter(|_| this.problems.is_empty());
        let Some(taken) = taken else {
            nodes.into_iter().for_each(|node| this.settle(node, &HashMap::new()));
            this.keep_layers(layers.into_iter().map(|(_, canonical)| canonical).collect());
            return Ok(this);
        };
        let staying = Staying { pinned, going, pulls };
        let doomed = this.doomed_by(registry, plan, taken, &staying, &nodes, tags).await?;
        for node in nodes {
            this.settle(node, &doomed);
        }
        this.judge_links(registry, plan, taken, &staying, layers).await?;
        Ok(this)
    }

    /// The manifests that go, and the tags that name them or nothing at all.
    async fn doomed_by(
        &mut self,
        registry: &Registry,
        plan: &Plan,
        taken: &Going,
        staying: &Staying<'_>,
        nodes: &[Node],
        tags: Vec<(Tag, Digest)>,
    ) -> Result<HashMap<Digest, Doom>, CollectionError> {
        let manifests = Manifests::of(nodes);
        let mut names: HashMap<Digest, Vec<&Tag>> = HashMap::new();
        let mut roots = Vec::new();
        for (tag, digest) in &tags {
            let digest = manifests.canonical(digest);
            let claim = Claim::tag(&self.name, tag);
            names.entry(digest).or_default().push(tag);
            if staying.going.is_some_and(|going| !going.contains(&claim))
                || staying.pinned.contains(&claim)
            {
                roots.push(digest);
            }
        }
        for node in nodes {
            let claim = Claim::content(&node.digest);
            let tags = names.get(&node.digest).map(Vec::as_slice).unwrap_or_default();
            if !taken.manifests.contains(&claim)
                || staying.pinned.contains(&claim)
                || self.is_in_use(registry, plan.used_within, &staying.pulls, (node, tags)).await?
            {
                roots.push(node.digest);
            }
        }
        let subject = |node: &Node| node.subject.map(|subject| manifests.canonical(&subject));
        let mut kept = HashSet::new();
        repository::spread(nodes, &subject, roots.clone(), &mut kept);
        // What a tag names that stays need not be there.
        kept.extend(roots);
        let mut going: HashMap<Digest, Vec<Claim>> = HashMap::new();
        for (tag, digest) in tags {
            let canonical = manifests.canonical(&digest);
            let is_dangling = !manifests.there.contains(&canonical);
            if kept.contains(&canonical)
                || is_dangling && self.is_young_tag(registry, plan.used_within, &tag).await?
            {
                self.kept_tags.push(tag);
                continue;
            }
            going.entry(canonical).or_default().push(Claim::tag(&self.name, &tag));
            let garbage = Garbage::Tag { name: self.name.clone(), tag, digest };
            self.tags.push(Item::new(garbage, Reason::Evicted));
        }
        Ok(repository::dooms(nodes, &kept, &manifests, &going, |_| Reason::Evicted))
    }

    async fn is_young_tag(
        &mut self,
        registry: &Registry,
        age: Duration,
        tag: &Tag,
    ) -> Result<bool, CollectionError> {
        self.operations += 1;
        let link = layout::tag_current(&self.name, tag);
        repository::is_young(registry, age, &[&link]).await
    }

    /// Whether a manifest was used, or written, within a time.
    async fn is_in_use(
        &mut self,
        registry: &Registry,
        within: Duration,
        pulls: &PullTimes,
        (node, tags): (&Node, &[&Tag]),
    ) -> Result<bool, CollectionError> {
        let digests = node.aliases.iter().chain([&node.digest]).copied();
        let by_name = tags.iter().filter_map(|tag| pulls.of_name(tag)).max();
        let pulled = pulls.of_digests(digests).max(by_name);
        if pulled.is_some_and(|pulled| was_within(registry, within, pulled)) {
            return Ok(true);
        }
        self.operations += 2;
        let link = layout::revision_link(&self.name, &node.digest);
        repository::is_young(registry, within, &[&link, &layout::blob_data(&node.digest)]).await
    }

    /// Decides about the links of blobs. Those go that a manifest named which goes, and those that
    /// the plan takes as no manifest names them.
    async fn judge_links(
        &mut self,
        registry: &Registry,
        plan: &Plan,
        taken: &Going,
        staying: &Staying<'_>,
        layers: Vec<(Digest, Digest)>,
    ) -> Result<(), CollectionError> {
        for (digest, canonical) in layers {
            let claim = Claim::content(&canonical);
            let pulled = staying.pulls.of_digests([digest, canonical]);
            let is_taken =
                taken.layers.contains(&claim) || self.doomed_references.contains_key(&claim);
            let stays = self.references.contains(&claim)
                || staying.pinned.contains(&claim)
                || !is_taken
                || pulled.is_some_and(|pulled| was_within(registry, plan.used_within, pulled))
                || self.is_young_link(registry, plan.used_within, (&digest, &canonical)).await?;
            if stays {
                self.layers_kept += 1;
                self.references.insert(claim);
                continue;
            }
            self.layers.push(self.layer(digest, canonical, Reason::Evicted));
        }
        Ok(())
    }

    async fn is_young_link(
        &mut self,
        registry: &Registry,
        age: Duration,
        (digest, canonical): (&Digest, &Digest),
    ) -> Result<bool, CollectionError> {
        self.operations += 2;
        let link = layout::layer_link(&self.name, digest);
        repository::is_young(registry, age, &[&link, &layout::blob_data(canonical)]).await
    }
}

/// Whether something was less than `within` ago, or is going to be: a pull counts until the end of
/// the time in which it was.
fn was_within(registry: &Registry, within: Duration, time: SystemTime) -> bool {
    let passed = registry.claims.clock().now().duration_since(time);
    passed.unwrap_or_default() < within
}
