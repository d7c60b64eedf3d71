//! The repositories: of each of them its layers, its manifests, and then its tags.

use futures_util::{Stream, StreamExt as _, stream};
use oci::{Algorithm, Digest, RepositoryName};
use storage::{Entry, Pages};

use super::Check;
use super::content::Data;
use super::error::Failure;
use super::kind::Kind;
use super::known::{Fingerprint, fingerprint};
use super::links::{Of, OwnLink};
use super::quarantine::Unless;
use super::report::{Finding, Phase};
use super::tally::Thing;
use crate::catalog::RepositoryWalk;
use crate::layout::{self, LAYERS_DIRECTORY, MANIFESTS_DIRECTORY};
use crate::link::{self, Found};
use crate::trail::Trail;
use crate::{Error, Options, Registry};

impl Check {
    /// Looks at the links of every repository.
    pub(super) async fn check_repositories(&self) {
        self.tally.at(Phase::Repositories);
        let registry = self.registry();
        let check = async |name| self.check_repository(&name).await;
        self.repositories(&registry).for_each_concurrent(self.options.concurrency, check).await;
    }

    /// Finds out which blobs the repositories have that are to be looked at.
    pub(super) async fn gather_wanted(&self) {
        let registry = self.registry();
        let mut names = Box::pin(self.repositories(&registry));
        let mut wanted = Vec::new();
        while let Some(name) = names.next().await {
            for path in [
                layout::layers(&name, Algorithm::Sha256),
                layout::revisions(&name, Algorithm::Sha256),
            ] {
                let hexes = self.directories(&path).await;
                let digests =
                    hexes.iter().filter_map(|h| Digest::from_hex(Algorithm::Sha256, h).ok());
                wanted.extend(digests.map(|digest| fingerprint(&digest)));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let _ = self.wanted.set(wanted);
    }

    fn registry(&self) -> Registry {
        let options = Options { manifest_cache_entries: 0, ..Options::default() };
        Registry::new(self.driver.clone(), options)
    }

    /// Every repository to be looked at that has a layer or a manifest, or had. Where the walk fails,
    /// that is reported, and it goes on behind it.
    fn repositories(&self, registry: &Registry) -> impl Stream<Item = RepositoryName> {
        let walk = RepositoryWalk::starting_after(registry, None);
        let is_wanted = |name: &RepositoryName| {
            self.options.repositories.as_ref().is_none_or(|pattern| pattern.matches(name))
        };
        stream::unfold(walk, move |mut walk| async move {
            while !self.is_ending() {
                match walk.next(&mut Trail::none()).await {
                    Ok(Some((name, directories))) => {
                        let holds = |directory| directories.contains(directory);
                        if is_wanted(&name)
                            && (directories.is_partial()
                                || holds(LAYERS_DIRECTORY)
                                || holds(MANIFESTS_DIRECTORY))
                        {
                            return Some((name, walk));
                        }
                    }
                    Ok(None) => return None,
                    Err(Error::Storage(error)) => {
                        self.failed(&layout::repositories(), &error.into());
                    }
                    // It does nothing but list.
                    Err(other) => unreachable!("a walk over repositories: {other}"),
                }
            }
            None
        })
    }

    async fn check_repository(&self, name: &RepositoryName) {
        // In the opposite order of a push: what is listed here was there before what is listed next.
        let tags = self.directories(&layout::tags(name)).await;
        let mut manifests = Vec::new();
        for algorithm in Algorithm::ALL {
            let names = self.directories(&layout::revisions(name, algorithm)).await;
            manifests.extend(names.iter().filter_map(|hex| Digest::from_hex(algorithm, hex).ok()));
        }
        let layers = self.check_layers(name).await;
        self.check_manifests(name, &manifests, &layers).await;
        self.check_tags(name, &tags, &layers).await;
        if !self.is_ending() {
            self.tally.checked(Thing::Repository);
        }
    }

    /// Looks at the links of a repository's blobs; those that are right, sorted.
    async fn check_layers(&self, name: &RepositoryName) -> Vec<Fingerprint> {
        let mut right = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut pages = Pages::of(layout::layers(name, algorithm));
            while let Some(entries) = self.next_page(&mut pages).await {
                let digest = move |entry: Entry| Digest::from_hex(algorithm, &entry.name).ok();
                let digests = entries.into_iter().filter_map(digest);
                let looks = stream::iter(digests)
                    .map(|digest| async move { self.check_layer(name, digest).await })
                    .buffer_unordered(self.options.concurrency);
                let mut looks = std::pin::pin!(looks);
                while let Some(look) = looks.next().await {
                    right.extend(look);
                }
            }
        }
        right.sort_unstable();
        right
    }

    async fn check_layer(&self, name: &RepositoryName, own: Digest) -> Option<Fingerprint> {
        let _turn = self.turns.acquire().await.ok()?;
        if self.is_ending() {
            return None;
        }
        let link = OwnLink { name, own, of: Of::Layer };
        match self.look_at_layer(&link).await {
            Ok(is_right) => {
                self.tally.checked(Thing::Layer);
                is_right.then(|| fingerprint(&own))
            }
            Err(failure) => {
                self.failed(&link.path(), &failure);
                None
            }
        }
    }

    /// Whether the link of a blob is right.
    async fn look_at_layer(&self, link: &OwnLink<'_>) -> Result<bool, Failure> {
        let Some(canonical) = self.check_link(link).await? else { return Ok(false) };
        self.note_linked(&canonical);
        let path = link.path();
        let is_missing = self.data(&canonical).await? == Data::Missing
            // It may have been deleted, and collected, since it was read.
            && matches!(link::look(&*self.driver, &path).await?, Found::Link(_))
            && self.data_now(&canonical).await? == Data::Missing;
        if is_missing {
            let reason = format!("there is no {}", layout::blob_data(&canonical));
            let finding = Finding::new(Kind::LayerWithoutData, &path, reason);
            let repaired = self.set_link_aside(&path, Unless::HasData(canonical)).await;
            self.report(finding.of(&link.own).within(link.name), repaired);
        }
        Ok(true)
    }
}
