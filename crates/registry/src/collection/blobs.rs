//! Which blobs nothing refers to.

use std::collections::VecDeque;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use oci::{Algorithm, Digest};
use storage::StorageError;

use super::garbage::{Garbage, Item, Reason};
use super::report::Event;
use super::{CollectionError, CollectionOptions, Run, links, repository};
use crate::claims::Claim;
use crate::limits::COLLECTION_LIST_CLAIMS_MAX;
use crate::{Registry, layout};

/// A walk over all blobs.
#[derive(Debug)]
pub(super) struct Blobs {
    algorithms: VecDeque<Algorithm>,
    /// The directories of the algorithm that are still to be listed.
    directories: Option<(Algorithm, VecDeque<String>)>,
    /// Those of the directory at hand that nothing refers to.
    unmarked: VecDeque<Digest>,
}

impl Blobs {
    pub(super) fn new() -> Self {
        Self { algorithms: Algorithm::ALL.into(), directories: None, unmarked: VecDeque::new() }
    }
}

impl Run<'_> {
    /// Adds blobs that are garbage, as many as may be announced at once. Returns whether there may
    /// be more.
    pub(super) async fn gather_blobs(
        &mut self,
        blobs: &mut Blobs,
        items: &mut Vec<Item>,
    ) -> Result<bool, CollectionError> {
        while items.len() < COLLECTION_LIST_CLAIMS_MAX && !self.collection.is_stopped() {
            if blobs.unmarked.is_empty() && !self.list_blobs(blobs).await? {
                return Ok(false);
            }
            let room = COLLECTION_LIST_CLAIMS_MAX - items.len();
            let some = blobs.unmarked.len().min(room).min(4 * self.registry.requests_at_once());
            let (registry, options) = (self.registry, self.options);
            let looks: Vec<_> = stream::iter(blobs.unmarked.drain(..some).collect::<Vec<_>>())
                .map(|digest| look(registry, options, digest).boxed())
                .buffered(registry.requests_at_once())
                .collect()
                .await;
            self.spend(some as u64).await;
            for item in looks {
                let Some(item) = item? else {
                    self.tally.young();
                    continue;
                };
                self.tally.found(&item);
                self.tell(&Event::Garbage { garbage: &item.garbage, reason: item.reason });
                items.push(item);
            }
        }
        Ok(true)
    }

    /// Lists the next directory; returns whether there was one.
    async fn list_blobs(&mut self, blobs: &mut Blobs) -> Result<bool, CollectionError> {
        loop {
            let Some((algorithm, directories)) = &mut blobs.directories else {
                let Some(algorithm) = blobs.algorithms.pop_front() else { return Ok(false) };
                let Ok(path) = layout::blobs().join(algorithm.as_str()) else { continue };
                let two_digits =
                    |name: &str| (name.len() == 2 && name.is_ascii()).then(|| name.to_owned());
                let names = links::names(self.registry, &path, two_digits).await?;
                blobs.directories = Some((algorithm, names.into()));
                continue;
            };
            let algorithm = *algorithm;
            let Some(directory) = directories.pop_front() else {
                blobs.directories = None;
                continue;
            };
            let path = layout::blobs().join(algorithm.as_str()).and_then(|p| p.join(&directory));
            let Ok(path) = path else { continue };
            let digests = links::digests(self.registry, &path, algorithm).await?;
            self.spend(1).await;
            self.tally.blobs_seen(digests.len() as u64);
            let is_marked = |digest: &Digest| {
                let claim = Claim::content(digest);
                self.marks.referenced.contains(&claim) || self.marks.pinned.contains(&claim)
            };
            // One in the wrong directory is nothing that could be served; `wharf check` names it.
            let unmarked = digests
                .into_iter()
                .filter(|digest| !is_marked(digest) && digest.hex().starts_with(&directory));
            blobs.unmarked.extend(unmarked);
            return Ok(true);
        }
    }
}

/// A blob that nothing refers to, unless it is young.
async fn look(
    registry: &Registry,
    options: &CollectionOptions,
    digest: Digest,
) -> Result<Option<Item>, CollectionError> {
    let found = match registry.driver.stat(&layout::blob_data(&digest)).await {
        Ok(stat) => Some((stat, Reason::Unreferenced)),
        Err(StorageError::NotFound { .. }) => {
            match registry.driver.stat(&layout::blob(&digest)).await {
                Ok(stat) => Some((stat, Reason::Empty)),
                Err(StorageError::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(found.and_then(|(stat, reason)| {
        let is_old = !repository::is_younger(registry, options.older_than, stat.modified);
        let garbage = Garbage::Blob { digest, size_bytes: stat.size_bytes };
        is_old.then(|| Item::new(garbage, reason))
    }))
}
