//! The task that fetches one blob.

use std::sync::Arc;

use futures_util::StreamExt as _;
use oci::{Digest, RepositoryName};
use registry::{Blob, Chunk, Progress, UploadId};
use storage::Object;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::resuming;
use super::room::Place;
use super::spool::Spool;
use super::{Bytes, Fetches, Flight, Keeping, Order, Stage};
use crate::LastError;
use crate::error::{MirrorError, Result};
use crate::mirror::open_here;
use crate::upstream::{BlobBody, UpstreamError};

/// Begins to fetch, in a task that goes on without whoever asked for it. With `look_first`, the blob
/// may have come here meanwhile.
pub(super) fn begin(fetches: Arc<Fetches>, order: Order, number: u64, look_first: bool) -> Flight {
    let (stage, followed) = watch::channel(Stage::Asked);
    let (progress, written) = Progress::new();
    let (readers, attended) = watch::channel(0);
    let fetch = Fetch { fetches, order: order.clone(), number, stage, progress };
    tokio::spawn(async move {
        // However it ends, also by a panic.
        let mut names = Vec::new();
        let mut end = End { fetch: &fetch, size_bytes: None, names: &mut names };
        let outcome = fetch.run(look_first, attended).await;
        if let Ok(Stage::Here(content)) = &outcome {
            end.size_bytes = Some(content.size_bytes());
        }
        drop(end);
        let is_here = outcome.is_ok();
        // Off the list before its end is told: who asks after that must not find the old one.
        fetch.stage.send_replace(outcome.unwrap_or_else(|error| {
            fetch.tell(&error);
            Stage::Failed(error)
        }));
        for name in names.iter().filter(|name| is_here && **name != fetch.order.name) {
            fetch.link(name).await;
        }
    });
    Flight { number, order, stage: followed, written, readers }
}

/// Takes a fetch off the list at its end.
struct End<'a> {
    fetch: &'a Fetch,
    /// How large the blob is, if it is here now.
    size_bytes: Option<u64>,
    /// The repositories that it was for are put here.
    names: &'a mut Vec<RepositoryName>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let Fetch { fetches, number, .. } = self.fetch;
        *self.names = fetches.end(*number, self.size_bytes);
    }
}

pub(super) struct Fetch {
    fetches: Arc<Fetches>,
    pub(super) order: Order,
    number: u64,
    stage: watch::Sender<Stage>,
    progress: Progress,
}

impl Fetch {
    /// Fetches it; returns how it is here.
    async fn run(&self, look_first: bool, attended: watch::Receiver<usize>) -> Result<Stage> {
        let Order { registry, upstream, name, there, digest, asking, .. } = &self.order;
        if look_first && let Some(Blob { object, .. }) = open_here(registry, name, digest).await? {
            return Ok(Stage::Here(object));
        }
        let begun = upstream.blob(there, digest, 0, asking).await?;
        let size_bytes = begun.size_bytes;
        debug!(repository = %name, %digest, size_bytes, upstream = upstream.name(), "fetching");
        let place = self.place(size_bytes).await?;
        let upload = match place {
            Some(place) => {
                let started = registry.start_upload(name, Some(digest.algorithm())).await?;
                Some((started.id, place))
            }
            None => None,
        };
        let id = upload.as_ref().map(|(id, _)| id.clone());
        let taken = tokio::select! {
            taken = self.take(upload, begun) => taken,
            () = self.left_alone(attended) => {
                Err(MirrorError::GivenUp { upstream: upstream.name().to_owned() })
            }
        };
        if let (Err(_), Some(id)) = (&taken, &id) {
            // What is left of it only costs space, and is purged in the end.
            let _ = registry.cancel_upload(name, id).await;
        }
        Ok(Stage::Here(taken?))
    }

    /// Where so much is stored; nowhere if it is only passed on.
    async fn place(&self, size_bytes: u64) -> Result<Option<Place>> {
        let Order { name, digest, keeping, .. } = &self.order;
        if *keeping == Keeping::Never {
            return Ok(None);
        }
        match self.fetches.room.take(size_bytes).await {
            Ok(place) => Ok(Some(place)),
            Err(reason) if *keeping == Keeping::Always => Err(MirrorError::NoRoom { reason }),
            Err(reason) => {
                warn!(repository = %name, %digest, size_bytes, reason, "blob is not kept");
                Ok(None)
            }
        }
    }

