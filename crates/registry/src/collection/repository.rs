//! One repository, judged: what of it is kept, and what that refers to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::{Algorithm, Digest, Manifest, RepositoryName, Tag};
use storage::{StorageError, StoragePath};

use super::garbage::{Garbage, Item, Reason};
use super::{CollectionError, CollectionOptions, links, mark};
use crate::claims::Claim;
use crate::limits::STORED_MANIFEST_BYTES_MAX;
use crate::link::{self, Found};
use crate::{Registry, layout};

/// What a look at a repository found.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) name: RepositoryName,
    /// The canonical digests of the manifests that are kept.
    pub(super) kept: Vec<Digest>,
    /// The tags that are kept, as far as they were read.
    pub(super) kept_tags: Vec<Tag>,
    /// What the kept ones refer to, themselves included.
    pub(super) references: HashSet<Claim>,
    /// What the others refer to.
    pub(super) doomed_references: HashSet<Claim>,
    /// What can't be read, in words. Everything is kept then.
    pub(super) problems: Vec<String>,
    /// What it took, in operations of the storage.
    pub(super) operations: u64,
    manifests: Vec<Item>,
    layers: Vec<Item>,
    layers_kept: usize,
}

/// A manifest that was read.
struct Node {
    digest: Digest,
    aliases: Vec<Digest>,
    /// The canonical digests of its configuration, layers or children.
    parts: Vec<Digest>,
    subject: Option<Digest>,
}

impl Repository {
    fn new(name: RepositoryName) -> Self {
        Self {
            name,
            kept: Vec::new(),
            kept_tags: Vec::new(),
            references: HashSet::new(),
            doomed_references: HashSet::new(),
            problems: Vec::new(),
            operations: 0,
            manifests: Vec::new(),
            layers: Vec::new(),
            layers_kept: 0,
        }
    }

