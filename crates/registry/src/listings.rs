//! Directory listings, remembered for as long as the storage says that they are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quick_cache::sync::Cache;
use storage::{Driver, EntryKind, ListingVersion, StorageError, StoragePath};

use crate::limits::LISTING_CACHE_BYTES_MAX;

/// The subdirectories of a directory, sorted by the bytes of their names.
#[derive(Debug)]
pub(crate) struct Directories {
    version: Option<ListingVersion>,
    entries: Vec<Directory>,
}

/// One subdirectory.
#[derive(Debug)]
pub(crate) struct Directory {
    name: Box<str>,
    /// Set once the link of a tag was seen to be there. It only ever vanishes together with its
    /// directory, so this may be remembered as long as the listing; that it is *not* there may
    /// not. (Links of manifests and layers do vanish by themselves, and are not remembered.)
    confirmed: AtomicBool,
}

impl Directory {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    pub(crate) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }
}

impl Directories {
    /// The version that was listed, when it can be recognised again.
    pub(crate) const fn version(&self) -> Option<ListingVersion> {
        self.version
    }

    /// All subdirectories.
    pub(crate) fn all(&self) -> &[Directory] {
        &self.entries
    }

    /// The subdirectories whose names sort behind `last`.
    pub(crate) fn after(&self, last: Option<&str>) -> &[Directory] {
        let start = last.map_or(0, |last| self.entries.partition_point(|e| &*e.name <= last));
        &self.entries[start..]
    }

    /// Whether there is a subdirectory of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.binary_search_by(|e| (*e.name).cmp(name)).is_ok()
    }

    fn weight_bytes(&self) -> u64 {
        let entry = size_of::<Directory>() as u64;
        128 + self.entries.iter().map(|e| entry + e.name.len() as u64).sum::<u64>()
    }
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<StoragePath, Arc<Directories>> for ByBytes {
    fn weight(&self, key: &StoragePath, value: &Arc<Directories>) -> u64 {
        key.as_str().len() as u64 + value.weight_bytes()
    }
}

/// The listings that are remembered.
pub(crate) struct Listings(Cache<StoragePath, Arc<Directories>, ByBytes>);

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
        if let Some(known) = self.0.get(path)
            && known.version == driver.listing_version(path).await?
        {
            return Ok(known);
        }
        let listing = driver.list(path).await?;
        let directories = listing.entries.into_iter().filter(|e| e.kind == EntryKind::Directory);
        let fresh = Arc::new(Directories {
            version: listing.version,
            entries: directories
                .map(|e| Directory { name: e.name, confirmed: AtomicBool::new(false) })
                .collect(),
        });
        if fresh.version.is_some() {
            self.0.insert(path.clone(), fresh.clone());
        }
        Ok(fresh)
    }
}
