//! Manifests: stored like blobs, and linked into a repository as its revisions.

use bytes::Bytes;
use oci::{
    Algorithm, Digest, Manifest, MediaType, Reference, RepositoryName, Tag, sniff_media_type,
};
use storage::{Change, StorageError, StoragePath};

use crate::descriptors::Gone;
use crate::limits::{ANSWER_SOURCES_MAX, STORED_MANIFEST_BYTES_MAX};
use crate::trail::Trail;
use crate::{Error, Registry, Result, layout, link};

mod cache;
mod promise;
mod tagged;

pub use cache::CacheStats;
pub(crate) use cache::ManifestCache;
pub(crate) use tagged::Tagged;

/// A manifest as it is served.
#[derive(Debug, Clone)]
pub struct StoredManifest {
    /// The digest by which it was asked for, or which its tag names.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// The bytes that were pushed.
    pub content: Bytes,
}

/// A manifest that is being pushed.
#[derive(Debug, Clone)]
pub struct ManifestPush {
    /// What it is pushed as.
    pub reference: Reference,
    /// Further tags it shall get (`?tag=` of a push by digest).
    pub tags: Vec<Tag>,
    /// Its media type, from the request.
    pub media_type: MediaType,
    /// Its bytes.
    pub content: Bytes,
}

/// What came of a push.
#[derive(Debug, Clone)]
pub struct PushedManifest {
    /// The digest under which it can be pulled.
    pub digest: Digest,
    /// The digest of its subject, when it has one.
    pub subject: Option<Digest>,
    /// The tags that name it now because of this push.
    pub tags: Vec<Tag>,
}

/// Where what a manifest refers to has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// In the repository.
    Needed,
    /// In another registry, at least.
    Elsewhere,
}

impl Registry {
    /// What the cache of manifests was asked; nothing when there is none.
    #[must_use]
    pub fn manifest_cache_stats(&self) -> CacheStats {
        self.manifest_cache.as_ref().map_or_else(CacheStats::default, ManifestCache::stats)
    }

    /// The manifest behind a tag or digest.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] when the repository does not have it, or its data is gone.
    pub async fn get_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<StoredManifest> {
        let unknown =
            || Error::ManifestUnknown { name: name.clone(), reference: reference.clone() };
        let digest = match reference {
            Reference::Tag(tag) => self.resolve_tag(name, tag).await?,
            Reference::Digest(digest) => *digest,
        };
        let is_by_remote_tag = matches!(reference, Reference::Tag(_)) && self.driver.is_remote();
        let known = is_by_remote_tag.then(|| self.tagged.get(name, &digest)).flatten();
        let canonical = match (known, &self.descriptors) {
            (Some(canonical), _) => Some(canonical),
            (None, None) => self.linked_manifest(name, &digest).await?,
            (None, Some(cache)) => {
                Box::pin(self.linked_manifest_by(&**cache, name, &digest)).await?
            }
        };
        let canonical = canonical.ok_or_else(unknown)?;
        let Some((media_type, content)) = self.load_manifest(&canonical).await? else {
            tracing::warn!(repository = %name, %digest, "manifest is linked but its data is gone");
            self.tagged.forget(name, &digest);
            self.revoke(name, &[canonical, digest], Gone::FromStorage).await;
            return Err(unknown());
        };
        if is_by_remote_tag && known.is_none() {
            self.tagged.note(name, &digest, &canonical);
        }
        Ok(StoredManifest { digest, media_type, content })
    }

    /// Whether a repository has a manifest, data included.
    pub(crate) async fn has_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool> {
        let Some(canonical) = self.linked_manifest(name, digest).await? else { return Ok(false) };
        self.is_stored(&canonical).await
    }

    /// Follows a repository's link to the canonical digest of a manifest, in the storage.
    pub(crate) async fn linked_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Digest>> {
        let path_of = |d: &Digest| layout::revision_link(name, d);
        Ok(link::follow(&*self.driver, digest, path_of).await?)
    }

