//! The repositories: for each of them its layers, its manifests, and then its tags.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{Stream, StreamExt as _, stream};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::{StorageError, StoragePath};

use super::error::Failure;
use super::links::{LeadsTo, Link};
use super::report::Phase;
use super::{Transfer, has};
use crate::catalog::RepositoryWalk;
use crate::layout::{self, LAYERS_DIRECTORY, MANIFESTS_DIRECTORY};
use crate::link::{self, Found};
use crate::trail::Trail;
use crate::{Error, Registry};

/// A tag as the source has it.
struct SourceTag {
    tag: Tag,
    /// What it names; `None` when it is gone or damaged.
    names: Option<Digest>,
}

impl Transfer {
    /// Copies the links of every repository.
    pub(super) async fn copy_repositories(&self) {
        let registry = Self::registry_of(&self.source);
        let begun = AtomicU64::new(0);
        let copy = async |name| {
            let begun = begun.fetch_add(1, Ordering::Relaxed);
            self.tally.at(Phase::Repositories { begun });
            self.copy_repository(&name).await;
        };
        let repositories = self.repositories(&registry, Failure::Source);
        repositories.for_each_concurrent(self.options.concurrency, copy).await;
    }

    /// Every repository of one of the storages that has a layer or a manifest, or had. Where the walk
    /// fails, that is noted, and it goes on behind it.
    pub(super) fn repositories(
        &self,
        registry: &Registry,
        failure: fn(StorageError) -> Failure,
    ) -> impl Stream<Item = RepositoryName> {
        let walk = RepositoryWalk::starting_after(registry, None);
        stream::unfold(walk, move |mut walk| async move {
            while !self.is_ending() {
                match walk.next(&mut Trail::none()).await {
                    Ok(Some((name, directories))) => {
                        let holds = |directory| directories.contains(directory);
                        if holds(LAYERS_DIRECTORY) || holds(MANIFESTS_DIRECTORY) {
                            return Some((name, walk));
                        }
                    }
                    Ok(None) => return None,
                    Err(Error::Storage(error)) => {
                        self.failed(layout::repositories(), &failure(error));
                    }
                    // It does nothing but list.
                    Err(other) => unreachable!("a walk over repositories: {other}"),
                }
            }
            None
        })
    }

    async fn copy_repository(&self, name: &RepositoryName) {
        // In the opposite order of a push: what a tag names is listed after the tag is read.
        let Some(tags) = self.source_tags(name).await else { return };
        let revisions = |algorithm| layout::revisions(name, algorithm);
        let Some(manifests) = self.source_digests(revisions).await else { return };
        let layers = |algorithm| layout::layers(name, algorithm);
        let Some(blobs) = self.source_digests(layers).await else { return };

        let is_whole =
            self.copy_layers(name, &blobs).await & self.copy_manifests(name, &manifests).await;
        if is_whole {
            self.copy_tags(name, &tags).await;
        } else if !tags.is_empty() && !self.is_ending() {
            self.failed(layout::tags(name), &Failure::TagsWait);
        }
    }

    /// The tags of a repository, and what each names. `None` when that can't be found out.
    async fn source_tags(&self, name: &RepositoryName) -> Option<Vec<SourceTag>> {
        let names = self.source_directories(&layout::tags(name)).await?;
        let tags: Vec<_> = names.iter().filter_map(|name| Tag::parse(name).ok()).collect();
        let read = stream::iter(tags).map(|tag| async move {
            let Ok(_turn) = self.turns.acquire().await else { return None };
            let path = layout::tag_current(name, &tag);
            if self.is_ending() {
                return None;
            }
            let names = match link::look(&*self.source, &path).await {
                Ok(Found::Link(digest)) => Some(digest),
                Ok(Found::Nothing) => None,
                Ok(Found::Damaged { size_bytes }) => {
                    let reason = format!("it is no link: {size_bytes} bytes that are no digest");
                    self.tally.left_out(path, reason);
                    None
                }
                Err(error) => {
                    self.failed(path, &Failure::Source(error));
                    return None;
                }
            };
            Some(SourceTag { tag, names })
        });
        let read: Vec<_> = read.buffered(self.options.concurrency).collect().await;
        read.into_iter().collect()
    }

    /// The digests that the source lists below a directory for each algorithm, the canonical ones
    /// first. `None` when that can't be found out.
    async fn source_digests(
        &self,
        path_of: impl Fn(Algorithm) -> StoragePath,
    ) -> Option<Vec<Digest>> {
        let mut digests = Vec::new();
        for algorithm in Algorithm::ALL {
            let names = self.source_directories(&path_of(algorithm)).await?;
            digests.extend(names.iter().filter_map(|hex| Digest::from_hex(algorithm, hex).ok()));
        }
        Some(digests)
    }

    async fn copy_layers(&self, name: &RepositoryName, digests: &[Digest]) -> bool {
        let mut is_whole = true;
        for algorithm in Algorithm::ALL {
            let path = layout::layers(name, algorithm);
            let Some(listed) = self.target_directories(&path).await else { return false };
            let digests = digests.iter().filter(|digest| digest.algorithm() == algorithm);
            let links = digests.map(|digest| Link {
                path: layout::layer_link(name, digest),
                leads_to: LeadsTo::Layer(name, *digest),
                is_listed: has(&listed, &digest.hex()),
            });
            is_whole &= self.copy_links(links).await;
        }
        is_whole
    }

    async fn copy_manifests(&self, name: &RepositoryName, digests: &[Digest]) -> bool {
        let mut is_whole = true;
        for algorithm in Algorithm::ALL {
            let path = layout::revisions(name, algorithm);
            let Some(listed) = self.target_directories(&path).await else { return false };
            let digests = digests.iter().filter(|digest| digest.algorithm() == algorithm);
            let links = digests.map(|digest| Link {
                path: layout::revision_link(name, digest),
                leads_to: LeadsTo::Manifest(name, *digest),
                is_listed: has(&listed, &digest.hex()),
            });
            is_whole &= self.copy_links(links).await;
        }
        is_whole
    }

    async fn copy_tags(&self, name: &RepositoryName, tags: &[SourceTag]) {
        let Some(listed) = self.target_directories(&layout::tags(name)).await else { return };
        let copied = stream::iter(tags).map(|tag| {
            let is_listed = has(&listed, tag.tag.as_str());
            async move { self.copy_tag(name, tag, is_listed).await }
        });
        copied.buffer_unordered(self.options.concurrency).collect::<()>().await;
    }

    /// Copies what a tag has named, and then what it names.
    async fn copy_tag(&self, name: &RepositoryName, tag: &SourceTag, is_listed: bool) {
        let history = |algorithm| layout::tag_indexes(name, &tag.tag, algorithm);
        let Some(digests) = self.source_digests(history).await else { return };
        let notes = digests.iter().map(|digest| Link {
            path: layout::tag_index(name, &tag.tag, digest),
            leads_to: LeadsTo::TagHistory(name),
            is_listed,
        });
        if !self.copy_links(notes).await {
            return;
        }
        let Some(digest) = &tag.names else { return };
        let Ok(_turn) = self.turns.acquire().await else { return };
        if self.is_ending() {
            return;
        }
        let path = layout::tag_current(name, &tag.tag);
        let link = Link { path, leads_to: LeadsTo::Tag(name), is_listed };
        self.write_link(&link, digest).await;
    }
}
