//! Uploads: blobs on their way in, over one request or many.
//!
//! What an upload has received lies in its directory of the repository, where any process on the
//! same storage finds it; its size there is the only truth about how far it is. The running digest
//! is kept in memory between requests and, for large uploads, saved beside the data, so that
//! nothing has to be read twice. A digest state is only ever used when it covers exactly the bytes
//! that are there: so many of them, and of the same generation, since on an object store two replicas
//! that take a chunk of the same upload at once may replace what the other one kept.

mod budget;
mod hash_states;
mod id;
mod progress;
mod queue;
mod sink;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use oci::{Algorithm, Digest, Hasher, RepositoryName};
use storage::{Change, Object, StorageError};

use crate::limits::REHASH_BEFORE_CHUNK_BYTES_MAX;
use crate::limits::{LINK_BYTES_MAX, MIDSTATE_BYTES_MAX, MIDSTATE_UPLOAD_BYTES_MIN};
use crate::{BlobStat, Chunk, Error, Registry, Result, layout, link};

pub(crate) use budget::Budget;
use hash_states::HashState;
pub(crate) use hash_states::HashStates;
pub use id::UploadId;
pub use progress::{Progress, Written};
use sink::Sink;

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// Its id.
    pub id: UploadId,
    /// Bytes received so far.
    pub size_bytes: u64,
    /// When it was started.
    pub started_at: Timestamp,
}

