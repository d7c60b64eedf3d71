//! What was deleted at the source is removed at the target.
//!
//! Only in repositories that the source has: others may have been pushed to the target. Tags go
//! first and layers last, so that nothing leads to what is gone. What is damaged at the source was not
//! deleted there, and stays.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::{StorageError, StoragePath, found};

use super::error::Failure;
use super::report::Phase;
use super::tally::Kind;
use super::{Transfer, directories};
use crate::layout;
use crate::link::{self, Found};

impl Transfer {
    /// Removes what the source does not have any more.
    pub(super) async fn delete_what_is_gone(&self) {
        let registry = Self::registry_of(&self.source);
        let begun = AtomicU64::new(0);
        let delete = async |name| {
            let begun = begun.fetch_add(1, Ordering::Relaxed);
            self.tally.at(Phase::Deletions { begun });
            if let Err(failure) = self.delete_in_repository(&name).await {
                self.failed(layout::repository(&name), &failure);
            }
        };
        let repositories = self.repositories(&registry, Failure::Source);
        repositories.for_each_concurrent(self.options.concurrency, delete).await;
        self.find_what_only_the_target_has().await;
    }

    async fn delete_in_repository(&self, name: &RepositoryName) -> Result<(), Failure> {
        let named = self.delete_tags(name).await?;
        // What is under another digest is gone before what it depends on.
        for algorithm in Algorithm::ALL.into_iter().rev() {
            let mut manifests =
                self.target_digests(&layout::revisions(name, algorithm), algorithm).await?;
            manifests.retain(|digest| !named.contains(digest));
            self.delete_links(manifests.into_iter(), |digest| Place {
                kind: Kind::Manifest,
                link: layout::revision_link(name, digest),
                directory: layout::revision(name, digest),
                at_source: vec![Box::new(|digest| layout::revision_link(name, digest))],
            })
            .await?;
        }
        for algorithm in Algorithm::ALL.into_iter().rev() {
            let layers = self.target_digests(&layout::layers(name, algorithm), algorithm).await?;
            self.delete_links(layers.into_iter(), |digest| Place {
                kind: Kind::Layer,
                link: layout::layer_link(name, digest),
                directory: layout::layer(name, digest),
                at_source: vec![Box::new(|digest| layout::layer_link(name, digest))],
            })
            .await?;
        }
        Ok(())
    }

    /// Removes tags. Returns what those that stay name at the target.
    async fn delete_tags(&self, name: &RepositoryName) -> Result<HashSet<Digest>, Failure> {
        let names = directories(&*self.target, &layout::tags(name)).await;
        let names = names.map_err(Failure::Target)?;
        let tags: Vec<_> = names.iter().filter_map(|name| Tag::parse(name).ok()).collect();
        let named = stream::iter(tags)
            .map(|tag| async move { self.delete_tag_or_history(name, &tag).await })
            .buffer_unordered(self.options.concurrency);
        let named: Vec<_> = named.try_collect().await?;
        Ok(named.into_iter().flatten().collect())
    }

