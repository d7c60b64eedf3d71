//! One repository of a snapshot.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, Manifest, RepositoryName, Tag};
use registry::layout;
use storage::{Change, StoragePath, found};

use super::Restoration;
use crate::backup::BackupError;
use crate::backup::record::{Item, Record};
use crate::limits::{LINKS_AT_ONCE, MANIFEST_BYTES_MAX};

impl Restoration<'_> {
    pub(super) async fn restore_repository(
        &self,
        name: &RepositoryName,
        record: &Record,
    ) -> Result<(), BackupError> {
        let mut lost = self.restore_content(name, record).await?;
        if !lost.is_empty() {
            self.find_what_is_lost_too(name, record, &mut lost).await?;
        }
        let is_whole = |item: &&Item| !lost.contains(&item.canonical());
        let blobs: Vec<_> = record.blobs.iter().filter(is_whole).collect();
        let manifests: Vec<_> = record.manifests.iter().filter(is_whole).collect();
        let tags = self.tags_to_write(name, record, &manifests).await?;
        if !self.options.dry_run {
            self.write(aliases(&blobs)).await?;
            self.write(links(&blobs, |digest| layout::layer_link(name, digest))).await?;
            self.write(links(&manifests, |digest| layout::revision_link(name, digest))).await?;
            let index = |(tag, digest): &(Tag, Digest)| layout::tag_index(name, tag, digest);
            self.write(tags.iter().map(|tag| link(index(tag), &tag.1)).collect()).await?;
            let current = |(tag, _): &(Tag, Digest)| layout::tag_current(name, tag);
            self.write(tags.iter().map(|tag| link(current(tag), &tag.1)).collect()).await?;
        }
        self.meter.repository_done();
        let mut report = self.report();
        report.repositories += 1;
        report.manifests += manifests.len() as u64;
        report.tags += tags.len() as u64;
        Ok(())
    }

    /// Has the registry hold all content of a repository. Returns what can't be had.
    async fn restore_content(
        &self,
        name: &RepositoryName,
        record: &Record,
    ) -> Result<HashSet<Digest>, BackupError> {
        let canonical = record.items().filter(|item| item.sha256.is_none());
        let restored = stream::iter(canonical).map(async |item| {
            let Some(fault) = self.restore_blob(&item.digest, item.size).await? else {
                return Ok(None);
            };
            self.report().failed.add(format!("{name}@{}", item.digest), fault);
            Ok::<_, BackupError>(Some(item.digest))
        });
        let restored = restored.buffer_unordered(self.concurrency);
        restored.try_filter_map(async |lost| Ok(lost)).try_collect().await
    }

    /// Adds the manifests that refer to something lost, and those that refer to these.
    async fn find_what_is_lost_too(
        &self,
        name: &RepositoryName,
        record: &Record,
        lost: &mut HashSet<Digest>,
    ) -> Result<(), BackupError> {
        let others: HashMap<Digest, Digest> = record
            .items()
            .filter_map(|item| item.sha256.map(|sha256| (item.digest, sha256)))
            .collect();
        let canonical_of = |digest: Digest| others.get(&digest).copied().unwrap_or(digest);
        loop {
            let before = lost.len();
            for item in record.manifests.iter().filter(|item| item.sha256.is_none()) {
                if lost.contains(&item.digest) {
                    continue;
                }
                let path = crate::layout::blob(&item.digest);
                let content = found(self.backup.driver.get(&path, MANIFEST_BYTES_MAX).await)?;
                let manifest = content.and_then(|c| Manifest::parse_stored(&c).ok());
                let Some(manifest) = manifest else { continue };
                let digests = manifest.references().filter_map(|part| part.parsed_digest().ok());
                let part = digests.map(canonical_of).find(|d| lost.contains(d));
                if let Some(part) = part {
                    let reason = format!("{part}, which it refers to, can't be restored");
                    self.report().failed.add(format!("{name}@{}", item.digest), reason);
                    lost.insert(item.digest);
                }
            }
            if lost.len() == before {
                return Ok(());
            }
        }
    }

    /// The tags whose manifest is restored and that don't name it at the registry already.
    async fn tags_to_write(
        &self,
        name: &RepositoryName,
        record: &Record,
        manifests: &[&Item],
    ) -> Result<Vec<(Tag, Digest)>, BackupError> {
        let there: HashSet<Digest> = manifests.iter().map(|item| item.digest).collect();
        let looks = stream::iter(&record.tags).map(async |(tag, digest)| {
            let (Ok(tag), Ok(digest)) = (Tag::parse(tag), Digest::parse(digest)) else {
                self.report().failed.add(format!("{name}:{tag}"), "it is no tag".into());
                return Ok(None);
            };
            if !there.contains(&digest) {
                let reason = format!("{digest}, which it names, can't be restored");
                self.report().failed.add(format!("{name}:{tag}"), reason);
                return Ok(None);
            }
            match self.registry.resolve_tag(name, &tag).await {
                Ok(named) if named == digest => {
                    self.report().there_tags += 1;
                    Ok(None)
                }
                Ok(named) if !self.options.overwrite => {
                    let reason = format!(
                        "it names {named} at the registry, and {digest} in the snapshot; with \
                         --overwrite it is written"
                    );
                    self.report().kept.add(format!("{name}:{tag}"), reason);
                    Ok(None)
                }
                Ok(_) | Err(registry::Error::ManifestUnknown { .. }) => Ok(Some((tag, digest))),
                Err(error) => Err(BackupError::from(error)),
            }
        });
        let looks = looks.buffered(self.concurrency);
        looks.try_filter_map(async |tag| Ok(tag)).try_collect().await
    }

    /// Writes links, unless they are there.
    async fn write(&self, links: Vec<Change>) -> Result<(), BackupError> {
        for links in links.chunks(LINKS_AT_ONCE) {
            if self.meter.is_stopped() {
                return Err(BackupError::Stopped);
            }
            self.target.apply(vec![links.to_vec()]).await.map_err(registry::Error::from)?;
        }
        Ok(())
    }
}

fn link(path: StoragePath, digest: &Digest) -> Change {
    Change::put(path, Bytes::from(digest.to_string()))
}

/// The links by which a repository has something, in the order of the record: what leads to another
/// thing comes behind it.
fn links(items: &[&Item], path_of: impl Fn(&Digest) -> StoragePath) -> Vec<Change> {
    items.iter().map(|item| link(path_of(&item.digest), &item.canonical())).collect()
}

/// What tells the SHA-256 of blobs that were pushed under another digest.
fn aliases(items: &[&Item]) -> Vec<Change> {
    let others = items.iter().filter_map(|item| item.sha256.map(|sha256| (item.digest, sha256)));
    others.map(|(digest, sha256)| link(layout::alias(&digest), &sha256)).collect()
}
