//! Fetching ahead of clients.

use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, Reference};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::debug;

use super::{Mirror, Mirrored};
use crate::ahead::{Outcome, Part};
use crate::error::{MirrorError, Result, Wanted};
use crate::fetch::{Keeping, Order};
use crate::limits::{PREFETCH_CONCURRENCY, PREFETCH_END_WITHIN};

/// Told when everything is to end.
type Stopping = watch::Receiver<bool>;

impl Mirror {
    /// Fetches what is to be fetched ahead of clients, until `stopped`; what is on its way then is
    /// given up, unless a client waits for it. `may_store` says whether the storage is to take
    /// anything just now. To be called once.
    pub async fn fetch_ahead(
        self: Arc<Self>,
        may_store: impl Fn() -> bool + Send,
        stopped: impl Future<Output = ()> + Send,
    ) {
        let Some(mut waiting) = self.ahead.take_queue() else { return };
        let (stop, stopping) = watch::channel(false);
        let mut running = JoinSet::new();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => break,
                Some(_) = running.join_next() => {}
                Some(part) = waiting.recv(), if running.len() < PREFETCH_CONCURRENCY => {
                    if may_store() {
                        running.spawn(Arc::clone(&self).fetch_part(part, stopping.clone()));
                    } else {
                        self.ahead.end(&part, Outcome::Skipped);
                    }
                }
            }
        }
        stop.send_replace(true);
        let ended = async { while running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PREFETCH_END_WITHIN, ended).await;
    }

    async fn fetch_part(self: Arc<Self>, part: Part, stopping: Stopping) {
        // However it ends, also by a panic.
        let mut end = End { mirror: &self, part: &part, outcome: Outcome::Failed };
        end.outcome = self.outcome_of(&part, stopping).await;
    }

    async fn outcome_of(&self, part: &Part, stopping: Stopping) -> Outcome {
        let Some(mut mirrored) = self.repository(&part.name, None, true) else {
            return Outcome::Skipped;
        };
        mirrored.asking = part.asking.clone();
        let upstream = &mirrored.covering.upstream;
        if !self.limited.may_ask(upstream, part.is_manifest) {
            return Outcome::Skipped;
        }
        let fetched = match part.is_manifest {
            true => mirrored.manifest_ahead(&Reference::Digest(part.digest)).await,
            false => mirrored.blob_ahead(&part.digest, stopping).await,
        };
        match fetched {
            Ok(Some(size_bytes)) => Outcome::Fetched { size_bytes },
            Ok(None) => Outcome::Present,
            Err(
                MirrorError::Offline { .. }
                | MirrorError::Absent { .. }
                | MirrorError::NoRoom { .. },
            ) => Outcome::Skipped,
            Err(error) => {
                self.limited.note(upstream, &error);
                let (repository, digest) = (&part.name, &part.digest);
                debug!(%repository, %digest, %error, "it could not be fetched ahead");
                Outcome::Failed
            }
        }
    }
}

async fn stopped(stopping: &mut Stopping) {
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
}

struct End<'a> {
    mirror: &'a Mirror,
    part: &'a Part,
    outcome: Outcome,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.mirror.ahead.end(self.part, self.outcome);
    }
}

impl Mirrored<'_> {
    /// Fetches a manifest; its size, or `None` when it is here.
    async fn manifest_ahead(&self, reference: &Reference) -> Result<Option<u64>> {
        if self.here(reference).await?.is_some() {
            return Ok(None);
        }
        let fetched = self.fetch_manifest(reference).await?;
        Ok(Some(fetched.content.len() as u64))
    }

    /// Fetches a blob, or waits for whoever does already; its size, or `None` when it is here.
    async fn blob_ahead(&self, digest: &Digest, mut stopping: Stopping) -> Result<Option<u64>> {
        let ended_before = self.mirror.fetches.ended();
        if self.has_blob(digest).await? || self.mounted(digest).await?.is_some() {
            return Ok(None);
        }
        // A client that comes to it and leaves again does not end it, and nobody else keeps it going.
        let order = self.order(digest, ended_before, Duration::ZERO)?;
        let order = Order { keeping: Keeping::Always, ..order };
        let reader = match self.shared(&order).await? {
            Some(reader) => reader,
            None => self.mirror.fetches.attend(order),
        };
        tokio::select! {
            landed = reader.landed() => {
                self.note_absence(&Wanted::Blob(*digest), &landed);
                Ok(Some(landed?))
            }
            () = stopped(&mut stopping) => {
                reader.leave().await;
                Err(self.given_up())
            }
        }
    }
}
