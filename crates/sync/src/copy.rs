//! Copying one item: what a tag or a digest names, with everything that it is made of, and what
//! refers to it. Children come before what names them, blobs before manifests, the tag last.

mod blobs;
mod paced;
mod referrers;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use oci::{Descriptor, Digest, ManifestKind, MediaType, Reference, RepositoryName, Tag};

use crate::Child;
use crate::companions::{Belonging, belonging};
use crate::engine::Engine;
use crate::fault::{Fault, Result};
use crate::limits::{BLOBS_AT_ONCE, DEPTH_MAX, MANIFESTS_MAX};
use crate::place::{Content, Found, Place};
use crate::tally::Tally;

/// What came of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Something of it was not at the target.
    Copied,
    /// Everything was there, or the source does not have it any more.
    Skipped,
}

/// One item on its way.
pub(crate) struct Copy<'a> {
    engine: &'a Engine,
    tally: &'a Tally,
    from: &'a RepositoryName,
    to: RepositoryName,
    /// The manifests that were taken up, so that none is twice.
    seen: Mutex<HashSet<Digest>>,
    has_changed: AtomicBool,
}

/// A manifest whose parts are at the target.
struct Brought {
    digest: Digest,
    /// Its content, where it was read.
    found: Option<Found>,
    /// Whether it is at the target itself.
    is_there: bool,
    /// Whether all of its parts are at the target, and not only those of some platforms.
    is_whole: bool,
    /// The children that are at the target.
    children: Vec<Digest>,
}

