//! One repository, judged: what of it is kept, and what that refers to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::{Algorithm, Digest, Manifest, RepositoryName, Tag};
use storage::{StorageError, StoragePath};

use super::garbage::{Garbage, Item, Reason};
use super::mark::Seen;
use super::retained::{Manifests, Tagged};
use super::{CollectionError, CollectionOptions, links};
use crate::claims::Claim;
use crate::limits::STORED_MANIFEST_BYTES_MAX;
use crate::link::{self, Found};
use crate::retention::Decision;
use crate::{Registry, layout};

/// What a look at a repository found.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(super) name: RepositoryName,
    /// The canonical digests of the manifests that are kept.
    pub(super) kept: Vec<Digest>,
    /// The tags that are kept, as far as they were read.
    pub(super) kept_tags: Vec<Tag>,
    /// What the kept ones refer to, themselves included.
    pub(super) references: HashSet<Claim>,
    /// The parts of the kept ones, each once, if the observer wants to know.
    pub(super) parts: Vec<Digest>,
    tells_parts: bool,
    /// What the others refer to, themselves included, with those that do.
    pub(super) doomed_references: HashMap<Claim, Vec<Claim>>,
    /// What can't be read, in words. Everything is kept then.
    pub(super) problems: Vec<String>,
    /// What it took, in operations of the storage.
    pub(super) operations: u64,
    /// What the rules say of its tags.
    pub(super) decisions: Vec<(Tag, Decision)>,
    /// Whether they asked what was pulled.
    pub(super) asked_for_pulls: bool,
    /// The tags that go.
    pub(super) tags: Vec<Item>,
    manifests: Vec<Item>,
    pub(super) layers: Vec<Item>,
    pub(super) layers_kept: usize,
    /// Whether its content is cached from elsewhere, so that not all of it is there.
    pub(super) is_cached: bool,
}

/// A manifest that was read.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its canonical digest.
    pub(crate) digest: Digest,
    /// The other digests under which the repository has it.
    pub(crate) aliases: Vec<Digest>,
    /// The canonical digests of its configuration, layers or children.
    pub(crate) parts: Vec<Digest>,
    /// Its subject, by the digest that it names.
    pub(crate) subject: Option<Digest>,
    /// How large it is, in bytes.
    pub(crate) size_bytes: u64,
}

/// Why a manifest goes.
pub(super) struct Doom {
    reason: Reason,
    /// The manifests whose end is the reason.
    parents: Vec<Claim>,
    /// The tags that name it and go as well.
    tags: Vec<Claim>,
    /// How many of the others are above it.
    depth: u32,
}

impl Repository {
    pub(super) fn new(name: RepositoryName) -> Self {
        Self {
            name,
            kept: Vec::new(),
            kept_tags: Vec::new(),
            references: HashSet::new(),
            parts: Vec::new(),
            tells_parts: false,
            doomed_references: HashMap::new(),
            problems: Vec::new(),
            operations: 0,
            decisions: Vec::new(),
            asked_for_pulls: false,
            tags: Vec::new(),
            manifests: Vec::new(),
            layers: Vec::new(),
            layers_kept: 0,
            is_cached: false,
        }
    }

    /// Reads a repository and decides about its tags, manifests and layer links. Of tags only those
    /// go that `going` names, if it is there.
    pub(super) async fn judge(
        registry: &Registry,
        options: &CollectionOptions,
        pinned: &HashSet<Claim>,
        going: Option<&HashSet<Claim>>,
        name: RepositoryName,
    ) -> Result<Self, CollectionError> {
        let mut this = Self::new(name);
        this.is_cached = options.is_cached(&this.name);
        this.tells_parts = options.tells_parts;
        let revisions = this.revisions(registry, &|_| false).await?;
        let nodes = this.read(registry, revisions).await?;
        let is_whole = this.problems.is_empty();
        let doomed = match is_whole {
            true => this.doomed(registry, options, (pinned, going), &nodes).await?,
            false => HashMap::new(),
        };
        for node in nodes {
            this.settle(node, &doomed);
        }
        let layers = links::layers(registry, &this.name).await?;
        this.operations += layers.len() as u64;
        if is_whole {
            this.judge_layers(registry, options, pinned, layers).await?;
        } else {
            this.keep_layers(layers);
        }
        Ok(this)
    }