    /// Reads a repository and decides about its manifests and layer links.
    pub(super) async fn judge(
        registry: &Registry,
        options: &CollectionOptions,
        pinned: &HashSet<Claim>,
        name: RepositoryName,
    ) -> Result<Self, CollectionError> {
        let mut this = Self::new(name);
        let revisions = this.revisions(registry).await?;
        let nodes = this.read(registry, revisions).await?;
        let is_whole = this.problems.is_empty();
        let doomed = match is_whole {
            true => this.doomed(registry, options, pinned, &nodes).await?,
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
        name: &RepositoryName,
        seen: &HashSet<u128>,
    ) -> Result<Self, CollectionError> {
        let mut this = Self::new(name.clone());
        let mut revisions = this.revisions(registry).await?;
        revisions.retain(|digest, _| !seen.contains(&mark::seen_key(name, digest)));
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
        self.manifests.iter().chain(&self.layers)
    }

    pub(super) fn into_garbage(self) -> impl Iterator<Item = Item> {
        self.manifests.into_iter().chain(self.layers)
    }

    /// The manifests that a repository has, by their canonical digest, with the other digests under
    /// which it has them. A directory without a link is none.
    async fn revisions(
        &mut self,
        registry: &Registry,
    ) -> Result<BTreeMap<Digest, Vec<Digest>>, CollectionError> {
        let mut revisions: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for algorithm in Algorithm::ALL {
            let path = layout::revisions(&self.name, algorithm);
            let digests = links::digests(registry, &path, algorithm).await?;
            self.operations += digests.len() as u64;
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
    async fn read(
        &mut self,
        registry: &Registry,
        revisions: BTreeMap<Digest, Vec<Digest>>,
    ) -> Result<Vec<Node>, CollectionError> {
        let name = self.name.clone();
        self.operations += revisions.len() as u64;
        let mut reads = stream::iter(revisions)
            .map(|(digest, aliases)| read_node(registry, &name, digest, aliases).boxed())
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
        pinned: &HashSet<Claim>,
        nodes: &[Node],
    ) -> Result<HashMap<Digest, (Reason, Vec<Claim>)>, CollectionError> {
        let there: HashSet<_> = nodes.iter().map(|node| node.digest).collect();
        let by_alias: HashMap<_, _> =
            nodes.iter().flat_map(|n| n.aliases.iter().map(|a| (*a, n.digest))).collect();
        let subject = |node: &Node| {
            node.subject.map(|subject| by_alias.get(&subject).copied().unwrap_or(subject))
        };
        let is_orphan = |node: &Node| {
            options.referrers && subject(node).is_some_and(|subject| !there.contains(&subject))
        };
        if !options.untagged && !nodes.iter().any(is_orphan) {
            return Ok(HashMap::new());
        }
        let tagged = self.tagged(registry, &by_alias).await?;
        let mut kept: HashSet<Digest> = HashSet::new();
        let is_root = |node: &Node| {
            let may_go = options.untagged || is_orphan(node);
            !may_go
                || tagged.contains(&node.digest)
                || pinned.contains(&Claim::content(&node.digest))
        };
        let roots: Vec<_> = nodes.iter().filter(|n| is_root(n)).map(|n| n.digest).collect();
        spread(nodes, &subject, roots, &mut kept);
        for node in nodes {
            if kept.contains(&node.digest) {
                continue;
            }
            let link = layout::revision_link(&self.name, &node.digest);
            self.operations += 2;
            if is_young(registry, options, &[&link, &layout::blob_data(&node.digest)]).await? {
                spread(nodes, &subject, vec![node.digest], &mut kept);
            }
        }
        let mut doomed: HashMap<Digest, (Reason, Vec<Claim>)> = HashMap::new();
        for node in nodes.iter().filter(|node| !kept.contains(&node.digest)) {
            let reason = if is_orphan(node) { Reason::SubjectGone } else { Reason::Untagged };
            let parent = subject(node).filter(|subject| there.contains(subject));
            let entry = doomed.entry(node.digest).or_insert_with(|| (reason, Vec::new()));
            entry.1.extend(parent.map(|parent| Claim::content(&parent)));
        }
        for node in nodes.iter().filter(|node| !kept.contains(&node.digest)) {
            for part in &node.parts {
                if let Some((_, parents)) = doomed.get_mut(part) {
                    parents.push(Claim::content(&node.digest));
                }
            }
        }
        Ok(doomed)
    }

    /// The canonical digests of what tags name.
    async fn tagged(
        &mut self,
        registry: &Registry,
        by_alias: &HashMap<Digest, Digest>,
    ) -> Result<HashSet<Digest>, CollectionError> {
        let tags = links::tags(registry, &self.name).await?;
        self.operations += tags.len() as u64;
        let name = self.name.clone();
        let mut looks = stream::iter(tags)
            .map(|tag| {
                let path = layout::tag_current(&name, &tag);
                look_at(registry, tag, path).boxed()
            })
            .buffered(registry.requests_at_once());
        let mut tagged = HashSet::new();
        while let Some((tag, found)) = looks.next().await {
            match found {
                Ok(Found::Link(digest)) => {
                    tagged.insert(by_alias.get(&digest).copied().unwrap_or(digest));
                    self.kept_tags.push(tag);
                }
                Ok(Found::Nothing) => {}
                Ok(Found::Damaged { size_bytes }) => self.problems.push(format!(
                    "the link of tag {tag} is damaged ({size_bytes} bytes); what the repository \
                     has is kept"
                )),
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        if !self.problems.is_empty() {
            // It can't be known what the tag is for.
            tagged.extend(by_alias.values());
        }
        Ok(tagged)
    }

    /// Puts a manifest to those that are kept, or to the garbage.
    fn settle(&mut self, node: Node, doomed: &HashMap<Digest, (Reason, Vec<Claim>)>) {
        let Node { digest, aliases, parts, .. } = node;
        let claims = parts.iter().chain([&digest]).map(Claim::content);
        match doomed.get(&digest) {
            Some((reason, parents)) if self.problems.is_empty() => {
                self.doomed_references.extend(claims);
                let garbage = Garbage::Manifest { name: self.name.clone(), digest, aliases };
                let mut item = Item::new(garbage, *reason);
                item.parents.clone_from(parents);
                self.manifests.push(item);
            }
            _ => {
                self.references.extend(claims);
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
                || is_young(registry, options, &[&path, &data]).await?
            {
                self.layers_kept += 1;
                self.references.insert(claim);
                continue;
            }
            self.layers.push(mark::layer(&self.name, digest, canonical));
        }
        Ok(())
    }

    fn keep_layers(&mut self, layers: Vec<Digest>) {
        self.layers_kept = layers.len();
        self.references.extend(layers.iter().map(Claim::content));
    }
}

/// Keeps what hangs on kept manifests: children of an index, and what refers to a subject.
fn spread(
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

/// Looks at the link of something.
async fn look_at<T>(
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
    name: &RepositoryName,
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
            None if descriptor.is_foreign() => {}
            None => return Err(unreadable(format!("the link of its part {part} is missing"))),
        }
    }
    Ok(Node { digest, aliases, parts, subject: manifest.subject_digest() })
}

/// Whether any of these files is younger than what is collected. One that is not there is not.
pub(super) async fn is_young(
    registry: &Registry,
    options: &CollectionOptions,
    paths: &[&StoragePath],
) -> Result<bool, CollectionError> {
    for path in paths {
        match registry.driver.stat(path).await {
            Ok(stat) if is_younger(registry, options, stat.modified) => return Ok(true),
            Ok(_) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Whether a time is later than what is collected; also one in the future.
pub(super) fn is_younger(
    registry: &Registry,
    options: &CollectionOptions,
    modified: SystemTime,
) -> bool {
    let age = registry.claims.clock().now().duration_since(modified);
    age.map_or(true, |age| age < options.older_than)
}
