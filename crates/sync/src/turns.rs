//! What copies that run at the same time know of each other, and plans of those before them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use oci::{Digest, RepositoryName};
use tokio::sync::OwnedMutexGuard;

use crate::limits::{MOUNTABLE_MAX, WHOLE_MAX};

/// From how many on those are forgotten that nobody holds any more.
const TURNS_KEPT: usize = 1024;

type Key = (RepositoryName, Digest);

/// Lets one at a time copy the same content into the same repository: whoever comes after it finds
/// it there.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for a turn, which ends when it is dropped.
    pub(crate) async fn of(&self, name: &RepositoryName, digest: &Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= TURNS_KEPT {
                turns.retain(|_, turn| turn.strong_count() > 0);
            }
            let key = (name.clone(), *digest);
            match turns.get(&key).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::default();
                    turns.insert(key, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

/// In which repository of a remote a blob is, so that it can be mounted from there.
#[derive(Debug, Default)]
pub(crate) struct Mountable(Mutex<HashMap<Digest, RepositoryName>>);

impl Mountable {
    /// A repository that has it.
    pub(crate) fn from(&self, digest: &Digest) -> Option<RepositoryName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Notes that a repository has it.
    pub(crate) fn note(&self, digest: &Digest, name: &RepositoryName) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOUNTABLE_MAX {
            // What is forgotten is sent, and that is all.
            known.clear();
        }
        known.insert(*digest, name.clone());
    }
}

/// Which manifests a repository of the target was seen to have with all that is copied with them, so
/// that a remote is not asked for every child at every run.
#[derive(Debug, Default)]
pub(crate) struct Whole(Mutex<HashSet<Key>>);

impl Whole {
    /// Whether a manifest is one of these.
    pub(crate) fn has(&self, name: &RepositoryName, digest: &Digest) -> bool {
        self.lock().contains(&(name.clone(), *digest))
    }

    /// Notes that one is.
    pub(crate) fn note(&self, name: &RepositoryName, digest: &Digest) {
        let mut known = self.lock();
        if known.len() >= WHOLE_MAX {
            // What is forgotten is asked again, and that is all.
            known.clear();
        }
        known.insert((name.clone(), *digest));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
