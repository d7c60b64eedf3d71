//! How many connections there may be, and how many from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client_address::{allowance_key, is_trusted};
use crate::exchange::Peer;

/// The connections of one listener, counted.
#[derive(Debug)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    /// Only when there is a limit for each address. Never holds more than there are connections.
    by_address: Option<Arc<ByAddress>>,
    trusted: Vec<IpNet>,
}

#[derive(Debug)]
struct ByAddress {
    max: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one connection among all. Given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _among_all: OwnedSemaphorePermit,
    _of_address: Option<OfAddress>,
}

#[derive(Debug)]
struct OfAddress {
    key: IpAddr,
    counts: Arc<ByAddress>,
}

impl Slots {
    /// Room for `max` connections, and for `per_address_max` from one address; any number of those
    /// when it is 0. The proxies in `trusted` connect for many.
    pub(super) fn new(max: usize, per_address_max: usize, trusted: Vec<IpNet>) -> Self {
        let all = Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)));
        let by_address = (per_address_max > 0)
            .then(|| Arc::new(ByAddress { max: per_address_max, counts: Mutex::default() }));
        Self { all, by_address, trusted }
    }

    /// Waits until there is room for another connection.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        // Fails only when the semaphore is closed, which it never is.
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// The place for the connection that has come; `None` when its address has too many.
    pub(super) fn take(&self, room: OwnedSemaphorePermit, peer: Peer) -> Option<Slot> {
        let of_address = match (&self.by_address, peer) {
            (Some(counts), Peer::Tcp(address)) => {
                let address = address.ip().to_canonical();
                if is_trusted(address, &self.trusted) {
                    None
                } else {
                    Some(counts.take(allowance_key(address))?)
                }
            }
            _ => None,
        };
        Some(Slot { _among_all: room, _of_address: of_address })
    }
}

impl ByAddress {
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, key: IpAddr) -> Option<OfAddress> {
        let mut counts = self.counts();
        let count = counts.entry(key).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(OfAddress { key, counts: Arc::clone(self) })
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut counts = self.counts.counts();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::Tcp(std::net::SocketAddr::new(text.parse().unwrap(), 1))
    }

    #[tokio::test]
    async fn each_address_has_its_own_and_gives_back() {
        let slots = Slots::new(100, 2, vec!["10.0.0.0/8".parse().unwrap()]);
        let take = async |text| slots.take(slots.wait().await.unwrap(), peer(text));
        let first = take("1.1.1.1").await.unwrap();
        let second = take("::ffff:1.1.1.1").await.unwrap();
        assert!(take("1.1.1.1").await.is_none());
        let other = take("1.1.1.2").await.unwrap();
        drop(first);
        let third = take("1.1.1.1").await.unwrap();
        assert!(take("1.1.1.1").await.is_none());
        let net = [take("2001:db8::1").await.unwrap(), take("2001:db8::2").await.unwrap()];
        assert!(take("2001:db8::3").await.is_none(), "the same /64");
        let mut many = Vec::new();
        for _ in 0..10 {
            many.push(take("10.1.2.3").await.unwrap());
            many.push(slots.take(slots.wait().await.unwrap(), Peer::Unix).unwrap());
        }
        drop((second, third, other, net, many));
        assert!(slots.by_address.as_ref().unwrap().counts().is_empty());
        assert_eq!(slots.all.available_permits(), 100);
    }
}