    /// Reads the manifests of a repository that were not seen yet. Nothing is judged.
    pub(super) async fn read_new(
        registry: &Registry,
        options: &CollectionOptions,
        name: &RepositoryName,
        seen: &Seen,
    ) -> Result<Self, CollectionError> {
        let mut this = Self::new(name.clone());
        this.is_cached = options.is_cached(name);
        let is_seen = seen.of(name);
        let mut revisions = this.revisions(registry, &is_seen).await?;
        // Under another digest it shows only now which one it is.
        revisions.retain(|digest, _| !is_seen(digest));
        for node in this.read(registry, revisions).await? {
            this.settle(node, &HashMap::new());
        }
        if !this.problems.is_empty() {
            let layers = links::layers(registry, name).await?;
            this.keep_layers(layers);
        }
        Ok(this)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.problems.is_empty() && self.layers_kept == 0
    }

    pub(super) fn garbage(&self) -> impl Iterator<Item = &Item> {
        self.tags.iter().chain(&self.manifests).chain(&self.layers)
    }

    pub(super) fn into_garbage(self) -> impl Iterator<Item = Item> {
        self.tags.into_iter().chain(self.manifests).chain(self.layers)
    }

    /// The manifests that a repository has, by their canonical digest, with the other digests under
    /// which it has them; without those that are known by their own digest. A directory without a
    /// link is none.
    pub(super) async fn revisions(
        &mut self,
        registry: &Registry,
        is_known: &(impl Fn(&Digest) -> bool + Sync),
    ) -> Result<BTreeMap<Digest, Vec<Digest>>, CollectionError> {
        let mut revisions: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for algorithm in Algorithm::ALL {
            let path = layout::revisions(&self.name, algorithm);
            let mut digests = links::digests(registry, &path, algorithm).await?;
            digests.retain(|digest| !is_known(digest));
            self.operations += 1 + digests.len() as u64;
            let name = &self.name;
            let mut looks = stream::iter(digests)
                .map(|digest| {
                    look_at(registry, digest, layout::revision_link(name, &digest)).boxed()
                })
                .buffered(registry.requests_at_once());
            while let Some((digest, look)) = looks.next().await {
                match look {
                    Ok(Found::Link(canonical)) if canonical == digest => {
                        revisions.entry(digest).or_default();
                    }
                    Ok(Found::Link(canonical)) => {
                        revisions.entry(canonical).or_default().push(digest);
                    }
                    Ok(Found::Damaged { size_bytes }) => {
                        self.problems.push(format!(
                            "the link of manifest {digest} is damaged ({size_bytes} bytes); what \
                             the repository has is kept"
                        ));
                        if algorithm == Algorithm::Sha256 {
                            revisions.entry(digest).or_default();
                        }
                    }
                    Ok(Found::Nothing) => {}
                    Err(error) => self.problems.push(error.to_string()),
                }
            }
        }
        Ok(revisions)
    }

    /// Reads manifests; notes those that can't be.
    pub(super) async fn read(
        &mut self,
        registry: &Registry,
        revisions: BTreeMap<Digest, Vec<Digest>>,
    ) -> Result<Vec<Node>, CollectionError> {
        let name = self.name.clone();
        let is_cached = self.is_cached;
        self.operations += revisions.len() as u64;
        let mut reads = stream::iter(revisions)
            .map(|(digest, aliases)| {
                read_node(registry, (&name, is_cached), digest, aliases).boxed()
            })
            .buffer_unordered(registry.requests_at_once());
        let mut nodes = Vec::new();
        let mut count = 0_usize;
        while let Some(read) = reads.next().await {
            count += 1;
            if count.is_multiple_of(crate::limits::ENTRIES_BETWEEN_YIELDS) {
                tokio::task::yield_now().await;
            }
            match read {
                Ok(node) => nodes.push(node),
                Err(Unreadable { digest, why }) => {
                    // Whatever it is, it is somebody's.
                    self.references.insert(Claim::content(&digest));
                    self.problems.push(format!(
                        "manifest {digest} can't be read: {why}; what the repository has is kept"
                    ));
                }
            }
        }
        // Which of them comes first must not depend on chance.
        nodes.sort_unstable_by_key(|node| node.digest);
        Ok(nodes)
    }

