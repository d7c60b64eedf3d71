//! Announcing garbage, waiting, marking again, and sweeping what is left of it.

use super::blobs::Blobs;
use super::garbage::{Garbage, Item};
use super::{CollectionError, Run};
use crate::claims::{ClaimList, announcement};
use crate::layout;

impl Run<'_> {
    /// Deletes garbage, and the blobs that nothing refers to, in as many rounds as it takes.
    pub(super) async fn sweep_all(&mut self, garbage: Vec<Item>) -> Result<(), CollectionError> {
        self.note_freed(&garbage).await?;
        let mut items = garbage;
        let mut blobs = Blobs::new();
        let mut goes_on = true;
        while goes_on && !self.collection.is_stopped() {
            goes_on = match self.evicting {
                _ if self.marks.keeps_blobs => false,
                Some(_) => self.gather_freed(&mut items).await?,
                None => self.gather_blobs(&mut blobs, &mut items).await?,
            };
            let round = std::mem::take(&mut items);
            if !round.is_empty() && !self.options.dry_run {
                self.round(round).await?;
            }
        }
        self.note_left().await
    }

    async fn round(&mut self, mut items: Vec<Item>) -> Result<(), CollectionError> {
        let driver = &self.registry.driver;
        let list = ClaimList::new(items.iter().map(|item| item.garbage.claim()));
        let path = layout::collection_list(&list.id);
        driver.put(&path, list.to_bytes()).await?;
        driver.put(&layout::collection_announced(), announcement(&list)).await?;
        let outcome = self.sweep_announced(&list, &mut items).await;
        // Whatever came of it. Should it fail, what is pinned without need does no harm.
        storage::delete_remains(&**driver, &layout::collection_announced()).await;
        storage::delete_remains(&**driver, &path).await;
        outcome
    }

    async fn sweep_announced(
        &mut self,
        list: &ClaimList,
        items: &mut Vec<Item>,
    ) -> Result<(), CollectionError> {
        self.wait().await;
        self.mark_again().await?;
        let before = items.len();
        items.retain(|item| self.marks.is_garbage(item));
        self.tally.rescued((before - items.len()) as u64);
        in_order(items);
        self.sweep(list, items).await
    }

    async fn wait(&self) {
        #[cfg(test)]
        if super::model::is_broken(super::model::Break::Waiting) {
            return;
        }
        tokio::time::sleep(self.registry.claims.timing().wait).await;
    }
}

/// What leads somewhere goes before what it leads to, so that wherever it is cut short, nothing
/// leads to what is gone, and what stays is known before what stays with it: tags, manifests with
/// those first that others depend on, links, blobs.
fn in_order(items: &mut [Item]) {
    let rank = |item: &Item| match item.garbage {
        Garbage::Tag { .. } => (0, 0),
        Garbage::Manifest { .. } => (1, item.depth),
        Garbage::Layer { .. } => (2, 0),
        Garbage::Blob { .. } => (3, 0),
    };
    items.sort_by_key(rank);
}
