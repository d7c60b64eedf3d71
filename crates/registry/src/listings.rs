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
mod target;

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
    /// It was tried to follow it.
    is_follow_tried: bool,
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
pub(crate) struct Listings {
    known: Cache<StoragePath, Arc<Known>, ByBytes>,
    /// Held while a listing takes the place of an earlier one, so that what is forgotten of that
    /// is not taken over.
    succession: Mutex<()>,
}

impl Listings {
    pub(crate) fn new() -> Self {
        // Few entries, so that it is in two pieces on every machine, and a listing of 100,000 tags
        // fits into one.
        let known = Cache::with_weighter(100, LISTING_CACHE_BYTES_MAX, ByBytes);
        Self { known, succession: Mutex::default() }
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
                self.known.remove(path);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The same for somebody who is about to change the directory: a large one is followed from the
    /// start. Also whether it is.
    pub(crate) async fn directories_to_change(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
    ) -> Result<Option<(Arc<Directories>, bool)>, StorageError> {
        let Some(mut directories) = self.directories(driver, path).await? else { return Ok(None) };
        if directories.len() >= FOLLOWED_ENTRIES_MIN
            && driver.watcher().is_some()
            && self.known.get(path).is_some_and(|known| !known.state().is_follow_tried)
        {
            directories = self.list(driver, path, true).await?;
        }
        let is_followed = self.known.get(path).is_some_and(|known| known.state().changes.is_some());
        Ok(Some((directories, is_followed)))
    }

    /// Forgets what these tags name: they have been pushed.
    pub(crate) fn forget_named<'a>(
        &self,
        path: &StoragePath,
        names: impl IntoIterator<Item = &'a str>,
    ) {
        let _turn = self.succession.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = self.known.get(path) else { return };
        let state = known.state();
        names.into_iter().for_each(|name| state.directories.forget_named(name));
    }

    async fn fetch(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
    ) -> Result<Arc<Directories>, StorageError> {
        let known = self.known.get(path);
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
        self.list(driver, path, is_large).await
    }

    /// Lists a directory anew; a large one is followed from now on.
    async fn list(
        &self,
        driver: &dyn Driver,
        path: &StoragePath,
        is_large: bool,
    ) -> Result<Arc<Directories>, StorageError> {
        let changes = match driver.watcher().filter(|_| is_large) {
            Some(watcher) => watcher.follow(path).await.ok(),
            None => None,
        };
        let listing = driver.list(path).await?;
        let version = listing.version;
        let mut directories = Directories::new(listing);
        // Even one that can't be recognised says whether the directory is a large one.
        if version.is_none() && directories.len() < FOLLOWED_ENTRIES_MIN {
            return Ok(Arc::new(directories));
        }
        let _turn = self.succession.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = self.known.get(path) {
            directories.inherit(&earlier.state().directories);
        }
        let directories = Arc::new(directories);
        let is_follow_tried = is_large && driver.watcher().is_some();
        let state = State { directories: directories.clone(), version, changes, is_follow_tried };
        self.known.insert(path.clone(), Arc::new(Known::new(state)));
        Ok(directories)
    }
}
