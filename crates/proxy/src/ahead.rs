//! What is fetched ahead of clients: what a manifest refers to, once somebody has fetched that.

mod limited;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci::{Descriptor, Digest, Manifest, ManifestKind, RepositoryName};
use tokio::sync::mpsc;
use tracing::debug;

use crate::limits::PREFETCH_QUEUE;
use crate::upstream::Asking;
pub(crate) use limited::Limited;

/// What is fetched ahead of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prefetch {
    /// Nothing.
    #[default]
    Nothing,
    /// Configuration and layers of the images whose manifests clients fetch.
    Layers,
    /// Of an index that a client fetches also every manifest that it lists, with what is in them.
    All,
}

/// How often something was fetched ahead, in manifests and blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrefetchCounts {
    /// Fetched.
    pub fetched: u64,
    /// How large these were, in bytes.
    pub fetched_bytes: u64,
    /// Here already when it was their turn, or wanted by somebody else by then.
    pub present: u64,
    /// Not fetched: the upstream is not to be asked for it just now, or there is no room for it.
    pub skipped: u64,
    /// Asked for in vain.
    pub failed: u64,
    /// Not even noted, as too much was waiting.
    pub dropped: u64,
    /// What waits for its turn, or is being fetched.
    pub waiting: u64,
}

/// What may be fetched ahead of one manifest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) what: Prefetch,
    /// The largest image, in bytes.
    pub(crate) image_bytes_max: Option<u64>,
}

/// One manifest or blob that is to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The repository here.
    pub(crate) name: RepositoryName,
    pub(crate) digest: Digest,
    pub(crate) is_manifest: bool,
    pub(crate) asking: Asking,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fetched { size_bytes: u64 },
    Present,
    Skipped,
    Failed,
}

/// What waits to be fetched.
pub(crate) struct Ahead {
    queue: mpsc::Sender<Part>,
    /// Taken by whoever fetches.
    waiting: Mutex<Option<mpsc::Receiver<Part>>>,
    /// What is in the queue or being fetched: images share their layers.
    known: Mutex<HashSet<(RepositoryName, Digest)>>,
    fetched: AtomicU64,
    fetched_bytes: AtomicU64,
    present: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Default for Ahead {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(PREFETCH_QUEUE);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            known: Mutex::default(),
            fetched: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
            present: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }
}

impl Ahead {
    /// Notes what a manifest refers to that has just been fetched.
    pub(crate) fn note(&self, wish: Wish, name: &RepositoryName, content: &[u8], asking: &Asking) {
        let Ok(manifest) = Manifest::parse_stored(content) else { return };
        let is_index = matches!(manifest.kind, ManifestKind::Index { .. });
        let is_wanted = match wish.what {
            Prefetch::Nothing => false,
            Prefetch::Layers => !is_index,
            Prefetch::All => true,
        };
        if !is_wanted {
            return;
        }
        let parts: Vec<&Descriptor> = manifest.references().filter(|d| !d.is_foreign()).collect();
        // Each image of an index is looked at for itself.
        let size_bytes = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size));
        if let Some(max) = wish.image_bytes_max.filter(|max| !is_index && size_bytes > *max) {
            debug!(repository = %name, size_bytes, max, "image is too large to be fetched ahead");
            self.skipped.fetch_add(parts.len() as u64, Ordering::Relaxed);
            return;
        }
        for digest in parts.iter().filter_map(|part| part.parsed_digest().ok()) {
            let (name, asking) = (name.clone(), asking.clone());
            self.add(Part { name, digest, is_manifest: is_index, asking });
        }
    }

    fn add(&self, part: Part) {
        let mut known = self.lock();
        let key = (part.name.clone(), part.digest);
        if known.contains(&key) {
            return;
        }
        match self.queue.try_send(part) {
            Ok(()) => {
                known.insert(key);
            }
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What waits, for whoever is going to fetch it; `None` when somebody does already.
    pub(crate) fn take_queue(&self) -> Option<mpsc::Receiver<Part>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes what became of a part.
    pub(crate) fn end(&self, part: &Part, outcome: Outcome) {
        self.lock().remove(&(part.name.clone(), part.digest));
        let count = match outcome {
            Outcome::Fetched { size_bytes } => {
                self.fetched_bytes.fetch_add(size_bytes, Ordering::Relaxed);
                &self.fetched
            }
            Outcome::Present => &self.present,
            Outcome::Skipped => &self.skipped,
            Outcome::Failed => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> PrefetchCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PrefetchCounts {
            fetched: count(&self.fetched),
            fetched_bytes: count(&self.fetched_bytes),
            present: count(&self.present),
            skipped: count(&self.skipped),
            failed: count(&self.failed),
            dropped: count(&self.dropped),
            waiting: self.lock().len() as u64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(RepositoryName, Digest)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
