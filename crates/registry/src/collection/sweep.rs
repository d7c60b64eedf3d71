//! Deleting, batch by batch.

use std::collections::HashSet;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::RepositoryName;
use storage::{StorageError, StoragePath};
use tokio::time::Instant;

use super::garbage::{Garbage, Item};
use super::report::Event;
use super::{CollectionError, Run, pinned, repository};
use crate::claims::{Claim, ClaimList, announced_id};
use crate::descriptors::Gone;
use crate::limits::{
    ANNOUNCEMENT_BYTES_MAX, COLLECTION_BATCH_ITEMS, COLLECTION_DELETIONS_AT_ONCE,
    COLLECTION_FAILURES_IN_A_ROW_MAX,
};
use crate::{Registry, Result, layout, link};

/// What became of an item.
enum Outcome {
    Deleted,
    Pinned,
    Failed(String),
    /// The batch had taken too long.
    TooLate,
}

impl Run<'_> {
    /// Deletes what of these is not pinned.
    pub(super) async fn sweep(
        &mut self,
        list: &ClaimList,
        items: &[Item],
    ) -> Result<(), CollectionError> {
        // What stays, and keeps what depends on it.
        let mut stays: HashSet<(RepositoryName, Claim)> = HashSet::new();
        let mut failures = 0;
        let older = self.older_than_promised(items, &mut stays).await?;
        let mut rest = older.as_deref().unwrap_or(items);
        while !rest.is_empty() && !self.collection.is_stopped() {
            self.check_lease(list).await?;
            let some = &rest[..rest.len().min(COLLECTION_BATCH_ITEMS)];
            let done = self.batch(some, &mut stays, &mut failures).await?;
            rest = &rest[done..];
        }
        Ok(())
    }

    /// What of these is older than servers promise that have come to use the storage since it was
    /// found; none if no server has. Once for each round is enough: what a client pushes from then on
    /// is not among it, and what it relies on is pinned.
    async fn older_than_promised(
        &mut self,
        items: &[Item],
        stays: &mut HashSet<(RepositoryName, Claim)>,
    ) -> Result<Option<Vec<Item>>, CollectionError> {
        let Some(promises) = &self.options.promises else { return Ok(None) };
        let promised = promises().await?;
        if promised <= self.options.older_than {
            return Ok(None);
        }
        let mut older = Vec::new();
        for item in items {
            self.spend(1).await;
            if repository::is_young(self.registry, promised, &paths(&item.garbage)).await? {
                self.keeps(item, stays);
                self.tally.rescued(1);
            } else {
                older.push(item.clone());
            }
        }
        Ok(Some(older))
    }

    async fn check_lease(&mut self, list: &ClaimList) -> Result<(), CollectionError> {
        let Some(lease) = &mut self.lease else { return Err(CollectionError::Overtaken) };
        if !lease.holds(self.registry).await? {
            return Err(CollectionError::Overtaken);
        }
        let path = layout::collection_announced();
        match self.registry.driver.get(&path, ANNOUNCEMENT_BYTES_MAX).await {
            Ok(content) if announced_id(&content) == list.id => Ok(()),
            Ok(_) | Err(StorageError::NotFound { .. }) => Err(CollectionError::Overtaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a batch, as far as there is time; returns how many items are done with.
    async fn batch(
        &mut self,
        items: &[Item],
        stays: &mut HashSet<(RepositoryName, Claim)>,
        failures: &mut u32,
    ) -> Result<usize, CollectionError> {
        let registry = self.registry;
        let claims = ClaimList::new(items.iter().map(|item| item.garbage.claim()));
        let began = Instant::now();
        let path = layout::collection_batch();
        registry.driver.put_unsynced(&path, claims.to_bytes()).await?;
        let pinned = self.pinned_now().await?;
        // Half of what everybody takes for its end is left for the last deletion to come through.
        let deadline = began + registry.claims.timing().batch / 2;
        let mut done = 0;
        for some in items.chunk_by(is_of_one_kind) {
            let each = some.iter();
            let sweeps: Vec<_> = each
                .map(|item| {
                    let staying = (&*stays, &self.marks.referenced);
                    sweep_one(registry, item, &pinned, staying, deadline).boxed()
                })
                .collect();
            let outcomes: Vec<_> = stream::iter(sweeps)
                .buffered(COLLECTION_DELETIONS_AT_ONCE.max(registry.requests_at_once()))
                .collect()
                .await;
            self.spend(some.len() as u64).await;
            for (item, outcome) in some.iter().zip(outcomes) {
                if matches!(outcome, Outcome::TooLate) {
                    break;
                }
                done += 1;
                self.note(item, outcome, stays, failures)?;
            }
            if Instant::now() > deadline {
                break;
            }
        }
        registry.delete_if_there(&path).await?;
        // A storage that takes so long for a single deletion can't be swept in this way.
        if done == 0 {
            return Err(CollectionError::Failing {
                failures: 1,
                last: "it takes too long to list the pins and to delete anything".into(),
            });
        }
        Ok(done)
    }

    async fn pinned_now(&self) -> Result<HashSet<Claim>> {
        #[cfg(test)]
        if super::model::is_broken(super::model::Break::Pins) {
            return Ok(HashSet::new());
        }
        pinned::claims(self.registry).await
    }

    fn note(
        &mut self,
        item: &Item,
        outcome: Outcome,
        stays: &mut HashSet<(RepositoryName, Claim)>,
        failures: &mut u32,
    ) -> Result<(), CollectionError> {
        match outcome {
            Outcome::Deleted => {
                *failures = 0;
                self.tally.deleted(&item.garbage);
                if let Some(evicting) = &mut self.evicting {
                    evicting.deleted(&item.garbage);
                }
                self.tell(&Event::Deleted { garbage: &item.garbage });
            }
            Outcome::Pinned => {
                self.keeps(item, stays);
                self.tally.rescued(1);
            }
            Outcome::Failed(why) => {
                self.keeps(item, stays);
                *failures += 1;
                if *failures >= COLLECTION_FAILURES_IN_A_ROW_MAX {
                    return Err(CollectionError::Failing { failures: *failures, last: why });
                }
                self.report(item.garbage.repository(), format!("{}: {why}", item.garbage));
            }
            Outcome::TooLate => {}
        }
        Ok(())
    }

    /// Notes that an item stays, and with it what depends on it: what is in the repository by its
    /// claims, data because something refers to it.
    fn keeps(&mut self, item: &Item, stays: &mut HashSet<(RepositoryName, Claim)>) {
        let claim = item.garbage.claim();
        if let Some(name) = item.garbage.repository() {
            stays.insert((name.clone(), claim));
            if !matches!(item.garbage, Garbage::Tag { .. }) {
                self.marks.referenced.insert(claim);
                if let Some(evicting) = &mut self.evicting {
                    evicting.stays(claim);
                }
            }
        }
    }
}

/// Whether two items may be deleted at the same time: neither depends on the other.
fn is_of_one_kind(one: &Item, other: &Item) -> bool {
    use std::mem::discriminant;
    discriminant(&one.garbage) == discriminant(&other.garbage) && one.depth == other.depth
}

/// The files whose age is that of something.
fn paths(garbage: &Garbage) -> Vec<StoragePath> {
    match garbage {
        Garbage::Tag { name, tag, .. } => vec![layout::tag_current(name, tag)],
        Garbage::Manifest { name, digest, aliases } => {
            let links = aliases.iter().chain([digest]).map(|d| layout::revision_link(name, d));
            links.chain([layout::blob_data(digest)]).collect()
        }
        Garbage::Layer { name, digest, canonical } => {
            vec![layout::layer_link(name, digest), layout::blob_data(canonical)]
        }
        Garbage::Blob { digest, .. } => vec![layout::blob_data(digest)],
    }
}

async fn sweep_one(
    registry: &Registry,
    item: &Item,
    pinned: &HashSet<Claim>,
    (stays, referenced): (&HashSet<(RepositoryName, Claim)>, &HashSet<Claim>),
    deadline: Instant,
) -> Outcome {
    let has_parent = |name: &RepositoryName| {
        let mut above = item.parents.iter().chain(&item.tags);
        above.any(|claim| stays.contains(&(name.clone(), *claim)))
    };
    let is_kept = match item.garbage.repository() {
        Some(name) => has_parent(name),
        None => referenced.contains(&item.garbage.claim()),
    };
    if is_kept || pinned.contains(&item.garbage.claim()) {
        return Outcome::Pinned;
    }
    if Instant::now() > deadline {
        return Outcome::TooLate;
    }
    match delete(registry, &item.garbage).await {
        Ok(true) => Outcome::Deleted,
        Ok(false) => Outcome::Pinned,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Deletes something, on a filesystem with the directory that is there for it alone; `false` when it
/// is not any more what was to be deleted.
async fn delete(registry: &Registry, garbage: &Garbage) -> Result<bool> {
    let is_remote = registry.driver.is_remote();
    match garbage {
        Garbage::Tag { name, tag, digest } => {
            let named = link::read(&*registry.driver, &layout::tag_current(name, tag)).await?;
            if named.is_some_and(|named| named != *digest) {
                return Ok(false);
            }
            registry.delete_if_there(&layout::tag(name, tag)).await?;
            registry.listings.forget_named(&layout::tags(name), [tag.as_str()]);
        }
        Garbage::Manifest { name, digest, aliases } => {
            for digest in aliases.iter().chain([digest]) {
                let path = match is_remote {
                    true => layout::revision_link(name, digest),
                    false => layout::revision(name, digest),
                };
                registry.delete_if_there(&path).await?;
                registry.tagged.forget(name, digest);
            }
            let digests: Vec<_> = aliases.iter().chain([digest]).copied().collect();
            registry.revoke(name, &digests, Gone::FromRepository).await;
        }
        Garbage::Layer { name, digest, canonical } => {
            let path = match is_remote {
                true => layout::layer_link(name, digest),
                false => layout::layer(name, digest),
            };
            registry.delete_if_there(&path).await?;
            registry.revoke(name, &[*canonical, *digest], Gone::FromStorage).await;
        }
        Garbage::Blob { digest, .. } => {
            let path = if is_remote { layout::blob_data(digest) } else { layout::blob(digest) };
            registry.delete_if_there(&path).await?;
        }
    }
    Ok(true)
}