impl Registry {
    /// Starts an upload. `algorithm` is that of the digest the client is going to name, where it
    /// said so; without it only the canonical digest is computed along the way.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn start_upload(
        &self,
        name: &RepositoryName,
        algorithm: Option<Algorithm>,
    ) -> Result<UploadStatus> {
        let id = UploadId::random();
        let started_at = now_in_seconds();
        let text = started_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // Not synced: until the blob is committed, nothing was promised.
        let note = |path, content| Change::Note { path, content };
        let mut notes = vec![note(layout::upload_started_at(name, &id), Bytes::from(text))];
        if !self.driver.is_remote() {
            // The empty data saves the first chunk from having to make it.
            notes.push(note(layout::upload_data(name, &id), Bytes::new()));
        }
        self.driver.apply(vec![notes]).await?;
        self.hash_states.store(&id, HashState::new(algorithm));
        Ok(UploadStatus { id, size_bytes: 0, started_at })
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    pub async fn upload_status(
        &self,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<UploadStatus> {
        let started_at = self.upload_started_at(name, id).await?;
        let size_bytes = match self.driver.stat_staged(&layout::upload_data(name, id)).await {
            Ok(stat) => stat.size_bytes,
            Err(StorageError::NotFound { .. }) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(UploadStatus { id: id.clone(), size_bytes, started_at })
    }

    /// Appends a chunk to an upload. When the body breaks off, what came before stays received.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`], [`Error::UploadBusy`], [`Error::RangeInvalid`],
    /// [`Error::SizeInvalid`], [`Error::Body`]; none of them ends the upload.
    pub async fn append_upload(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadStatus> {
        let started_at = self.upload_started_at(name, id).await?;
        let sink = self.open_sink(name, id, None).await?;
        let (mut sink, outcome) = sink.take(chunk).await;
        self.save_progress(name, id, &mut sink).await?;
        outcome?;
        Ok(UploadStatus { id: id.clone(), size_bytes: sink.size_bytes(), started_at })
    }

    /// Appends the last chunk, which may be empty, and makes the upload a blob of the repository
    /// if it has the digest that the client names. Everything is durable on return.
    ///
    /// # Errors
    /// As [`Registry::append_upload`]; and [`Error::DigestMismatch`], which ends the upload.
    pub async fn commit_upload(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        digest: &Digest,
        chunk: Chunk,
    ) -> Result<BlobStat> {
        self.commit_followed(name, id, digest, chunk, None).await
    }

    /// Opens what there is of an upload by now, unchecked.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] when it has no data, or none any more.
    pub async fn open_upload(
        &self,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<Arc<dyn Object>> {
        match self.driver.open_staged(&layout::upload_data(name, id)).await {
            Ok(object) => Ok(object),
            Err(error) if error.is_not_found() => {
                Err(Error::UploadUnknown { name: name.clone(), id: id.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// [`Registry::commit_upload`] of an upload that others may follow meanwhile: `progress` tells
    /// them how much of it they can read by [`Registry::open_upload`].
    ///
    /// # Errors
    /// As [`Registry::commit_upload`].
    pub async fn commit_followed(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        digest: &Digest,
        chunk: Chunk,
        progress: Option<Progress>,
    ) -> Result<BlobStat> {
        let started_at = self.upload_started_at(name, id).await?;
        let sink = self.open_sink(name, id, Some(digest)).await?.telling(progress.clone());
        let (mut sink, outcome) = sink.take(chunk).await;
        if let Err(error) = outcome {
            self.save_progress(name, id, &mut sink).await?;
            return Err(error);
        }
        let size_bytes = sink.size_bytes();
        let wanted = [Algorithm::Sha256, digest.algorithm()];
        let digests = self.upload_digests(name, id, sink.take_hash(), size_bytes, wanted).await?;
        let [canonical, actual] = digests;
        if actual != *digest {
            drop(sink);
            self.discard_upload(name, id).await;
            return Err(Error::DigestMismatch { expected: *digest, actual });
        }
        if let Some(progress) = progress {
            // Whoever follows it need not wait until it is on stable storage.
            progress.confirm();
        }
        let ticket = self.ticket(name).await;
        // What is there already is kept before it is relied on: however long the rest takes, it is
        // not collected meanwhile.
        let is_new = self.promise_content(&canonical).await?;
        self.driver.apply(commit_changes(name, id, &canonical, digest)).await?;
        if is_new && self.is_past_half_of_the_grace(started_at) {
            // It is as old as the last of its chunks.
            self.promise_content(&canonical).await?;
        }
        let stat = BlobStat { digest: canonical, size_bytes };
        self.remember_blob(ticket, name, digest, stat).await;
        Ok(stat)
    }

    /// Takes a whole blob in one go.
    ///
    /// # Errors
    /// As [`Registry::commit_upload`]; after any of them nothing is left behind.
    pub async fn put_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        chunk: Chunk,
    ) -> Result<BlobStat> {
        let upload = self.start_upload(name, Some(digest.algorithm())).await?;
        let outcome = self.commit_upload(name, &upload.id, digest, chunk).await;
        if outcome.is_err() {
            self.discard_upload(name, &upload.id).await;
        }
        outcome
    }

    /// Gives an upload up.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    pub async fn cancel_upload(&self, name: &RepositoryName, id: &UploadId) -> Result<()> {
        self.upload_started_at(name, id).await?;
        self.hash_states.take(id);
        self.delete_if_there(&layout::upload(name, id)).await
    }

    /// When an upload was started.
    async fn upload_started_at(&self, name: &RepositoryName, id: &UploadId) -> Result<Timestamp> {
        match self.read_started_at(name, id).await {
            Ok(Some(started_at)) => Ok(started_at),
            // Torn by a power failure: the upload is there all the same.
            Ok(None) => Ok(now_in_seconds()),
            Err(error) if error.is_not_found() => {
                Err(Error::UploadUnknown { name: name.clone(), id: id.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the start time of an upload; `None` when it is not a time.
    pub(crate) async fn read_started_at(
        &self,
        name: &RepositoryName,
        id: &UploadId,
    ) -> std::result::Result<Option<Timestamp>, StorageError> {
        let path = layout::upload_started_at(name, id);
        let text = match self.driver.get(&path, LINK_BYTES_MAX).await {
            Ok(text) => text,
            Err(StorageError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(std::str::from_utf8(&text).ok().and_then(|t| t.trim().parse().ok()))
    }

    /// Opens an upload for writing, with its running digest when that can be had cheaply. Where
    /// the blob is going to lie is known when its canonical digest is.
    async fn open_sink(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        digest: Option<&Digest>,
    ) -> Result<Sink> {
        let data = layout::upload_data(name, id);
        let canonical = digest.filter(|digest| digest.algorithm() == Algorithm::Sha256);
        let appender = match canonical {
            Some(digest) => self.driver.append_toward(&data, &layout::blob_data(digest)).await,
            None => self.driver.append(&data).await,
        };
        let appender = appender.map_err(|error| match error {
            StorageError::Busy { .. } => Error::UploadBusy { id: id.clone() },
            error => error.into(),
        })?;
        let (size_bytes, generation) = (appender.size_bytes(), appender.generation());
        let mut hash = self.hash_states.take(id);
        if hash.as_ref().is_none_or(|h| h.size_bytes() != size_bytes || !h.is_of(generation)) {
            let saved = self.load_midstate(name, id).await?;
            hash = saved.filter(|h| h.size_bytes() <= size_bytes && h.is_of(generation));
        }
        let mut hash = hash.unwrap_or_else(|| HashState::new(None));
        let behind = size_bytes - hash.size_bytes();
        let hash = if behind > REHASH_BEFORE_CHUNK_BYTES_MAX {
            None
        } else {
            if behind > 0 {
                hash = self.hash_data(name, id, hash, size_bytes).await?;
            }
            Some(hash)
        };
        let budget = self.upload_budget.clone();
        Ok(Sink::new(appender, hash, budget, self.driver.file_bytes_max()))
    }

    /// The running digest that was saved beside the data.
    async fn load_midstate(
        &self,
        name: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<HashState>> {
        match self.driver.get(&layout::upload_midstate(name, id), MIDSTATE_BYTES_MAX).await {
            Ok(saved) => Ok(HashState::decode(&saved)),
            Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what came for the next request; the running digest in memory and, from some size on,
    /// in the storage. A saved state claims that the data is there, so the data is synced first.
    async fn save_progress(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        sink: &mut Sink,
    ) -> Result<()> {
        sink.keep().await?;
        let Some(hash) = sink.take_hash() else { return Ok(()) };
        if hash.size_bytes() >= MIDSTATE_UPLOAD_BYTES_MIN {
            sink.sync().await?;
            let path = layout::upload_midstate(name, id);
            self.driver.put_unsynced(&path, Bytes::from(hash.encode())).await?;
        }
        self.hash_states.store(id, hash);
        Ok(())
    }

    /// The digests of everything an upload has received, reading it again where no running digest
    /// covers it.
    async fn upload_digests<const N: usize>(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        hash: Option<HashState>,
        size_bytes: u64,
        wanted: [Algorithm; N],
    ) -> Result<[Digest; N]> {
        let mut known: Vec<Digest> = Vec::new();
        if let Some(hash) = hash.filter(|h| h.size_bytes() == size_bytes) {
            known.extend(hash.finish());
        }
        let covered = |known: &[Digest], a: Algorithm| known.iter().any(|d| d.algorithm() == a);
        let missing: Vec<Hasher> = Algorithm::ALL
            .into_iter()
            .filter(|a| wanted.contains(a) && !covered(&known, *a))
            .map(Algorithm::hasher)
            .collect();
        if !missing.is_empty() {
            let state = HashState::with_hashers(missing);
            known.extend(self.hash_data(name, id, state, size_bytes).await?.finish());
        }
        Ok(wanted.map(|a| match known.iter().find(|d| d.algorithm() == a) {
            Some(digest) => *digest,
            None => unreachable!("every wanted algorithm is known or was computed"),
        }))
    }

    /// Takes the received data from where `hash` stands up to `size_bytes` into it.
    async fn hash_data(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        mut hash: HashState,
        size_bytes: u64,
    ) -> Result<HashState> {
        let object = self.driver.open_staged(&layout::upload_data(name, id)).await?;
        let mut pieces = object.stream(hash.size_bytes()..size_bytes);
        while let Some(piece) = pieces.next().await {
            hash.update(&[piece?]);
        }
        Ok(hash)
    }

    /// Removes what is left of an upload. Only costs space when it fails, until it is purged.
    async fn discard_upload(&self, name: &RepositoryName, id: &UploadId) {
        self.hash_states.take(id);
        if let Err(error) = self.delete_if_there(&layout::upload(name, id)).await {
            tracing::warn!(repository = %name, upload = %id, %error, "upload could not be removed");
        }
    }
}

/// What makes the received data the blob `canonical` of a repository, and ends the upload. Data that
/// is stored already with another size is the remains of a crash, and is replaced.
fn commit_changes(
    name: &RepositoryName,
    id: &UploadId,
    canonical: &Digest,
    requested: &Digest,
) -> Vec<Vec<Change>> {
    let data =
        Change::Publish { from: layout::upload_data(name, id), to: layout::blob_data(canonical) };
    let mut links = Vec::new();
    if canonical != requested {
        links.push(link::change(layout::alias(requested), canonical));
    }
    links.extend(link::changes(canonical, requested, |d| layout::layer_link(name, d)));
    // The upload has no further use for its start time.
    if let Some(Change::Put { reuse, .. }) = links.first_mut() {
        *reuse = Some(layout::upload_started_at(name, id));
    }
    vec![vec![data], links]
}

/// The present time as the layout keeps it.
fn now_in_seconds() -> Timestamp {
    let now: Timestamp = SystemTime::now().try_into().unwrap_or(Timestamp::UNIX_EPOCH);
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
