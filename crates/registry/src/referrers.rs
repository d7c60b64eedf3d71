//! Referrers: which manifests of a repository name another one as their subject.
//!
//! The layout has no place for this, so it is derived: every manifest of the repository is read
//! once, whoever pushed it and whether or not a referrers tag lists it, and what was learnt is kept
//! in memory. That a manifest names a subject never changes; which manifests there are is looked
//! up each time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, Manifest, RepositoryName};
use quick_cache::sync::Cache;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answers::{Answer, Question};
use crate::limits::{ENTRIES_BETWEEN_YIELDS, REFERRERS_CACHE_BYTES_MAX, REFERRERS_PAGE_BYTES_MAX};
use crate::listings::Directories;
use crate::trail::Trail;
use crate::{Error, Page, Registry, Result, layout};

/// A manifest that refers to the subject (distribution-spec, "Listing Referrers").
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerDescriptor {
    /// Its media type.
    pub media_type: &'static str,
    /// Its digest.
    #[serde(serialize_with = "as_text")]
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: usize,
    /// Its artifact type, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations, when it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Map<String, Value>>,
}

fn as_text<S>(digest: &Digest, serializer: S) -> std::result::Result<S::Ok, S::Error>
where
    S: serde::Serializer,
{
    serializer.collect_str(digest)
}

/// A page of referrers, sorted by digest.
#[derive(Debug, Clone, Default)]
pub struct Referrers {
    /// The manifests.
    pub manifests: Vec<Arc<ReferrerDescriptor>>,
    /// Where the next page goes on; `None` when there is none.
    pub next: Option<String>,
}

/// What is known of one repository's manifests. Replaced as a whole when there are new ones.
#[derive(Debug, Clone, Default)]
struct Index {
    /// The edition of each algorithm's directory of revisions that is taken in completely.
    editions: [Option<u64>; Algorithm::ALL.len()],
    /// The manifests that were read, by the first half of their digest: enough to tell those of
    /// one repository apart, at a quarter of the memory.
    read: HashSet<(Algorithm, u128)>,
    by_subject: HashMap<Digest, Vec<Arc<ReferrerDescriptor>>>,
    descriptor_bytes: u64,
}

impl Index {
    fn weight_bytes(&self) -> u64 {
        let read = self.read.capacity() * (size_of::<(Algorithm, u128)>() + 1);
        let subjects = self.by_subject.capacity() * 128;
        256 + (read + subjects) as u64 + self.descriptor_bytes
    }

    fn key(digest: &Digest) -> (Algorithm, u128) {
        let mut half = [0; 16];
        half.copy_from_slice(&digest.as_bytes()[..16]);
        (digest.algorithm(), u128::from_be_bytes(half))
    }

    fn add(&mut self, digest: Digest, manifest: &Manifest, size: usize) {
        self.read.insert(Self::key(&digest));
        let Some(subject) = manifest.subject_digest() else { return };
        let descriptor = Arc::new(ReferrerDescriptor {
            media_type: manifest.media_type.as_str(),
            digest,
            size,
            artifact_type: manifest.referrer_artifact_type().map(str::to_owned),
            annotations: manifest.annotations.clone(),
        });
        self.descriptor_bytes += 256 + 2 * descriptor.json_bytes() as u64;
        let siblings = self.by_subject.entry(subject).or_default();
        let position = siblings.partition_point(|s| s.digest < digest);
        siblings.insert(position, descriptor);
    }
}

impl ReferrerDescriptor {
    /// How long it is when it is sent.
    pub(crate) fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len())
    }
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<RepositoryName, Arc<Index>> for ByBytes {
    fn weight(&self, _: &RepositoryName, index: &Arc<Index>) -> u64 {
        index.weight_bytes()
    }
}

/// The indexes that are remembered, by repository.
pub(crate) struct ReferrersIndexes(Cache<RepositoryName, Arc<Index>, ByBytes>);