    /// The manifests that go, with why, and what they depend on.
    async fn doomed(
        &mut self,
        registry: &Registry,
        options: &CollectionOptions,
        (pinned, going): (&HashSet<Claim>, Option<&HashSet<Claim>>),
        nodes: &[Node],
    ) -> Result<HashMap<Digest, Doom>, CollectionError> {
        let manifests = Manifests::of(nodes);
        let subject = |node: &Node| node.subject.map(|subject| manifests.canonical(&subject));
        let untagged = options.untagged && !self.is_cached;
        let referrers = options.referrers && !self.is_cached;
        let is_orphan = |node: &Node| {
            let is_gone = |subject| !manifests.there.contains(&subject);
            referrers && subject(node).is_some_and(is_gone)
        };
        let rules = options.retention.as_deref().filter(|_| options.selects(&self.name));
        let name = self.name.clone();
        let rules = rules.and_then(|rules| rules.of(&name));
        if rules.is_none() && !untagged && !nodes.iter().any(is_orphan) {
            return Ok(HashMap::new());
        }
        let tagged = self.tagged(registry, options, (rules.as_ref(), going), &manifests).await?;
        // How old something has to be to go; it stays if there is no such age.
        let age = |node: &Node| match untagged || is_orphan(node) {
            true => Some(options.older_than),
            false => tagged.untagged.map(|age| age.max(options.older_than)),
        };
        let mut kept: HashSet<Digest> = HashSet::new();
        let is_root = |node: &Node| {
            age(node).is_none()
                || tagged.kept.contains(&node.digest)
                || pinned.contains(&Claim::content(&node.digest))
        };
        let roots: Vec<_> = nodes.iter().filter(|n| is_root(n)).map(|n| n.digest).collect();
        spread(nodes, &subject, roots, &mut kept);
        for node in nodes {
            let Some(age) = age(node).filter(|_| !kept.contains(&node.digest)) else { continue };
            let link = layout::revision_link(&self.name, &node.digest);
            self.operations += 2;
            if was_pulled(registry, &tagged, node, age)
                || is_young(registry, age, &[&link, &layout::blob_data(&node.digest)]).await?
            {
                spread(nodes, &subject, vec![node.digest], &mut kept);
            }
        }
        let reason = |node: &Node| match (is_orphan(node), untagged) {
            (true, _) => Reason::SubjectGone,
            (false, true) => Reason::Untagged,
            (false, false) => Reason::Retention,
        };
        Ok(dooms(nodes, &kept, &manifests, &tagged.going, reason))
    }

    /// Puts a manifest to those that are kept, or to the garbage.
    pub(super) fn settle(&mut self, node: Node, doomed: &HashMap<Digest, Doom>) {
        let Node { digest, aliases, parts, .. } = node;
        match doomed.get(&digest) {
            Some(doom) if self.problems.is_empty() => {
                for claim in parts.iter().chain([&digest]).map(Claim::content) {
                    let parents = self.doomed_references.entry(claim).or_default();
                    parents.push(Claim::content(&digest));
                }
                let garbage = Garbage::Manifest { name: self.name.clone(), digest, aliases };
                self.manifests.push(Item {
                    parents: doom.parents.clone(),
                    tags: doom.tags.clone(),
                    depth: doom.depth,
                    ..Item::new(garbage, doom.reason)
                });
            }
            _ => {
                for part in &parts {
                    if self.references.insert(Claim::content(part)) && self.tells_parts {
                        self.parts.push(*part);
                    }
                }
                self.references.insert(Claim::content(&digest));
                self.kept.push(digest);
            }
        }
    }

