//! Tags.

use futures_util::StreamExt as _;
use futures_util::stream;
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use storage::{EntryKind, StorageError};

use crate::answers::{Answer, Question};
use crate::limits::{ENTRIES_BETWEEN_YIELDS, REMOTE_PAGE_ENTRIES, TAGS_READ_MAX};
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

    /// Every tag that names the manifest stored under `canonical`, by whatever digest.
    pub(crate) async fn tags_of(
        &self,
        name: &RepositoryName,
        canonical: &Digest,
    ) -> Result<Vec<Tag>> {
        let tags = self.listings.directories(&*self.driver, &layout::tags(name)).await?;
        let Some(tags) = tags else { return Ok(Vec::new()) };
        let tags = tags.all().filter_map(|entry| Tag::parse(entry.name()).ok());
        let lookups = stream::iter(tags.collect::<Vec<_>>()).map(async |tag| {
            let digest = link::read(&*self.driver, &layout::tag_current(name, &tag)).await?;
            let target = match digest {
                Some(alias) if alias.algorithm() != Algorithm::Sha256 => {
                    link::read(&*self.driver, &layout::revision_link(name, &alias)).await?
                }
                other => other,
            };
            Ok::<_, Error>((target == Some(*canonical)).then_some(tag))
        });
        let mut lookups =
            std::pin::pin!(lookups.buffer_unordered(self.options.tag_lookup_concurrency.max(1)));
        let mut found = Vec::new();
        while let Some(tag) = lookups.next().await {
            found.extend(tag?);
        }
        Ok(found)
    }
}
