//! Blobs on their way here: fetched once, served at once.
//!
//! A blob that is asked for and not here is fetched by a task of its own, whoever asks for it and
//! however many do. What has come lies where an upload's data lies (on a storage that can't be read
//! before all of it is there, in a temporary file beside), and everybody reads it from there, at his
//! own speed and from the offset that he likes. The last byte is kept back until the whole of it was
//! found to have its digest, so that a body that is wrong never looks complete.

mod following;
mod reader;
mod resuming;
mod room;
mod sharing;
mod spool;
mod task;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::{Digest, RepositoryName};
use registry::{Registry, UploadId, Written};
use storage::Object;
use tokio::sync::watch;

use crate::error::MirrorError;
use crate::upstream::{Asking, Upstream};
pub(crate) use reader::Reader;
pub use room::FreeSpace;
use room::Room;
use spool::Spool;

/// What is being fetched just now.
#[derive(Default)]
pub(crate) struct Fetches {
    flights: Mutex<HashMap<Key, Arc<Flight>>>,
    room: Room,
    /// Fetches that were begun.
    begun: AtomicU64,
    /// Those who came while it was fetched already.
    joined: AtomicU64,
    /// Fetches that failed.
    failed: AtomicU64,
    /// What came by those that did not, in bytes.
    pulled_bytes: AtomicU64,
    /// Fetches that ended, however they did.
    ended: AtomicU64,
}

/// Another repository's rights are others: each fetches for itself, unless the data is here, or
/// coming and the upstream said that it may [share](sharing) that.
type Key = (RepositoryName, Digest);

/// What a fetch is about.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) registry: Arc<Registry>,
    pub(crate) upstream: Arc<Upstream>,
    /// The repository here.
    pub(crate) name: RepositoryName,
    /// The repository there.
    pub(crate) there: RepositoryName,
    pub(crate) digest: Digest,
    pub(crate) asking: Asking,
    /// How long it goes on when nobody waits for it any more.
    pub(crate) unattended: std::time::Duration,
    pub(crate) keeping: Keeping,
    /// How many fetches had [ended](Fetches::ended) before the blob was looked for here.
    pub(crate) ended_before: u64,
}

/// Whether what comes is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It is only passed on.
    Never,
    /// If there is room for it; that there is none is no reason not to serve it.
    IfPossible,
    /// Nothing comes unless it is: nobody waits for it.
    Always,
}

/// One fetch, as those who wait for it see it.
pub(crate) struct Flight {
    /// Tells it from others of the same blob.
    number: u64,
    order: Order,
    stage: watch::Receiver<Stage>,
    /// What can be read.
    written: watch::Receiver<Written>,
    /// How many read it.
    readers: watch::Sender<usize>,
}

/// How far a fetch is.
#[derive(Debug, Clone)]
enum Stage {
    /// The upstream was asked.
    Asked,
    /// It sends the bytes.
    Coming { size_bytes: u64, bytes: Bytes },
    /// All of it is here, and right. It is open for those who are still reading, so that they get it
    /// to its end whatever becomes of it by then.
    Here(Arc<dyn Object>),
    /// It came to nothing.
    Failed(MirrorError),
}

/// Where the bytes are that have come.
#[derive(Debug, Clone)]
enum Bytes {
    Upload(UploadId),
    Spool(Arc<Spool>),
}

/// How often fetches happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchCounts {
    /// Begun.
    pub begun: u64,
    /// Joined by another client while it went on.
    pub joined: u64,
    /// Ended without the blob.
    pub failed: u64,
    /// What came by those that ended with it, in bytes.
    pub pulled_bytes: u64,
    /// Going on just now.
    pub in_flight: u64,
}

impl Fetches {
    /// Asks whether there is room before something is stored.
    pub(crate) fn heed(&self, free_space: Arc<dyn FreeSpace>) {
        self.room.ask(free_space);
    }

    /// Joins the fetch of a blob, or begins it.
    pub(crate) fn join(self: &Arc<Self>, order: Order) -> Reader {
        let (reader, joined) = self.enter(order);
        self.joined.fetch_add(u64::from(joined), Ordering::Relaxed);
        reader
    }

    /// The same for somebody who is no client, and does not count as one.
    pub(crate) fn attend(self: &Arc<Self>, order: Order) -> Reader {
        self.enter(order).0
    }

    /// Who waits for a blob from now on, and whether it was being fetched before.
    fn enter(self: &Arc<Self>, order: Order) -> (Reader, bool) {
        let key = order.key();
        let mut flights = self.lock();
        // Whoever is on the list is not given up before this lock is free, and then has a reader.
        if let Some(flight) = flights.get(&key) {
            return (Reader::new(flight), true);
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        // One that ended meanwhile may have been about this blob.
        let look_first = self.ended() != order.ended_before;
        let flight = Arc::new(task::begin(Arc::clone(self), order, number, look_first));
        let reader = Reader::new(&flight);
        flights.insert(key, flight);
        (reader, false)
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Takes a fetch off the list that nobody reads; `false` when somebody does again.
    fn abandon(&self, number: u64, readers: &watch::Receiver<usize>) -> bool {
        let mut flights = self.lock();
        let is_alone = *readers.borrow() == 0;
        if is_alone {
            remove(&mut flights, number);
        }
        is_alone
    }

    /// A fetch has ended, with a blob of so many bytes or without one; the repositories that waited
    /// for it.
    fn end(&self, number: u64, size_bytes: Option<u64>) -> Vec<RepositoryName> {
        match size_bytes {
            Some(size_bytes) => self.pulled_bytes.fetch_add(size_bytes, Ordering::Relaxed),
            None => self.failed.fetch_add(1, Ordering::Relaxed),
        };
        let mut flights = self.lock();
        self.ended.fetch_add(1, Ordering::Release);
        remove(&mut flights, number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> FetchCounts {
        // Both change with the lock held only. Whatever was given up is off the list before its end.
        let _unchanged = self.lock();
        let in_flight = self.begun.load(Ordering::Relaxed).saturating_sub(self.ended());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FetchCounts {
            begun: count(&self.begun),
            joined: count(&self.joined),
            failed: count(&self.failed),
            pulled_bytes: count(&self.pulled_bytes),
            in_flight,
        }
    }
}

/// Takes a fetch off the list, and no later one of the same blob; the repositories that it was for.
fn remove(flights: &mut HashMap<Key, Arc<Flight>>, number: u64) -> Vec<RepositoryName> {
    flights.extract_if(|_, flight| flight.number == number).map(|((name, _), _)| name).collect()
}

impl Order {
    fn key(&self) -> Key {
        (self.name.clone(), self.digest)
    }
}

impl Flight {
    fn given_up(&self) -> MirrorError {
        MirrorError::GivenUp { upstream: self.order.upstream.name().to_owned() }
    }
}

impl Stage {
    const fn is_last(&self) -> bool {
        matches!(self, Self::Here(_) | Self::Failed(_))
    }
}