    /// The bytes of a manifest, checked against their digest when they come from the storage.
    /// `None` when there are none, or they are no manifest.
    pub(crate) async fn load_manifest(
        &self,
        canonical: &Digest,
    ) -> Result<Option<(MediaType, Bytes)>> {
        if let Some(known) = self.manifest_cache.as_ref().and_then(|cache| cache.get(canonical)) {
            return Ok(Some(known));
        }
        let path = layout::blob_data(canonical);
        let content = match self.driver.get(&path, STORED_MANIFEST_BYTES_MAX).await {
            Ok(content) => content,
            Err(StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let actual = Digest::of(canonical.algorithm(), &content);
        if actual != *canonical {
            return Err(Error::Corrupt { digest: *canonical, actual });
        }
        let Some(media_type) = sniff_media_type(&content) else { return Ok(None) };
        self.remember_manifest(canonical, media_type, &content);
        Ok(Some((media_type, content)))
    }

    fn remember_manifest(&self, canonical: &Digest, media_type: MediaType, content: &Bytes) {
        if let Some(cache) = &self.manifest_cache {
            cache.insert(canonical, media_type, content);
        }
    }

    /// Stores a manifest and lets its tags name it. Everything is durable on return.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`], [`Error::DigestMismatch`], [`Error::ManifestReferences`],
    /// [`Error::Denied`].
    pub async fn put_manifest(
        &self,
        name: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        self.store_manifest(name, push, Parts::Needed).await
    }

    /// [`Registry::put_manifest`] for one that comes from another registry, which has what it refers
    /// to: that is fetched when somebody asks for it.
    ///
    /// # Errors
    /// As [`Registry::put_manifest`], but for what is missing or not allowed to be pushed.
    pub async fn cache_manifest(
        &self,
        name: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest> {
        self.store_manifest(name, push, Parts::Elsewhere).await
    }

    async fn store_manifest(
        &self,
        name: &RepositoryName,
        push: ManifestPush,
        parts: Parts,
    ) -> Result<PushedManifest> {
        let ManifestPush { reference, mut tags, media_type, content } = push;
        let canonical = Digest::of(Algorithm::Sha256, &content);
        let digest = match reference {
            Reference::Digest(expected) => {
                let actual = Digest::of(expected.algorithm(), &content);
                if actual != expected {
                    return Err(Error::DigestMismatch { expected, actual });
                }
                expected
            }
            Reference::Tag(tag) => {
                tags.insert(0, tag);
                canonical
            }
        };
        let manifest = Manifest::parse(media_type, &content)?;
        let view = self.view().await?;
        let named = (&canonical, &manifest);
        let listed = self.claim_manifest(&view, name, named, &tags).await?;
        if parts == Parts::Needed {
            self.check_manifest(name, &manifest).await?;
            self.check_parts(name, &listed).await?;
        }
        // What is there already of the manifest itself stays, however long the rest takes.
        self.promise_linked(&canonical).await?;

        // The data first and the tags last: a link never leads to what is not there.
        let mut new = vec![Change::put(layout::blob_data(&canonical), content.clone())];
        new.extend(link::changes(&canonical, &digest, |d| layout::revision_link(name, d)));
        let index = |tag| link::change(layout::tag_index(name, tag, &digest), &digest);
        new.extend(tags.iter().map(index));
        let current = |tag| link::change(layout::tag_current(name, tag), &digest);
        let stages = || vec![new.clone(), tags.iter().map(current).collect()];
        let again = self.tags_pushed_again(name, &tags, &digest).await?;
        let ticket = self.ticket(name).await;
        let applied = self.driver.apply(stages()).await;
        // Whatever came of it: some of them may name it now.
        self.listings.forget_named(&layout::tags(name), tags.iter().map(Tag::as_str));
        applied?;
        for path in again {
            self.driver.put(&path, link::content(&digest)).await?;
        }
        if let Some(view) = self.overtaken(view).await? {
            self.claim_manifest(&view, name, named, &tags).await?;
            if parts == Parts::Needed {
                self.check_whole(name, &manifest).await?;
            }
            // What was there already may have gone before it was claimed anew: the tag, too.
            self.driver.apply(stages()).await?;
        }
        self.remember_manifest(&canonical, media_type, &content);
        self.remember_revision(ticket, name, &digest, &canonical).await;
        Ok(PushedManifest { digest, subject: manifest.subject_digest(), tags })
    }

    /// The links of those of these tags that name this manifest already. Only for rules that ask when
    /// a tag was pushed: what is there already is not written otherwise.
    async fn tags_pushed_again(
        &self,
        name: &RepositoryName,
        tags: &[Tag],
        digest: &Digest,
    ) -> Result<Vec<StoragePath>> {
        let mut again = Vec::new();
        if self.options.renew_tags {
            for path in tags.iter().map(|tag| layout::tag_current(name, tag)) {
                if link::look(&*self.driver, &path).await? == link::Found::Link(*digest) {
                    again.push(path);
                }
            }
        }
        Ok(again)
    }

    /// Deletes a manifest from a repository, and every tag that names it, which are returned. Its
    /// data stays until it is collected.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] when the repository does not have it.
    pub async fn delete_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Tag>> {
        let linked = self.linked_manifest(name, digest).await?;
        let outcome = match &linked {
            Some(canonical) => self.delete_stored_manifest(name, digest, canonical).await,
            None => {
                let reference = Reference::Digest(*digest);
                Err(Error::ManifestUnknown { name: name.clone(), reference })
            }
        };
        // Whatever came of it, as with blobs.
        let canonical = linked.unwrap_or(*digest);
        self.tagged.forget(name, digest);
        self.revoke(name, &[canonical, *digest], Gone::FromRepository).await;
        outcome
    }

    async fn delete_stored_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        canonical: &Digest,
    ) -> Result<Vec<Tag>> {
        // Tags go first: should this be cut short, what remains is an untagged manifest whose
        // deletion can be repeated, and never a tag that names nothing.
        let tags = self.tags_of(name, canonical).await?;
        let tags = self.delete_tags_of(name, tags, canonical).await?;
        // Without its canonical link a manifest is gone under every other digest as well.
        self.delete_if_there(&layout::revision(name, canonical)).await?;
        if digest != canonical {
            self.delete_if_there(&layout::revision(name, digest)).await?;
        }
        Ok(tags)
    }

    /// Whether a repository has any manifest at all.
    pub(crate) async fn has_manifests(
        &self,
        name: &RepositoryName,
        trail: &mut Trail,
    ) -> Result<bool> {
        let path = layout::revisions(name, Algorithm::Sha256);
        if self.driver.is_remote() {
            return match self.driver.list_page(&path, None, 1).await {
                Ok(entries) => Ok(!entries.is_empty()),
                Err(StorageError::NotFound { .. }) => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
        let revisions = self.listings.directories(&*self.driver, &path).await?;
        let mut absent = Vec::new();
        // Distribution leaves the directory of a deleted manifest behind, without its link.
        for entry in revisions.iter().flat_map(|revisions| revisions.all()) {
            let Ok(digest) = Digest::from_hex(Algorithm::Sha256, entry.name()) else { continue };
            let link = layout::revision_link(name, &digest);
            if link::read(&*self.driver, &link).await?.is_some() {
                // As long as it has this one, it does not matter what others it has.
                trail.file(&link);
                return Ok(true);
            }
            if absent.len() <= ANSWER_SOURCES_MAX {
                absent.push(link);
            }
        }
        trail.listing(&path);
        absent.iter().for_each(|link| trail.file(link));
        Ok(false)
    }
}
