//! Tags.

use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use storage::{EntryKind, StorageError};

use crate::answers::{Answer, Question};
use crate::limits::{
    ENTRIES_BETWEEN_YIELDS, REMOTE_PAGE_ENTRIES, TAG_TARGETS_AGE_MAX, TAGS_ALWAYS_READ_MAX,
    TAGS_READ_MAX,
};
use crate::listings::Directory;
use crate::trail::Trail;
use crate::{Error, Names, Page, Registry, Result, layout, link};

impl Registry {
    /// The manifest that a tag names.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] when there is no such tag.
    pub async fn resolve_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<Digest> {
        let digest = link::read(&*self.driver, &layout::tag_current(name, tag)).await?;
        digest.ok_or_else(|| Error::ManifestUnknown {
            name: name.clone(),
            reference: Reference::Tag(tag.clone()),
        })
    }

    /// When a tag was last pushed, or last let name another manifest; `None` when there is no such
    /// tag.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn tag_written_at(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<SystemTime>> {
        match self.driver.stat(&layout::tag_current(name, tag)).await {
            Ok(stat) => Ok(Some(stat.modified)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a tag. The manifest it names stays.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] when there is no such tag.
    pub async fn delete_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<()> {
        self.resolve_tag(name, tag).await?;
        self.driver.delete(&layout::tag(name, tag)).await.map_err(|error| {
            if error.is_not_found() {
                let reference = Reference::Tag(tag.clone());
                return Error::ManifestUnknown { name: name.clone(), reference };
            }
            error.into()
        })
    }

    /// A page of a repository's tags, sorted by their bytes.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] when the repository has neither tags nor manifests.
    pub async fn list_tags(&self, name: &RepositoryName, page: Page<'_>) -> Result<Answer<Names>> {
        let question = Question::Tags { name: name.clone(), page: page.into() };
        Ok(self.answer(question).await?.names())
    }

    pub(crate) async fn derive_tags(
        &self,
        name: &RepositoryName,
        page: Page<'_>,
        trail: &mut Trail,
    ) -> Result<Names> {
        if self.driver.is_remote() {
            return Box::pin(self.derive_remote_tags(name, page)).await;
        }
        let path = layout::tags(name);
        trail.listing(&path);
        let tags = self.listings.directories(&*self.driver, &path).await?;
        let behind = || tags.iter().flat_map(|t| t.after(page.last));
        if behind().take(page.limit.unwrap_or(usize::MAX)).nth(TAGS_READ_MAX).is_some() {
            trail.give_up();
        }
        let mut names = Names::default();
        let mut seen_any = false;
        for (index, entry) in behind().enumerate() {
            if index % ENTRIES_BETWEEN_YIELDS == ENTRIES_BETWEEN_YIELDS - 1 {
                tokio::task::yield_now().await;
            }
            if self.is_tag(name, entry, trail).await? {
                seen_any = true;
                if !names.offer(page, entry.name()) {
                    break;
                }
            }
        }
        if !seen_any && !self.has_manifests(name, trail).await? {
            return Err(Error::NameUnknown { name: name.clone() });
        }
        Ok(names)
    }

    /// The same where each read is a request. There, nothing shows a directory but what is in it, so
    /// the names are read page by page and not their links.
    async fn derive_remote_tags(&self, name: &RepositoryName, page: Page<'_>) -> Result<Names> {
        let path = layout::tags(name);
        let mut names = Names::default();
        let mut last = page.last.map(str::to_owned);
        loop {
            // One more than is asked for says whether there are more.
            let wanted = page.limit.map_or(REMOTE_PAGE_ENTRIES, |l| l.saturating_add(1));
            let entries = match self.driver.list_page(&path, last.as_deref(), wanted).await {
                Ok(entries) => entries,
                Err(StorageError::NotFound { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let is_last = entries.len() < wanted;
            last = entries.last().map(|entry| entry.name.clone().into());
            for entry in entries {
                let is_tag = entry.kind == EntryKind::Directory && Tag::parse(&entry.name).is_ok();
                if is_tag && !names.offer(page, entry.name) {
                    return Ok(names);
                }
            }
            if is_last {
                break;
            }
        }
        if names.names.is_empty() && !self.has_manifests(name, &mut Trail::none()).await? {
            return Err(Error::NameUnknown { name: name.clone() });
        }
        Ok(names)
    }

    /// Whether a directory of tags holds a tag, and not just what a crash left of one.
    async fn is_tag(
        &self,
        name: &RepositoryName,
        entry: &Directory,
        trail: &mut Trail,
    ) -> Result<bool> {
        if entry.is_confirmed() && !trail.is_kept() {
            return Ok(true);
        }
        let Ok(tag) = Tag::parse(entry.name()) else { return Ok(false) };
        let path = layout::tag_current(name, &tag);
        trail.file(&path);
        if link::read(&*self.driver, &path).await?.is_none() {
            return Ok(false);
        }
        entry.confirm();
        Ok(true)
    }

    /// Every tag that names the manifest stored under `canonical`, by whatever digest, and possibly
    /// some that don't any more: [`Registry::delete_tags_of`] looks again.
    ///
    /// With few tags each is read. With many it is noted in their listing what they name, and read
    /// only what is not known: what was pushed by this process since, and what is new in the listing
    /// whoever made it. Tags that are missing here are those which another process moved onto the
    /// manifest after they were read; where the storage tells of no changes, that is forgotten after
    /// [`TAG_TARGETS_AGE_MAX`].
    pub(crate) async fn tags_of(
        &self,
        name: &RepositoryName,
        canonical: &Digest,
    ) -> Result<Vec<Tag>> {
        let path = layout::tags(name);
        let listed = self.listings.directories_to_change(&*self.driver, &path).await?;
        let Some((tags, is_followed)) = listed else { return Ok(Vec::new()) };
        let are_noted = tags.len() > TAGS_ALWAYS_READ_MAX;
        if are_noted {
            tags.begin_noting((!is_followed).then_some(TAG_TARGETS_AGE_MAX));
        }
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        for entry in tags.all() {
            match entry.may_name(canonical) {
                Ok(false) if are_noted => {}
                Ok(true) if are_noted => found.extend(Tag::parse(entry.name()).ok()),
                known => unread.extend(Tag::parse(entry.name()).ok().map(|tag| (tag, known.err()))),
            }
        }
        let lookups = stream::iter(unread).map(async |(tag, unread)| {
            let target = self.tag_target(name, &tag).await?;
            Ok::<_, Error>((tag, unread, target))
        });
        let mut lookups =
            std::pin::pin!(lookups.buffer_unordered(self.options.tag_lookup_concurrency.max(1)));
        let mut count = 0_usize;
        while let Some(lookup) = lookups.next().await {
            let (tag, unread, target) = lookup?;
            if let (true, Some(unread), Some(target)) = (are_noted, unread, &target) {
                tags.note_named(tag.as_str(), unread, target);
            }
            if target == Some(*canonical) {
                found.push(tag);
            }
            count += 1;
            if count.is_multiple_of(ENTRIES_BETWEEN_YIELDS) {
                tokio::task::yield_now().await;
            }
        }
        Ok(found)
    }

    /// Deletes those of these tags that name the manifest stored under `canonical` at this moment,
    /// and returns them.
    pub(crate) async fn delete_tags_of(
        &self,
        name: &RepositoryName,
        tags: Vec<Tag>,
        canonical: &Digest,
    ) -> Result<Vec<Tag>> {
        let deletions = stream::iter(tags).map(async |tag| {
            if self.tag_target(name, &tag).await? != Some(*canonical) {
                return Ok::<_, Error>(None);
            }
            self.delete_if_there(&layout::tag(name, &tag)).await?;
            Ok(Some(tag))
        });
        let deleted = deletions.buffered(self.requests_at_once()).try_collect::<Vec<_>>().await?;
        Ok(deleted.into_iter().flatten().collect())
    }

    /// The canonical digest of the manifest that a tag names. `None` when there is no such tag, or
    /// it leads to what is not there by another digest.
    async fn tag_target(&self, name: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
        match link::read(&*self.driver, &layout::tag_current(name, tag)).await? {
            Some(alias) if alias.algorithm() != Algorithm::Sha256 => {
                Ok(link::read(&*self.driver, &layout::revision_link(name, &alias)).await?)
            }
            other => Ok(other),
        }
    }
}
