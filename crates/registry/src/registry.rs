//! The registry: a driver, options, and what is remembered of the storage.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oci::Digest;
use storage::{Driver, StorageError, StoragePath};

use crate::answers::Answers;
use crate::claims::Claims;
use crate::collection::History;
use crate::descriptors::DescriptorCache;
use crate::limits::{self, REMOTE_READS_AT_ONCE};
use crate::listings::Listings;
use crate::manifests::{ManifestCache, Tagged};
use crate::policy::Validation;
use crate::pulls::Pulls;
use crate::redirects::Redirects;
use crate::referrers::ReferrersIndexes;
use crate::uploads::{Budget, HashStates};
use crate::{Result, eviction, layout};

/// How a registry behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// What a manifest must satisfy to be accepted.
    pub validation: Validation,
    /// How many tags are read at once when looking for those of a manifest.
    pub tag_lookup_concurrency: usize,
    /// How many manifests are kept in memory; 0 keeps none.
    pub manifest_cache_entries: usize,
    /// Where clients are sent for blobs.
    pub redirects: Redirects,
    /// How long something that a client was told of is kept, though nothing refers to it.
    pub grace: Duration,
    /// Whether it is noted when manifests are pulled.
    pub record_pulls: bool,
    /// Whether a push of a tag that names its manifest already counts as one, at the price of
    /// writing its link anew.
    pub renew_tags: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            validation: Validation::default(),
            tag_lookup_concurrency: limits::TAG_LOOKUP_CONCURRENCY,
            manifest_cache_entries: limits::MANIFEST_CACHE_ENTRIES,
            redirects: Redirects::default(),
            grace: limits::COLLECTION_GRACE,
            record_pulls: false,
            renew_tags: false,
        }
    }
}

/// The registry over one storage. All of its operations may run at the same time, also with those
/// of other processes on the same storage.
pub struct Registry {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) options: Options,
    pub(crate) manifest_cache: Option<ManifestCache>,
    pub(crate) tagged: Tagged,
    pub(crate) listings: Listings,
    pub(crate) answers: Answers,
    pub(crate) referrers: ReferrersIndexes,
    pub(crate) hash_states: HashStates,
    pub(crate) upload_budget: Budget,
    pub(crate) claims: Claims,
    pub(crate) history: History,
    pub(crate) evictions: eviction::History,
    /// What was pulled lately; none where nobody wants to know.
    pub(crate) pulls: Option<Box<Pulls>>,
    /// What several servers remember together; most have none.
    pub(crate) descriptors: Option<Arc<dyn DescriptorCache>>,
}

impl Registry {
    /// A registry over `driver`. Reads nothing: a store of any size is ready at once.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, options: Options) -> Self {
        let entries = options.manifest_cache_entries;
        Self {
            manifest_cache: (entries > 0).then(|| ManifestCache::new(entries)),
            tagged: Tagged::new(),
            listings: Listings::new(),
            answers: Answers::new(),
            referrers: ReferrersIndexes::new(),
            hash_states: HashStates::new(),
            upload_budget: Budget::default(),
            claims: Claims::new(&*driver, options.grace),
            history: History::default(),
            evictions: eviction::History::default(),
            pulls: options.record_pulls.then(Box::default),
            descriptors: None,
            driver,
            options,
        }
    }

    /// Has a descriptor cache asked before the storage, and told what the storage said.
    #[must_use]
    pub fn with_descriptor_cache(mut self, cache: Arc<dyn DescriptorCache>) -> Self {
        self.descriptors = Some(cache);
        self
    }

    /// The storage.
    #[must_use]
    pub fn driver(&self) -> &Arc<dyn Driver> {
        &self.driver
    }

    /// Whether there is data under a canonical digest.
    pub(crate) async fn is_stored(&self, canonical: &Digest) -> Result<bool> {
        match self.driver.stat(&layout::blob_data(canonical)).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// How many reads that do not depend on each other are made at once: one where a read is quick.
    pub(crate) fn requests_at_once(&self) -> usize {
        if self.driver.is_remote() { REMOTE_READS_AT_ONCE } else { 1 }
    }

    /// Deletes what may be gone already.
    pub(crate) async fn delete_if_there(&self, path: &StoragePath) -> Result<()> {
        match self.driver.delete(path).await {
            Ok(()) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("driver", &self.driver)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