    async fn judge_layers(
        &mut self,
        registry: &Registry,
        options: &CollectionOptions,
        pinned: &HashSet<Claim>,
        layers: Vec<Digest>,
    ) -> Result<(), CollectionError> {
        for digest in layers {
            if self.references.contains(&Claim::content(&digest)) {
                self.layers_kept += 1;
                continue;
            }
            self.operations += 2;
            let path = layout::layer_link(&self.name, &digest);
            let canonical = match link::look(&*registry.driver, &path).await {
                Ok(Found::Link(canonical)) => canonical,
                Ok(Found::Damaged { .. } | Found::Nothing) => digest,
                Err(error) => {
                    self.problems.push(error.to_string());
                    digest
                }
            };
            let claim = Claim::content(&canonical);
            let data = layout::blob_data(&canonical);
            if self.references.contains(&claim)
                || pinned.contains(&claim)
                || is_young(registry, options.older_than, &[&path, &data]).await?
            {
                self.layers_kept += 1;
                self.references.insert(claim);
                continue;
            }
            self.layers.push(self.layer(digest, canonical, Reason::Unreferenced));
        }
        Ok(())
    }

    /// The link of a blob, as garbage: it stays with every manifest that names it.
    pub(super) fn layer(&self, digest: Digest, canonical: Digest, reason: Reason) -> Item {
        let garbage = Garbage::Layer { name: self.name.clone(), digest, canonical };
        let parents = self.doomed_references.get(&Claim::content(&canonical)).cloned();
        Item { parents: parents.unwrap_or_default(), ..Item::new(garbage, reason) }
    }

    pub(super) fn keep_layers(&mut self, layers: Vec<Digest>) {
        self.layers_kept = layers.len();
        self.references.extend(layers.iter().map(Claim::content));
    }
}

/// Why those manifests go that are not kept, and what they depend on.
pub(super) fn dooms(
    nodes: &[Node],
    kept: &HashSet<Digest>,
    manifests: &Manifests,
    going: &HashMap<Digest, Vec<Claim>>,
    reason: impl Fn(&Node) -> Reason,
) -> HashMap<Digest, Doom> {
    let mut doomed: HashMap<Digest, Doom> = HashMap::new();
    for node in nodes.iter().filter(|node| !kept.contains(&node.digest)) {
        let subject = node.subject.map(|subject| manifests.canonical(&subject));
        let parent = subject.filter(|subject| manifests.there.contains(subject));
        let parents = parent.iter().map(Claim::content).collect();
        let tags = going.get(&node.digest).cloned().unwrap_or_default();
        doomed.insert(node.digest, Doom { reason: reason(node), parents, tags, depth: 0 });
    }
    for node in nodes.iter().filter(|node| !kept.contains(&node.digest)) {
        for part in &node.parts {
            if let Some(doom) = doomed.get_mut(part) {
                doom.parents.push(Claim::content(&node.digest));
            }
        }
    }
    measure_depths(&mut doomed);
    doomed
}

/// Keeps what hangs on kept manifests: children of an index, and what refers to a subject.
pub(super) fn spread(
    nodes: &[Node],
    subject: &impl Fn(&Node) -> Option<Digest>,
    roots: Vec<Digest>,
    kept: &mut HashSet<Digest>,
) {
    let by_digest: HashMap<_, _> = nodes.iter().map(|node| (node.digest, node)).collect();
    let mut referrers: HashMap<Digest, Vec<Digest>> = HashMap::new();
    for node in nodes {
        if let Some(subject) = subject(node) {
            referrers.entry(subject).or_default().push(node.digest);
        }
    }
    let mut open = roots;
    while let Some(digest) = open.pop() {
        let Some(node) = by_digest.get(&digest) else { continue };
        if kept.insert(digest) {
            open.extend(node.parts.iter().copied());
            open.extend(referrers.get(&digest).into_iter().flatten().copied());
        }
    }
}

