//! Directory listings, remembered for as long as they are certain to be right.
//!
//! A large one is followed where the storage tells of changes, so that a change costs as much as
//! it changes. The others are compared with the storage by their version each time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use storage::watch::Follow;
use storage::{Driver, ListingVersion, StorageError, StoragePath};

use crate::limits::{FOLLOWED_BYTES, FOLLOWED_ENTRIES_MIN, LISTING_CACHE_BYTES_MAX};

mod directories;

pub(crate) use directories::{Directories, Directory};

/// A listing, and how to tell whether it is right.
struct Known {
    state: Mutex<State>,
    weight_bytes: u64,
}

struct State {
    directories: Arc<Directories>,
    /// The version that was listed, when it can be recognised again.
    version: Option<ListingVersion>,
    /// What becomes of it; none where it is not followed, or can't be any more.
    changes: Option<Box<dyn Follow>>,
}

impl Known {
    fn new(state: State) -> Self {
        let following = if state.changes.is_some() { FOLLOWED_BYTES } else { 0 };
        let weight_bytes = state.directories.weight_bytes() + following;
        Self { state: Mutex::new(state), weight_bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listing as it is now, if it is followed.
    fn followed(&self) -> Option<Arc<Directories>> {
        // Held until the changes are in: whoever comes second must find them there.
        let mut state = self.state();
        let Some(changes) = state.changes.as_ref()?.changes() else {
            state.changes = None;
            return None;
        };
        if !changes.is_empty() {
            state.directories = Arc::new(state.directories.changed(changes));
            state.version = None;
        }
        // One that outgrows what it was weighed as is listed, and weighed, anew.
        if state.directories.weight_bytes() > 2 * self.weight_bytes {
            state.changes = None;
            return None;
        }
        Some(Arc::clone(&state.directories))
    }

    /// The listing, if this is its version.
    fn of_version(&self, version: Option<ListingVersion>) -> Option<Arc<Directories>> {
        let state = self.state();
        (version.is_some() && state.version == version).then(|| Arc::clone(&state.directories))
    }
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<StoragePath, Arc<Known>> for ByBytes {
    fn weight(&self, key: &StoragePath, value: &Arc<Known>) -> u64 {
        key.as_str().len() as u64 + value.weight_bytes
    }
}

/// The listings that are remembered.
pub(crate) struct Listings(Cache<StoragePath, Arc<Known>, ByBytes>);

impl Listings {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(1000, LISTING_CACHE_BYTES_MAX, ByBytes))
    }

    /// The subdirectories of `path`; `None` when there is no such directory.
    pub(crate) async fn directories(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
    ) -> Result<Option<Arc<Directories>>, StorageError> {
        match self.fetch(driver, path).await {
            Ok(directories) => Ok(Some(directories)),
            Err(StorageError::NotFound { .. }) => {
                self.0.remove(path);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
    ) -> Result<Arc<Directories>, StorageError> {
        let known = self.0.get(path);
        let mut is_large = false;
        if let Some(known) = &known {
            if let Some(directories) = known.followed() {
                return Ok(directories);
            }
            let version = driver.listing_version(path).await?;
            if let Some(directories) = known.of_version(version) {
                return Ok(directories);
            }
            is_large = known.state().directories.len() >= FOLLOWED_ENTRIES_MIN;
        }
        // One that has changed may go on changing.
        let changes = match driver.watcher().filter(|_| is_large) {
            Some(watcher) => watcher.follow(path).await.ok(),
            None => None,
        };
        let listing = driver.list(path).await?;
        let version = listing.version;
        let directories = Arc::new(Directories::new(listing));
        // Even one that can't be recognised says whether the directory is a large one.
        if version.is_some() || directories.len() >= FOLLOWED_ENTRIES_MIN {
            let state = State { directories: Arc::clone(&directories), version, changes };
            self.0.insert(path.clone(), Arc::new(Known::new(state)));
        }
        Ok(directories)
    }
}
