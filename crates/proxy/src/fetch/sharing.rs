//! One fetch for several repositories, as images share their layers.
//!
//! What an upstream has in one repository it may not have, or not show, in another one: who shares a
//! fetch has asked it before, about the own repository and with the own rights.

use std::sync::Arc;

use oci::RepositoryName;
use tracing::warn;

use super::task::Fetch;
use super::{Fetches, Keeping, Order, Reader};

impl Fetches {
    /// The fetch of the same blob, from the same upstream and to be stored, on behalf of another
    /// repository; `None` as well if there is one on behalf of this repository.
    pub(crate) fn elsewhere(&self, order: &Order) -> Option<Reader> {
        let flights = self.lock();
        if flights.contains_key(&order.key()) {
            return None;
        }
        let flight = flights.values().find(|flight| {
            flight.order.digest == order.digest
                && flight.order.keeping != Keeping::Never
                && Arc::ptr_eq(&flight.order.upstream, &order.upstream)
        })?;
        Some(Reader::new(flight))
    }

    /// Lets a fetch count for the repository of this order, too, which has the blob at its end;
    /// `false` when it has ended.
    pub(crate) fn adopt(&self, order: &Order, reader: &Reader) -> bool {
        let flight = reader.flight();
        let mut flights = self.lock();
        let is_going_on = flights.values().any(|other| other.number == flight.number);
        if is_going_on {
            flights.entry(order.key()).or_insert_with(|| Arc::clone(flight));
        }
        is_going_on
    }
}

impl Fetch {
    /// Makes what was stored part of another repository that shared the fetch.
    pub(super) async fn link(&self, name: &RepositoryName) {
        let Order { registry, digest, .. } = &self.order;
        if let Err(error) = registry.mount_blob(name, digest, None).await {
            warn!(repository = %name, %digest, %error, "blob can't be linked");
        }
    }
}