impl ReferrersIndexes {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(100, REFERRERS_CACHE_BYTES_MAX, ByBytes))
    }

    /// Forgets a repository.
    pub(crate) fn forget(&self, name: &RepositoryName) {
        self.0.remove(name);
    }
}

impl Registry {
    /// A page of the manifests that name `subject` as theirs, optionally only those of one
    /// artifact type. Empty when there are none, and when subject or repository do not exist.
    /// `page.last` is a digest, as [`Referrers::next`] returned it.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: Page<'_>,
    ) -> Result<Answer<Referrers>> {
        let question = Question::Referrers {
            name: name.clone(),
            subject: *subject,
            artifact_type: artifact_type.map(Into::into),
            page: page.into(),
        };
        Ok(self.answer(question).await?.referrers())
    }

    pub(crate) async fn derive_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: Page<'_>,
        trail: &mut Trail,
    ) -> Result<Referrers> {
        let (index, revisions) = self.referrers_index(name, trail).await?;
        let mut found = Referrers::default();
        let Some(candidates) = index.by_subject.get(subject) else { return Ok(found) };
        let last = page.last.and_then(|l| Digest::parse(l).ok());
        let shadowed = self.shadowed(name, candidates, trail).await?;
        let mut bytes = 0;
        for descriptor in candidates {
            if last.is_some_and(|last| descriptor.digest <= last)
                || artifact_type.is_some_and(|t| descriptor.artifact_type.as_deref() != Some(t))
                || shadowed.contains(&descriptor.digest)
                || !self.is_there(name, &descriptor.digest, &revisions, trail).await?
            {
                continue;
            }
            bytes += descriptor.json_bytes();
            let full = page.limit.is_some_and(|limit| found.manifests.len() >= limit)
                || (bytes > REFERRERS_PAGE_BYTES_MAX && !found.manifests.is_empty());
            if full {
                found.next = found.manifests.last().map(|d| d.digest.to_string());
                break;
            }
            found.manifests.push(descriptor.clone());
        }
        Ok(found)
    }

    /// Whether a repository has a manifest, of which the index may remember more than there is.
    async fn is_there(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        revisions: &Revisions,
        trail: &mut Trail,
    ) -> Result<bool> {
        if self.driver.is_remote() && digest.algorithm() == Algorithm::Sha256 {
            // Nothing but the link makes it appear in the list that was read just now.
            return Ok(revisions.contain(digest));
        }
        Ok(self.linked(name, digest, trail).await?.is_some())
    }

    /// The canonical digests of those candidates that were pushed under another digest: each is to
    /// be listed once, under the digest its client knows.
    async fn shadowed(
        &self,
        name: &RepositoryName,
        candidates: &[Arc<ReferrerDescriptor>],
        trail: &mut Trail,
    ) -> Result<HashSet<Digest>> {
        let mut shadowed = HashSet::new();
        for descriptor in candidates {
            if descriptor.digest.algorithm() != Algorithm::Sha256 {
                shadowed.extend(self.linked(name, &descriptor.digest, trail).await?);
            }
        }
        Ok(shadowed)
    }

    /// Follows a repository's link to the canonical digest of a manifest, and notes what that
    /// depends on.
    async fn linked(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        trail: &mut Trail,
    ) -> Result<Option<Digest>> {
        trail.file(&layout::revision_link(name, digest));
        let canonical = self.linked_manifest(name, digest).await?;
        match canonical {
            Some(canonical) if canonical != *digest => {
                trail.file(&layout::revision_link(name, &canonical));
            }
            Some(_) => {}
            // It may lead to what is not there, and that may come.
            None if digest.algorithm() != Algorithm::Sha256 => trail.give_up(),
            None => {}
        }
        Ok(canonical)
    }

    /// The index of a repository, brought up to date, and the revisions that there are.
    async fn referrers_index(
        &self,
        name: &RepositoryName,
        trail: &mut Trail,
    ) -> Result<(Arc<Index>, Revisions)> {
        let known = self.referrers.0.get(name).unwrap_or_default();
        let mut fresh: Option<Index> = None;
        let mut all = Revisions::default();
        for (slot, algorithm) in Algorithm::ALL.into_iter().enumerate() {
            let path = layout::revisions(name, algorithm);
            trail.listing(&path);
            let revisions = self.listings.directories(&*self.driver, &path).await?;
            let Some(revisions) = revisions else { continue };
            all.0[slot] = Some(Arc::clone(&revisions));
            if Some(revisions.edition()) == known.editions[slot] {
                continue;
            }
            let index = fresh.get_or_insert_with(|| (*known).clone());
            let digests =
                revisions.all().filter_map(|d| Digest::from_hex(algorithm, d.name()).ok());
            let unread: Vec<_> =
                digests.filter(|digest| !index.read.contains(&Index::key(digest))).collect();
            let complete = self.take_in(name, unread, index, trail).await?;
            index.editions[slot] = Some(revisions.edition()).filter(|_| complete);
        }
        let Some(fresh) = fresh else { return Ok((known, all)) };
        let fresh = Arc::new(fresh);
        self.referrers.0.insert(name.clone(), fresh.clone());
        Ok((fresh, all))
    }

    /// Reads manifests into the index, several at once where each is a request. Returns whether
    /// none of them will ever have to be looked at again; a revision without link or data may
    /// still come (back).
    async fn take_in(
        &self,
        name: &RepositoryName,
        digests: Vec<Digest>,
        index: &mut Index,
        trail: &mut Trail,
    ) -> Result<bool> {
        let reads = stream::iter(digests).map(|digest| self.look_into(name, digest));
        let mut reads = std::pin::pin!(reads.buffered(self.requests_at_once()));
        let (mut complete, mut count) = (true, 0_usize);
        while let Some(look) = reads.next().await {
            count += 1;
            if count.is_multiple_of(ENTRIES_BETWEEN_YIELDS) {
                tokio::task::yield_now().await;
            }
            match look? {
                Look::Absent(missing) => {
                    trail.extend(missing);
                    complete = false;
                }
                Look::Manifest(digest, manifest, size) => index.add(digest, &manifest, size),
                Look::Other(digest) => {
                    index.read.insert(Index::key(&digest));
                }
            }
        }
        Ok(complete)
    }

    /// Reads one manifest.
    async fn look_into(&self, name: &RepositoryName, digest: Digest) -> Result<Look> {
        // What is read once and for all is no source, but what is left out is.
        let mut missing = Trail::new();
        let Some(canonical) = self.linked(name, &digest, &mut missing).await? else {
            return Ok(Look::Absent(missing));
        };
        missing.file(&layout::blob_data(&canonical));
        let content = match self.load_manifest(&canonical).await {
            Ok(Some((_, content))) => content,
            Ok(None) => return Ok(Look::Absent(missing)),
            Err(error @ Error::Corrupt { .. }) => {
                // One damaged manifest must not take down the listing of the others.
                tracing::error!(repository = %name, %error, "manifest left out of the referrers");
                return Ok(Look::Absent(missing));
            }
            Err(error) => return Err(error),
        };
        Ok(match Manifest::parse_stored(&content) {
            Ok(manifest) => Look::Manifest(digest, Box::new(manifest), content.len()),
            Err(_) => Look::Other(digest),
        })
    }
}

/// What a revision turned out to be.
enum Look {
    /// It is not there, or not whole; what that depends on.
    Absent(Trail),
    /// A manifest, and its size in bytes.
    Manifest(Digest, Box<Manifest>, usize),
    /// Something else.
    Other(Digest),
}

/// The revisions of a repository, by algorithm.
#[derive(Default)]
struct Revisions([Option<Arc<Directories>>; Algorithm::ALL.len()]);

impl Revisions {
    /// Whether there is anything of a revision.
    fn contain(&self, digest: &Digest) -> bool {
        let slot = Algorithm::ALL.into_iter().position(|a| a == digest.algorithm());
        let revisions = slot.and_then(|slot| self.0[slot].as_ref());
        revisions.is_some_and(|revisions| revisions.contains(&digest.hex()))
    }
}
