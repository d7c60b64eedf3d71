//! What is pinned.

use std::collections::HashSet;

use storage::Pages;

use super::{CollectionError, Run};
use crate::claims::Claim;
use crate::{Registry, Result, layout};

/// Everything that is pinned at this moment, or was until lately: what is in the way of a deletion
/// is the pin, not its time.
pub(crate) async fn claims(registry: &Registry) -> Result<HashSet<Claim>> {
    let mut pinned = HashSet::new();
    for_each(registry, |name| pinned.extend(Claim::of_pin(name).map(|(claim, _)| claim))).await?;
    Ok(pinned)
}

async fn for_each(registry: &Registry, mut look: impl FnMut(&str)) -> Result<()> {
    let mut pages = Pages::of(layout::collection_pins());
    while let Some(entries) = pages.next(&*registry.driver).await? {
        entries.iter().for_each(|entry| look(&entry.name));
    }
    Ok(())
}

impl Run<'_> {
    /// Deletes the pins whose time is over. Only before anything is marked: an operation that
    /// relied on one has written its links long ago, and they are going to be found.
    pub(super) async fn expire_pins(&mut self) -> Result<(), CollectionError> {
        let now = self.registry.claims.clock().now();
        let mut expired = Vec::new();
        for_each(self.registry, |name| {
            if Claim::of_pin(name).is_none_or(|(_, expires)| expires < now) {
                expired.extend(layout::collection_pins().join(name));
            }
        })
        .await?;
        for path in expired {
            self.spend(1).await;
            self.registry.delete_if_there(&path).await?;
        }
        Ok(())
    }

    /// Notes what is pinned when marking begins.
    pub(super) async fn pin_down(&mut self) -> Result<(), CollectionError> {
        self.marks.pinned = claims(self.registry).await?;
        Ok(())
    }
}