    /// Removes a tag, or of one that stays the notes whose manifests do not. Returns what it names at
    /// the target.
    async fn delete_tag_or_history(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Vec<Digest>, Failure> {
        let current = layout::tag_current(name, tag);
        let revision = |digest: &Digest| layout::revision_link(name, digest);
        let is_gone = match link::look(&*self.source, &current).await.map_err(Failure::Source)? {
            Found::Link(digest) => self.is_gone(&digest, &revision).await?,
            Found::Damaged { .. } => false,
            Found::Nothing => true,
        };
        if is_gone {
            self.delete(Kind::Tag, &layout::tag(name, tag)).await?;
            return Ok(Vec::new());
        }
        for algorithm in Algorithm::ALL {
            let history = layout::tag_indexes(name, tag, algorithm);
            let digests = self.target_digests(&history, algorithm).await?;
            self.delete_links(digests.into_iter(), |digest| {
                let link = layout::tag_index(name, tag, digest);
                Place {
                    kind: Kind::TagHistory,
                    directory: link.parent().unwrap_or_else(|| link.clone()),
                    link,
                    at_source: vec![
                        Box::new(|digest| layout::tag_index(name, tag, digest)),
                        Box::new(|digest| layout::revision_link(name, digest)),
                    ],
                }
            })
            .await?;
        }
        let mut named = Vec::new();
        let look = async |path| link::look(&*self.target, &path).await.map_err(Failure::Target);
        if let Found::Link(digest) = look(current).await? {
            named.push(digest);
            if let Found::Link(canonical) = look(revision(&digest)).await? {
                named.push(canonical);
            }
        }
        Ok(named)
    }

    /// Removes those of the target's links which the source does not have.
    async fn delete_links<'a>(
        &self,
        digests: impl Iterator<Item = Digest>,
        place_of: impl Fn(&Digest) -> Place<'a>,
    ) -> Result<(), Failure> {
        let deleted = stream::iter(digests.map(|digest| (place_of(&digest), digest)))
            .map(|(place, digest)| async move { self.delete_link(&place, &digest).await })
            .buffer_unordered(self.options.concurrency);
        deleted.try_collect().await
    }

    async fn delete_link(&self, place: &Place<'_>, digest: &Digest) -> Result<(), Failure> {
        let Ok(_turn) = self.turns.acquire().await else { return Err(Failure::Stopped) };
        if self.is_ending() {
            return Err(Failure::Stopped);
        }
        let mut is_gone = false;
        for path_of in &place.at_source {
            is_gone |= self.is_gone(digest, path_of).await?;
        }
        if !is_gone {
            return Ok(());
        }
        // Distribution leaves directories behind, without a link.
        let there = link::look(&*self.target, &place.link).await.map_err(Failure::Target)?;
        if there == Found::Nothing {
            return Ok(());
        }
        self.delete(place.kind, &place.directory).await
    }

    /// Whether the source has no such link. What is under another digest is gone together with the
    /// canonical one.
    async fn is_gone(
        &self,
        digest: &Digest,
        path_of: &(dyn Fn(&Digest) -> StoragePath + Send + Sync),
    ) -> Result<bool, Failure> {
        let look = async |digest| link::look(&*self.source, &path_of(digest)).await;
        Ok(match look(digest).await.map_err(Failure::Source)? {
            Found::Link(canonical) if canonical != *digest => {
                look(&canonical).await.map_err(Failure::Source)? == Found::Nothing
            }
            found => found == Found::Nothing,
        })
    }

    async fn delete(&self, kind: Kind, directory: &StoragePath) -> Result<(), Failure> {
        if !self.options.dry_run {
            found(self.target.delete(directory).await).map_err(Failure::Target)?;
        }
        self.tally.deleted(kind);
        Ok(())
    }

    async fn target_digests(
        &self,
        path: &StoragePath,
        algorithm: Algorithm,
    ) -> Result<Vec<Digest>, Failure> {
        let names = directories(&*self.target, path).await.map_err(Failure::Target)?;
        Ok(names.iter().filter_map(|hex| Digest::from_hex(algorithm, hex).ok()).collect())
    }

    /// Notes the repositories that the source does not have.
    async fn find_what_only_the_target_has(&self) {
        let registry = Self::registry_of(&self.target);
        let look = async |name| match self.source.stat(&layout::repository(&name)).await {
            Ok(_) => {}
            Err(StorageError::NotFound { .. }) => self.tally.only_at_target(&name),
            Err(error) => self.failed(layout::repository(&name), &Failure::Source(error)),
        };
        let repositories = self.repositories(&registry, Failure::Target);
        repositories.for_each_concurrent(self.options.concurrency, look).await;
    }
}

/// A link of the target, and where it would be at the source.
struct Place<'a> {
    kind: Kind,
    link: StoragePath,
    /// What goes with it.
    directory: StoragePath,
    /// All of these have to be there for it to stay.
    at_source: Vec<PathOf<'a>>,
}

type PathOf<'a> = Box<dyn Fn(&Digest) -> StoragePath + Send + Sync + 'a>;