    /// Takes what comes into an upload, or into a temporary file alone; gives back where it is now.
    async fn take(
        &self,
        upload: Option<(UploadId, Place)>,
        begun: BlobBody,
    ) -> Result<Arc<dyn Object>> {
        match upload {
            Some((id, place)) => self.store(&id, place, begun).await,
            None => self.pass(begun).await,
        }
    }

    /// Takes what comes into a temporary file, and nowhere else.
    async fn pass(&self, begun: BlobBody) -> Result<Arc<dyn Object>> {
        let digest = &self.order.digest;
        let size_bytes = begun.size_bytes;
        let last_error = LastError::default();
        let body = resuming::body(self.order.clone(), begun, last_error.clone());
        let spool = Arc::new(Spool::new().await.map_err(no_spool)?);
        let mut body = Arc::clone(&spool).copying(body, self.progress.clone());
        let bytes = Bytes::Spool(Arc::clone(&spool));
        self.stage.send_replace(Stage::Coming { size_bytes, bytes });
        let mut hasher = digest.algorithm().hasher();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| match last_error.take() {
                Some(error) => error.into(),
                None => MirrorError::from(registry::Error::Body(error)),
            })?;
            hasher.update(&piece);
        }
        let actual = hasher.finish();
        match actual == *digest {
            true => {
                self.progress.confirm();
                Ok(spool.object(size_bytes))
            }
            false => Err(self.mismatch(&actual).into()),
        }
    }

    /// Waits until nobody has waited for the blob for so long, and nobody can any more.
    async fn left_alone(&self, mut readers: watch::Receiver<usize>) {
        loop {
            // The sender is the flight's, which is held by the list at least.
            let _ = readers.wait_for(|readers| *readers == 0).await;
            let is_back = tokio::select! {
                () = tokio::time::sleep(self.order.unattended) => false,
                back = readers.wait_for(|readers| *readers > 0) => back.is_ok(),
            };
            if !is_back && self.fetches.abandon(self.number, &readers) {
                return;
            }
        }
    }

    /// Stores what comes, and lets others read it meanwhile.
    async fn store(&self, id: &UploadId, place: Place, begun: BlobBody) -> Result<Arc<dyn Object>> {
        let Order { registry, name, digest, .. } = &self.order;
        let size_bytes = begun.size_bytes;
        let last_error = LastError::default();
        let body = resuming::body(self.order.clone(), begun, last_error.clone());
        let mut body = place.filled_by(body);
        let (bytes, progress, spool) = if registry.driver().is_remote() {
            let spool = Arc::new(Spool::new().await.map_err(no_spool)?);
            body = Arc::clone(&spool).copying(body, self.progress.clone());
            // What the storage has taken is not to be read there yet.
            (Bytes::Spool(Arc::clone(&spool)), self.progress.without_bytes(), Some(spool))
        } else {
            (Bytes::Upload(id.clone()), self.progress.clone(), None)
        };
        self.stage.send_replace(Stage::Coming { size_bytes, bytes });
        let chunk =
            Chunk { range: None, offset_bytes: None, content_length: Some(size_bytes), body };
        let stored = registry.commit_followed(name, id, digest, chunk, Some(progress)).await;
        stored.map_err(|error| match (last_error.take(), error) {
            (Some(error), _) => MirrorError::from(error),
            (None, registry::Error::DigestMismatch { actual, .. }) => self.mismatch(&actual).into(),
            (None, error) => error.into(),
        })?;
        match spool {
            // A store reads by name, piece by piece; the copy is there for as long as it is read.
            Some(spool) => Ok(spool.object(size_bytes)),
            None => Ok(registry.open_blob(name, digest).await?.object),
        }
    }

    fn mismatch(&self, actual: &Digest) -> UpstreamError {
        let Order { upstream, digest, .. } = &self.order;
        let reason = format!("the blob has digest {actual}, not {digest}");
        UpstreamError::Invalid { upstream: upstream.name().to_owned(), reason }
    }

    fn tell(&self, error: &MirrorError) {
        let Order { name, digest, .. } = &self.order;
        if error.is_not_found() || matches!(error, MirrorError::NoRoom { .. }) {
            debug!(repository = %name, %digest, %error, "blob could not be fetched");
        } else {
            warn!(repository = %name, %digest, %error, "blob could not be fetched");
        }
    }
}

fn no_spool(error: std::io::Error) -> MirrorError {
    let reason = format!("there can be no temporary file (TMPDIR): {error}");
    registry::Error::Body(registry::BodyError::Refused(reason)).into()
}
