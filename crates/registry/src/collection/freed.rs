//! Content whose links an eviction takes: the only data that it deletes.
//!
//! It is noted on the storage before any link goes, so that the next eviction takes the data should
//! this one be cut short: nothing else would, where garbage is not collected.

use std::collections::{HashMap, HashSet, VecDeque};

use oci::Digest;
use storage::StorageError;

use super::garbage::{Garbage, Item, Reason};
use super::report::Event;
use super::{CollectionError, Run, repository};
use crate::claims::Claim;
use crate::eviction::{self, Plan};
use crate::limits::COLLECTION_LIST_CLAIMS_MAX;
use crate::{Registry, layout};

/// An eviction's part of a run.
#[derive(Debug)]
pub(super) struct Evicting {
    pub(super) plan: Plan,
    /// What is still to be looked at.
    open: VecDeque<Digest>,
    /// What is not known to be gone, or to be somebody else's.
    pending: HashMap<Claim, Digest>,
    /// What stays as something could not be deleted that leads to it, or may have been.
    stayed: HashSet<Claim>,
    /// How many links to which content have gone.
    pub(super) unlinked: HashMap<Claim, u32>,
}

impl Evicting {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            open: VecDeque::new(),
            pending: HashMap::new(),
            stayed: HashSet::new(),
            unlinked: HashMap::new(),
        }
    }

    pub(super) fn stays(&mut self, claim: Claim) {
        self.stayed.insert(claim);
    }

    pub(super) fn deleted(&mut self, garbage: &Garbage) {
        match garbage {
            Garbage::Manifest { digest, aliases, .. } => {
                let links = u32::try_from(1 + aliases.len()).unwrap_or(u32::MAX);
                *self.unlinked.entry(Claim::content(digest)).or_default() += links;
            }
            Garbage::Layer { canonical, .. } => {
                *self.unlinked.entry(Claim::content(canonical)).or_default() += 1;
            }
            Garbage::Blob { digest, .. } => {
                self.pending.remove(&Claim::content(digest));
            }
            Garbage::Tag { .. } => {}
        }
    }
}

impl Run<'_> {
    /// Notes what the links of this garbage lead to.
    pub(super) async fn note_freed(&mut self, garbage: &[Item]) -> Result<(), CollectionError> {
        let Some(evicting) = &mut self.evicting else { return Ok(()) };
        let linked = garbage.iter().filter_map(|item| match &item.garbage {
            Garbage::Manifest { digest, .. } => Some(*digest),
            Garbage::Layer { canonical, .. } => Some(*canonical),
            Garbage::Tag { .. } | Garbage::Blob { .. } => None,
        });
        let all = linked.chain(evicting.plan.pending.iter().copied());
        evicting.pending = all.map(|digest| (Claim::content(&digest), digest)).collect();
        evicting.open = evicting.pending.values().copied().collect();
        // In an order of their own, whichever way they came.
        evicting.open.make_contiguous().sort_unstable();
        write(self.registry, evicting).await
    }

    /// Adds freed blobs that nothing refers to, as many as may be announced at once. Returns whether
    /// there may be more.
    pub(super) async fn gather_freed(
        &mut self,
        items: &mut Vec<Item>,
    ) -> Result<bool, CollectionError> {
        while items.len() < COLLECTION_LIST_CLAIMS_MAX && !self.collection.is_stopped() {
            let Some(evicting) = &mut self.evicting else { return Ok(false) };
            let Some(digest) = evicting.open.pop_front() else { return Ok(false) };
            let claim = Claim::content(&digest);
            if self.marks.pinned.contains(&claim) {
                continue;
            }
            if self.marks.referenced.contains(&claim) {
                continue;
            }
            let found = self.registry.driver.stat(&layout::blob_data(&digest)).await;
            self.spend(1).await;
            match found {
                Ok(stat) => {
                    let age = self.options.older_than;
                    if repository::is_younger(self.registry, age, stat.modified) {
                        self.tally.young();
                        continue;
                    }
                    let garbage = Garbage::Blob { digest, size_bytes: stat.size_bytes };
                    let item = Item::new(garbage, Reason::Evicted);
                    self.tally.found(&item);
                    self.tell(&Event::Garbage { garbage: &item.garbage, reason: item.reason });
                    items.push(item);
                }
                Err(StorageError::NotFound { .. }) => {
                    if let Some(evicting) = &mut self.evicting {
                        evicting.pending.remove(&claim);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Notes what is left.
    pub(super) async fn note_left(&mut self) -> Result<(), CollectionError> {
        let Some(evicting) = &mut self.evicting else { return Ok(()) };
        let Evicting { pending, stayed, .. } = evicting;
        let referenced = &self.marks.referenced;
        pending.retain(|claim, _| stayed.contains(claim) || !referenced.contains(claim));
        write(self.registry, evicting).await
    }
}

async fn write(registry: &Registry, evicting: &Evicting) -> Result<(), CollectionError> {
    let mut pending: Vec<_> = evicting.pending.values().copied().collect();
    pending.sort_unstable();
    Ok(eviction::write_pending(registry, &pending).await?)
}