impl<'a> Copy<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        tally: &'a Tally,
        from: &'a RepositoryName,
    ) -> Result<Self> {
        let to = engine.target_of(from)?;
        let (seen, has_changed) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { engine, tally, from, to, seen, has_changed })
    }

    /// Copies what a reference of the source names.
    pub(crate) async fn run(&self, reference: &Reference) -> Result<Outcome> {
        let Some(digest) = self.engine.source.resolve(self.from, reference).await? else {
            return Ok(Outcome::Skipped);
        };
        self.wait_for_subject(reference, &digest).await?;
        self.engine.admit_item().await?;
        let tag = match reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        };
        let mut tree = Vec::new();
        let mut root = self.bring(digest, 0, &mut tree).await?;
        if self.engine.job.referrers {
            let lists_subject = self.put_by_digest(&mut root).await?;
            self.list_with_subject(&mut root, lists_subject).await?;
            self.bring_referrers(&tree).await?;
        }
        match tag {
            Some(tag) => self.put_tag(&mut root, tag).await?,
            None => {
                self.put_by_digest(&mut root).await?;
            }
        }
        let has_changed = self.has_changed.load(Ordering::Relaxed);
        Ok(if has_changed { Outcome::Copied } else { Outcome::Skipped })
    }

    /// What belongs to something else goes along with that, and not without it.
    async fn wait_for_subject(&self, reference: &Reference, digest: &Digest) -> Result<()> {
        let subject = match reference {
            Reference::Tag(tag) if self.engine.job.selection.selects_tag(tag) => None,
            Reference::Tag(tag) => match belonging(tag) {
                Some(Belonging::Companion(subject)) => Some(subject),
                _ => None,
            },
            Reference::Digest(_) => {
                let found = self.engine.source.manifest(self.from, digest).await?;
                Content::parse(&found)?.manifest.subject_digest()
            }
        };
        let Some(subject) = subject else { return Ok(()) };
        let by_digest = Reference::Digest(subject);
        match self.engine.target.resolve(&self.to, &by_digest).await? {
            Some(_) => Ok(()),
            None => Err(Fault::Early(subject)),
        }
    }

    /// Brings the parts of a manifest to the target; the manifest itself is for the caller to put
    /// there. `tree` gets it and all manifests below it.
    fn bring<'b>(
        &'b self,
        digest: Digest,
        depth: usize,
        tree: &'b mut Vec<Digest>,
    ) -> BoxFuture<'b, Result<Brought>> {
        async move {
            tree.push(digest);
            let known = self.at_target(&digest).await?;
            let mut brought = Brought {
                digest,
                found: None,
                is_there: known.is_some(),
                is_whole: true,
                children: Vec::new(),
            };
            // What is there is there with all of its parts; but of an index perhaps only with those
            // of some platforms.
            if !self.is_new(&digest)? || known.is_some_and(|media_type| !media_type.is_index()) {
                return Ok(brought);
            }
            let found = self.engine.source.manifest(self.from, &digest).await?;
            let content = Content::parse(&found)?;
            match content.manifest.kind {
                ManifestKind::Image { config, layers } => {
                    self.bring_blobs(std::iter::once(config).chain(layers).collect()).await?;
                }
                ManifestKind::Schema1 { layers } => self.bring_blobs(layers).await?,
                ManifestKind::Index { manifests } => {
                    let chosen = self.chosen(&found, manifests)?;
                    brought.is_whole = chosen.is_whole;
                    for child in chosen.children {
                        self.bring_child(&child, depth, tree, &mut brought).await?;
                    }
                }
            }
            brought.found = Some(found);
            Ok(brought)
        }
        .boxed()
    }

    async fn bring_child(
        &self,
        child: &Descriptor,
        depth: usize,
        tree: &mut Vec<Digest>,
        parent: &mut Brought,
    ) -> Result<()> {
        let Ok(digest) = child.parsed_digest() else {
            let reason = format!("{} is of an algorithm that is not known", child.digest);
            return Err(Fault::Refused(reason));
        };
        // The cache of BuildKit is an index of layers.
        let media_type = MediaType::from_content_type(&child.media_type);
        if media_type.is_none() && !child.media_type.is_empty() {
            return self.bring_blobs(vec![child.clone()]).await;
        }
        if depth >= DEPTH_MAX {
            let reason = format!("indexes are within each other more than {DEPTH_MAX} deep");
            return Err(Fault::Refused(reason));
        }
        let mut brought = self.bring(digest, depth + 1, tree).await?;
        self.put_by_digest(&mut brought).await?;
        parent.children.push(digest);
        Ok(())
    }

    async fn bring_blobs(&self, blobs: Vec<Descriptor>) -> Result<()> {
        let mut seen = HashSet::new();
        let copies = blobs.into_iter().filter_map(|blob| {
            // What is to be fetched from elsewhere is no part of any registry.
            if blob.is_foreign() && !blob.urls.is_empty() {
                return None;
            }
            let digest = blob.parsed_digest().ok()?;
            seen.insert(digest).then(|| self.bring_blob(digest))
        });
        let copies: Vec<_> = copies.collect();
        stream::iter(copies).map(Ok).try_for_each_concurrent(BLOBS_AT_ONCE, |copy| copy).await
    }

    /// The children of an index that are copied.
    fn chosen(&self, found: &Found, manifests: Vec<Descriptor>) -> Result<Chosen> {
        if self.engine.job.platforms.is_all() {
            return Ok(Chosen { children: manifests, is_whole: true });
        }
        let children = Child::of_index(&found.content)
            .ok_or_else(|| Fault::Refused(format!("{} is no index", found.digest)))?;
        let chosen = self.engine.job.platforms.chosen(&children);
        let digests: HashSet<&str> = chosen.iter().map(|child| child.digest.as_str()).collect();
        let all = manifests.len();
        let children: Vec<_> =
            manifests.into_iter().filter(|child| digests.contains(child.digest.as_str())).collect();
        Ok(Chosen { is_whole: children.len() == all, children })
    }

    /// The kind of a manifest that the target has.
    async fn at_target(&self, digest: &Digest) -> Result<Option<MediaType>> {
        match &self.engine.target {
            Place::Here(here) => here.has_manifest(&self.to, digest).await,
            Place::There(there) => there.has_manifest(&self.to, digest).await,
        }
    }

    /// Whether a manifest was not taken up yet.
    fn is_new(&self, digest: &Digest) -> Result<bool> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MANIFESTS_MAX {
            let reason = format!("it consists of more than {MANIFESTS_MAX} manifests");
            return Err(Fault::Refused(reason));
        }
        Ok(seen.insert(*digest))
    }

    /// The content of a manifest.
    async fn content<'b>(&self, brought: &'b mut Brought) -> Result<&'b Found> {
        let found = match brought.found.take() {
            Some(found) => found,
            None => self.engine.source.manifest(self.from, &brought.digest).await?,
        };
        Ok(brought.found.insert(found))
    }

    /// Puts a manifest to the target without a tag, unless it is there. Returns whether the target
    /// has taken note of its subject; `None` when it was there.
    async fn put_by_digest(&self, brought: &mut Brought) -> Result<Option<bool>> {
        if brought.is_there {
            return Ok(None);
        }
        let lists_subject = self.put(brought, None).await?;
        brought.is_there = true;
        Ok(Some(lists_subject))
    }

    /// Lets a tag of the target name a manifest, unless it does already.
    async fn put_tag(&self, brought: &mut Brought, tag: &Tag) -> Result<()> {
        let reference = Reference::Tag(tag.clone());
        let named = self.engine.target.resolve(&self.to, &reference).await?;
        if named == Some(brought.digest) && brought.is_there {
            return Ok(());
        }
        if !brought.is_whole && self.engine.writes_here() {
            // Its parts are not looked for when it is stored, so they are before it has a name.
            self.put_by_digest(brought).await?;
            for child in &brought.children {
                if self.at_target(child).await?.is_none() {
                    let reason = format!("{child} was just collected; it is copied again");
                    return Err(Fault::NotNow(reason));
                }
            }
        }
        self.put(brought, Some(tag)).await?;
        Ok(())
    }

    async fn put(&self, brought: &mut Brought, tag: Option<&Tag>) -> Result<bool> {
        let is_whole = brought.is_whole;
        let found = self.content(brought).await?;
        self.engine.admit(found.content.len() as u64).await?;
        let lists_subject = match &self.engine.target {
            Place::Here(here) => {
                here.put_manifest(&self.to, found, tag, is_whole).await?;
                true
            }
            Place::There(there) => there.put_manifest(&self.to, found, tag).await?.lists_subject,
        };
        self.tally.manifest(found.content.len());
        self.has_changed.store(true, Ordering::Relaxed);
        Ok(lists_subject)
    }
}

/// The children of an index that are copied, and whether that is all of them.
struct Chosen {
    children: Vec<Descriptor>,
    is_whole: bool,
}
