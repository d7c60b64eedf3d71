//! A store as the driver uses it: one library behind several of its interfaces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    Attributes, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, UpdateVersion,
};
use storage::{EntryKind, Result, Stat, StorageError, StoragePath};

use crate::copying::Copier;
use crate::failure::{storage_error, write_error};
use crate::guard::Guard;
use crate::keys::Root;

/// What the kinds of stores differ in.
#[derive(Clone)]
pub(crate) struct Store {
    /// The driver's name in the configuration.
    pub(crate) name: &'static str,
    /// The bucket.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Uploads in parts.
    pub(crate) multipart: Arc<dyn MultipartStore>,
    /// Listings in pages.
    pub(crate) pages: Arc<dyn PaginatedListStore>,
    /// Who signs URLs for clients; none where clients are not redirected.
    pub(crate) redirects: Option<Arc<dyn Signer>>,
    /// Copies within the store, and what was left of uploads.
    pub(crate) copier: Arc<dyn Copier>,
    /// What every object is written with.
    pub(crate) attributes: Attributes,
}

/// What a driver needs to know of its store.
#[derive(Clone)]
pub(crate) struct Client {
    /// The store.
    pub(crate) store: Store,
    /// The prefix of all keys.
    pub(crate) root: Root,
    /// The size of a part, in bytes.
    pub(crate) part_bytes: usize,
    /// Whether the store refuses a write whose condition is not met, as far as is known.
    pub(crate) is_conditional: Arc<AtomicBool>,
    /// Whether the store was seen not to list what had been written.
    pub(crate) lists_late: Arc<AtomicBool>,
    /// What keeps requests from a store that fails.
    pub(crate) guard: Arc<Guard>,
}

impl Client {
    /// Writes an object as a whole.
    pub(crate) async fn put(
        &self,
        path: &StoragePath,
        key: &Path,
        payload: PutPayload,
    ) -> Result<PutResult> {
        let options =
            PutOptions { attributes: self.store.attributes.clone(), ..PutOptions::default() };
        let put = self.store.objects.put_opts(key, payload, options).await;
        put.map_err(|error| write_error("write", path, error))
    }

    /// Writes an object if it is still the version that is known (`None`: not there), where the
    /// store can tell.
    ///
    /// # Errors
    /// `Busy` when it is another one by now.
    pub(crate) async fn put_version(
        &self,
        path: &StoragePath,
        key: &Path,
        payload: PutPayload,
        known: Option<UpdateVersion>,
    ) -> Result<UpdateVersion> {
        let mode = match known {
            _ if !self.is_conditional.load(Ordering::Relaxed) => PutMode::Overwrite,
            Some(version) => PutMode::Update(version),
            None => PutMode::Create,
        };
        let attributes = self.store.attributes.clone();
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match self.store.objects.put_opts(key, payload, options).await {
            Ok(PutResult { e_tag, version, .. }) => Ok(UpdateVersion { e_tag, version }),
            Err(
                object_store::Error::Precondition { .. }
                | object_store::Error::AlreadyExists { .. },
            ) => Err(StorageError::Busy { path: path.clone() }),
            Err(error) => Err(write_error("write", path, error)),
        }
    }

    /// Deletes an object that may be gone already.
    pub(crate) async fn delete(&self, path: &StoragePath, key: &Path) -> Result<()> {
        match self.store.objects.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(write_error("delete", path, error)),
        }
    }

    /// The size of an object, in bytes, and what else is known of it.
    pub(crate) async fn head(
        &self,
        path: &StoragePath,
        key: &Path,
    ) -> Result<object_store::ObjectMeta> {
        self.store.objects.head(key).await.map_err(|error| storage_error("look at", path, error))
    }

    /// What is known of a file.
    pub(crate) async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        let found = self.head(path, &self.root.key("look at", path)?).await?;
        let modified = found.last_modified.into();
        Ok(Stat { kind: EntryKind::File, size_bytes: found.size, modified })
    }

    /// Begins an upload in parts.
    pub(crate) async fn begin(&self, path: &StoragePath, key: &Path) -> Result<String> {
        let attributes = self.store.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let begun = self.store.multipart.create_multipart_opts(key, options).await;
        begun.map_err(|error| write_error("begin to upload", path, error))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.store.name)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
