//! The tags of a repository.

use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::StoragePath;

use super::Check;
use super::error::Failure;
use super::kind::Kind;
use super::known::Fingerprint;
use super::links::{Of, OwnLink};
use super::manifests::Revision;
use super::quarantine::{Repaired, Unless};
use super::report::Finding;
use super::tally::Thing;
use crate::layout;
use crate::limits::CHECK_SECOND_LOOK;
use crate::link::{self, Found};

/// How many manifests that a tag has named are said.
const NAMED_SHOWN_MAX: usize = 5;

impl Check {
    /// Looks at the tags of a repository. `layers` are the links of blobs that it has, sorted.
    pub(super) async fn check_tags(
        &self,
        name: &RepositoryName,
        names: &[Box<str>],
        layers: &[Fingerprint],
    ) {
        let looks = stream::iter(names.to_vec())
            .map(|tag| async move { self.check_tag(name, &tag).await })
            .buffer_unordered(self.options.concurrency);
        let linked: Vec<_> = looks.filter_map(std::future::ready).collect().await;
        // What was linked again for its tag has not been looked at yet.
        for digest in linked {
            self.check_manifest(&Revision { name, digest, layers }).await;
        }
    }

    /// Looks at a tag; the manifest that was linked again for it.
    async fn check_tag(&self, name: &RepositoryName, text: &str) -> Option<Digest> {
        let _turn = self.turns.acquire().await.ok()?;
        if self.is_ending() {
            return None;
        }
        let Ok(tag) = Tag::parse(text) else {
            if let Ok(path) = layout::tags(name).join(text) {
                self.report_stray(&path);
            }
            return None;
        };
        match self.look_at_tag(name, &tag).await {
            Ok(linked) => {
                self.tally.checked(Thing::Tag);
                linked
            }
            Err(failure) => {
                self.failed(&layout::tag(name, &tag), &failure);
                None
            }
        }
    }

    async fn look_at_tag(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, Failure> {
        let path = layout::tag_current(name, tag);
        let mut current = link::look(&*self.driver, &path).await?;
        let named = self.check_history(name, tag).await?;
        if let Found::Damaged { .. } | Found::Nothing = current {
            tokio::time::sleep(CHECK_SECOND_LOOK).await;
            current = link::look(&*self.driver, &path).await?;
        }
        if let Some(directory) = path.parent() {
            self.check_leftovers(&directory).await?;
        }
        match current {
            Found::Link(digest) => self.check_target(name, tag, &path, &digest).await,
            Found::Damaged { size_bytes } => {
                let reason = format!("{size_bytes} bytes that are no digest; {}", said(&named));
                let finding = Finding::new(Kind::TagLinkTorn, &path, reason).within(name);
                let repaired = self.mend_tag(name, &path, &named).await;
                self.report(finding, repaired);
                Ok(None)
            }
            Found::Nothing => {
                if !named.is_empty() {
                    let finding = Finding::new(Kind::TagWithoutCurrent, &path, said(&named));
                    self.report_only(finding.within(name));
                }
                Ok(None)
            }
        }
    }

    /// Looks at the notes of what a tag has named. What it has named.
    async fn check_history(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Vec<Digest>, Failure> {
        let mut named = Vec::new();
        for algorithm in Algorithm::ALL {
            let hexes = self.directories(&layout::tag_indexes(name, tag, algorithm)).await;
            for digest in hexes.iter().filter_map(|hex| Digest::from_hex(algorithm, hex).ok()) {
                let link = OwnLink { name, own: digest, of: Of::TagIndex(tag) };
                named.extend(self.check_link(&link).await?.map(|_| digest));
            }
        }
        Ok(named)
    }

    /// Writes a tag anew if it has only ever named one manifest, and the repository has that; sets
    /// its link aside otherwise.
    async fn mend_tag(
        &self,
        name: &RepositoryName,
        path: &StoragePath,
        named: &[Digest],
    ) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        if let [digest] = named
            && self.is_in_repository(name, digest).await?
        {
            if let Found::Link(_) | Found::Nothing = link::look(&*self.driver, path).await? {
                return Ok(Repaired::Elsewhere);
            }
            self.driver.put(path, link::content(digest)).await?;
            return Ok(Repaired::Mended(format!("names {digest} again")));
        }
        self.set_link_aside(path, Unless::IsLink).await
    }

    /// Whether a repository has a manifest by its links.
    async fn is_in_repository(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Failure> {
        let path_of = |d: &Digest| layout::revision_link(name, d);
        Ok(link::follow(&*self.driver, digest, path_of).await?.is_some())
    }

    /// Looks at what a tag names; that manifest, if it was linked again.
    async fn check_target(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Option<Digest>, Failure> {
        self.note_used(digest);
        if self.is_in_repository(name, digest).await? {
            return Ok(None);
        }
        let revision = layout::revision_link(name, digest);
        // It is reported as a manifest of the repository.
        let is_damaged = matches!(self.look_at(&revision, digest).await?, Found::Damaged { .. });
        let is_same = link::look(&*self.driver, path).await? == Found::Link(*digest);
        if is_damaged || !is_same || self.is_in_repository(name, digest).await? {
            return Ok(None);
        }
        let reason = format!("{tag} names {digest}, and there is no {revision}");
        let finding = Finding::new(Kind::TagWithoutRevision, path, reason);
        let repaired = self.link_revision(name, digest).await;
        let linked = match &repaired {
            Ok(Repaired::Mended(_)) => self.canonical_of(digest).await?,
            _ => None,
        };
        self.report(finding.of(digest).within(name), repaired);
        Ok(linked)
    }

    async fn link_revision(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        let Some(canonical) = self.canonical_of(digest).await? else {
            return Ok(Repaired::Remains("what it names is not known".into()));
        };
        if !self.is_manifest(&canonical).await? {
            return Ok(Repaired::Remains("the manifest's content is not there, or damaged".into()));
        }
        let path_of = |d: &Digest| layout::revision_link(name, d);
        self.driver.apply(vec![link::changes(&canonical, digest, path_of)]).await?;
        Ok(Repaired::Mended("manifest linked again".into()))
    }
}

/// What a tag has named, for a person.
fn said(named: &[Digest]) -> String {
    if named.is_empty() {
        return "nothing is known of what it named".into();
    }
    let shown: Vec<_> = named.iter().take(NAMED_SHOWN_MAX).map(ToString::to_string).collect();
    let more = if named.len() > shown.len() { ", and others" } else { "" };
    format!("it has named {}{more}", shown.join(", "))
}
