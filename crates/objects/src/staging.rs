//! Files on their way in.
//!
//! What comes is gathered until it is enough for a part, and sent. When an appender is left, a
//! record of the parts and what is gathered by then lie beside the file's key, so that any replica
//! goes on. Whatever races there are between replicas, a record is whole: it names parts and holds
//! bytes that belong together, and a part that another replica has replaced makes the store refuse
//! to put the object together.

mod appender;
mod gathering;
mod parts;
mod publish;
pub(crate) mod record;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStoreExt as _, PutPayload, UpdateVersion};
use storage::{EntryKind, Result, Stat, StorageError, StoragePath};
use uuid::Uuid;

use crate::client::Client;
use crate::failure::{broken, storage_error, write_error};
use crate::limits::{RECORD_BYTES_MAX, RECORD_HEAD_BYTES};

pub(crate) use appender::ObjectAppender;
pub(crate) use gathering::Gathering;
use parts::{Mark, Parts};
pub(crate) use publish::{open, publish, stat};
use record::Head;

/// An unfinished file, as this process has it open.
#[derive(Debug)]
pub(crate) struct Staged {
    path: StoragePath,
    parts: Parts,
    /// The version of the record that this continues; none when there is none yet.
    version: Option<UpdateVersion>,
    /// What tells that record from every other one, where stale ones are not refused, too.
    generation: Option<Uuid>,
    /// Whether the record says what there is.
    is_recorded: bool,
    /// Nothing more can be appended: it has become a file.
    is_published: bool,
}

/// Where an open file is kept: none before it was loaded.
type Slot = Arc<tokio::sync::Mutex<Option<Staged>>>;

/// The files that are open for appending here; each has one writer.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<HashMap<StoragePath, Slot>>);

/// A writer's place in the table, until it is dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Open>,
    path: StoragePath,
    slot: Slot,
}

impl Open {
    fn table(&self) -> MutexGuard<'_, HashMap<StoragePath, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a path for one writer.
    fn enter(self: &Arc<Self>, path: &StoragePath) -> Result<Place> {
        match self.table().entry(path.clone()) {
            Entry::Occupied(_) => Err(StorageError::Busy { path: path.clone() }),
            Entry::Vacant(vacant) => {
                let slot = Arc::clone(vacant.insert(Slot::default()));
                Ok(Place { open: Arc::clone(self), path: path.clone(), slot })
            }
        }
    }

    /// The file, if it is open here.
    fn get(&self, path: &StoragePath) -> Option<Slot> {
        self.table().get(path).cloned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.table().remove(&self.path);
    }
}

/// A record as it was read.
struct Record {
    head: Head,
    tail: Bytes,
    version: UpdateVersion,
}

/// Reads the record of a file.
async fn load(client: &Client, path: &StoragePath) -> Result<Option<Record>> {
    let key = client.root.record("read", path)?;
    let found = match client.store.objects.get(&key).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(storage_error("read", path, error)),
    };
    if found.meta.size > RECORD_BYTES_MAX {
        return Err(broken("read", path, "the record of the upload is damaged: it is too large"));
    }
    let version =
        UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    let bytes = found.bytes().await.map_err(|error| storage_error("read", path, error))?;
    let (head, tail) = record::decode(&bytes).ok_or_else(|| {
        broken("read", path, "the record of the upload is damaged: begin it anew")
    })?;
    Ok(Some(Record { head, tail, version }))
}

/// Gives up the upload in parts that a record tells of, and whose files are being deleted.
pub(crate) async fn abort(client: &Client, path: &StoragePath, record: &Path) -> Result<()> {
    let failed = |error| storage_error("read", path, error);
    let bytes = match client.store.objects.get(record).await {
        Ok(found) => found.bytes().await.map_err(failed)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let Some((Head { multipart: Some(multipart), .. }, _)) = Head::decode(&bytes) else {
        return Ok(());
    };
    let begun =
        Path::parse(&multipart.key).map_err(|error| write_error("abort", path, error.into()))?;
    match client.store.multipart.abort_multipart(&begun, &multipart.id).await {
        // Completed or aborted by another replica.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => {
            let error = write_error("abort", path, error);
            tracing::warn!(%path, %error, "the parts of an upload take space until it is purged");
        }
    }
    Ok(())
}

/// What the first line of a record says of a file, and when it was written.
async fn peek(client: &Client, path: &StoragePath) -> Result<Option<Stat>> {
    let key = client.root.record("look at", path)?;
    let failed = |error| storage_error("look at", path, error);
    let head = GetOptions { range: Some((0..RECORD_HEAD_BYTES).into()), ..GetOptions::default() };
    let found = match client.store.objects.get_opts(&key, head).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let modified = found.meta.last_modified.into();
    let bytes = found.bytes().await.map_err(failed)?;
    let head = match Head::decode(&bytes) {
        Some((head, _)) => head,
        None => match load(client, path).await? {
            Some(record) => record.head,
            None => return Ok(None),
        },
    };
    Ok(Some(Stat { kind: EntryKind::File, size_bytes: head.size_bytes(), modified }))
}

impl Staged {
    /// A file of which nothing is there.
    fn new(client: &Arc<Client>, gathering: &Gathering, path: &StoragePath) -> Self {
        Self {
            path: path.clone(),
            parts: Parts::new(Arc::clone(client), gathering.clone(), path.clone()),
            version: None,
            generation: None,
            is_recorded: false,
            is_published: false,
        }
    }

    /// The file that a record tells of.
    fn resume(mut self, Record { head, tail, version }: Record) -> Self {
        self.generation = Some(head.generation());
        self.parts.resume(head, tail);
        self.version = Some(version);
        self.is_recorded = true;
        self
    }

    /// A file as its record has it, or what lies at its path, or a new one.
    async fn load(client: &Arc<Client>, gathering: &Gathering, path: &StoragePath) -> Result<Self> {
        let mut staged = Self::new(client, gathering, path);
        if let Some(record) = load(client, path).await? {
            return Ok(staged.resume(record));
        }
        let key = client.root.key("look at", path)?;
        match client.head(path, &key).await {
            Ok(found) => staged.parts.set_base(found.size),
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(staged)
    }

    fn size_bytes(&self) -> u64 {
        self.parts.size_bytes()
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            self.is_recorded = false;
            self.parts.push(piece).await?;
        }
        Ok(())
    }

    async fn truncate(&mut self, size_bytes: u64, opened_at: &Mark) -> Result<()> {
        if size_bytes == self.size_bytes() {
            return Ok(());
        }
        if size_bytes > self.size_bytes() || size_bytes != opened_at.size_bytes() {
            return Err(broken("truncate", &self.path, "only back to where it was opened"));
        }
        self.is_recorded = false;
        self.parts.return_to(opened_at).await
    }

    /// Writes the record, unless it says already what there is.
    async fn record(&mut self, client: &Client) -> Result<()> {
        self.parts.settle().await?;
        if self.is_recorded || self.is_published {
            return Ok(());
        }
        self.parts.send_large_tail().await?;
        let key = client.root.record("write", &self.path)?;
        let (head, tail) = self.parts.describe();
        let generation = Uuid::new_v4();
        let line = head.of(generation).encode();
        let payload: PutPayload = std::iter::once(line).chain(tail).collect();
        let known = self.version.clone();
        self.version = Some(client.put_version(&self.path, &key, payload, known).await?);
        self.generation = Some(generation);
        self.is_recorded = true;
        Ok(())
    }
}