/// Finds how many manifests that go are above each, one upon the other.
fn measure_depths(doomed: &mut HashMap<Digest, Doom>) {
    let by_claim: HashMap<_, _> = doomed.keys().map(|d| (Claim::content(d), *d)).collect();
    let mut below: HashMap<Digest, Vec<Digest>> = HashMap::new();
    let mut open = Vec::new();
    // How many of those above are not measured yet.
    let mut left: HashMap<Digest, usize> = HashMap::new();
    for (digest, doom) in &*doomed {
        let above: Vec<_> = doom.parents.iter().filter_map(|claim| by_claim.get(claim)).collect();
        above.iter().for_each(|parent| below.entry(**parent).or_default().push(*digest));
        match above.len() {
            0 => open.push(*digest),
            count => drop(left.insert(*digest, count)),
        }
    }
    while let Some(digest) = open.pop() {
        let depth = doomed.get(&digest).map_or(0, |doom| doom.depth);
        for child in below.remove(&digest).unwrap_or_default() {
            if let Some(doom) = doomed.get_mut(&child) {
                doom.depth = doom.depth.max(depth + 1);
            }
            if let Some(count) = left.get_mut(&child) {
                *count -= 1;
                if *count == 0 {
                    open.push(child);
                }
            }
        }
    }
}

/// Looks at the link of something.
pub(super) async fn look_at<T>(
    registry: &Registry,
    of: T,
    path: StoragePath,
) -> (T, Result<Found, StorageError>) {
    let found = link::look(&*registry.driver, &path).await;
    (of, found)
}

struct Unreadable {
    digest: Digest,
    why: String,
}

async fn read_node(
    registry: &Registry,
    (name, is_cached): (&RepositoryName, bool),
    digest: Digest,
    aliases: Vec<Digest>,
) -> Result<Node, Unreadable> {
    let unreadable = |why: String| Unreadable { digest, why };
    let path = layout::blob_data(&digest);
    let content = registry.driver.get(&path, STORED_MANIFEST_BYTES_MAX).await;
    let content = content.map_err(|error| unreadable(error.to_string()))?;
    if Digest::of(digest.algorithm(), &content) != digest {
        return Err(unreadable("its content has another digest".into()));
    }
    let manifest =
        Manifest::parse_stored(&content).map_err(|error| unreadable(error.to_string()))?;
    let mut parts = Vec::new();
    for descriptor in manifest.references() {
        // What is named by an algorithm that is not known can't be here.
        let Ok(part) = descriptor.parsed_digest() else { continue };
        if part.algorithm() == Algorithm::Sha256 {
            parts.push(part);
            continue;
        }
        let linked = registry.linked_part(name, &part).await;
        match linked.map_err(|error| unreadable(error.to_string()))? {
            Some(canonical) => parts.push(canonical),
            None if descriptor.is_foreign() || is_cached => {}
            None => return Err(unreadable(format!("the link of its part {part} is missing"))),
        }
    }
    let (subject, size_bytes) = (manifest.subject_digest(), content.len() as u64);
    Ok(Node { digest, aliases, parts, subject, size_bytes })
}

/// Whether any of these files is younger than `age`. One that is not there is not.
pub(super) async fn is_young(
    registry: &Registry,
    age: Duration,
    paths: &[impl std::borrow::Borrow<StoragePath>],
) -> Result<bool, CollectionError> {
    for path in paths {
        match registry.driver.stat(path.borrow()).await {
            Ok(stat) if is_younger(registry, age, stat.modified) => return Ok(true),
            Ok(_) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Whether something was less than `age` ago; also what is in the future.
pub(super) fn is_younger(registry: &Registry, age: Duration, time: SystemTime) -> bool {
    registry.claims.clock().now().duration_since(time).map_or(true, |passed| passed < age)
}

/// Whether a manifest is known to have been pulled less than `age` ago.
fn was_pulled(registry: &Registry, tagged: &Tagged, node: &Node, age: Duration) -> bool {
    let digests = node.aliases.iter().chain([&node.digest]).copied();
    let pulled = tagged.pulls.as_ref().and_then(|pulls| pulls.of_digests(digests));
    pulled.is_some_and(|pulled| is_younger(registry, age, pulled))
}
