//! Blobs, both ways.

use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use oci::Digest;
use proxy::{Begun, LastError, UpstreamError};
use registry::BodyError;

use super::Copy;
use super::paced::{Counted, kept, paced};
use crate::fault::{Fault, Result};
use crate::place::{Here, Place, There};

impl Copy<'_> {
    /// Brings a blob to the target, if it is not there.
    pub(super) async fn bring_blob(&self, digest: Digest) -> Result<()> {
        // Whoever brings the same at this moment is waited for.
        let _turn = self.engine.turns.of(&self.to, &digest).await;
        match (&self.engine.source, &self.engine.target) {
            (Place::There(there), Place::Here(here)) => self.pull(there, here, &digest).await,
            (Place::Here(here), Place::There(there)) => self.push(here, there, &digest).await,
            (Place::Here(_), Place::Here(_)) | (Place::There(_), Place::There(_)) => {
                unreachable!("a job has one side here and one there")
            }
        }
    }

    async fn pull(&self, there: &There, here: &Here, digest: &Digest) -> Result<()> {
        if here.has_blob(&self.to, digest).await? {
            self.tally.blob_there();
            return Ok(());
        }
        // It may be here because of another repository. That the remote names it does not mean that
        // the remote has it, and may have it seen.
        if here.0.is_blob_stored(digest).await?
            && there.stat_blob(self.from, digest).await?.is_some()
            && here.0.mount_blob(&self.to, digest, None).await?.is_some()
        {
            self.tally.blob_there();
            self.has_changed.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let (size_bytes, pieces) = there.blob(self.from, digest).await?;
        self.engine.admit(size_bytes).await?;
        let (last_fault, counted) = (LastError::default(), Counted::new(self.engine));
        let fault = last_fault.clone();
        let body = paced(self.engine, counted.clone(), pieces)
            .map(move |piece| piece.map_err(|error| BodyError::Disconnected(kept(&fault, error))));
        let put = here.put_blob(&self.to, digest, size_bytes, Box::pin(body)).await;
        self.tally.passed(counted.bytes());
        put.map_err(|error| last_fault.take().unwrap_or_else(|| as_remote(error, there)))?;
        self.brought_blob();
        Ok(())
    }

    async fn push(&self, here: &Here, there: &There, digest: &Digest) -> Result<()> {
        let mountable = &self.engine.mountable;
        if there.stat_blob(&self.to, digest).await?.is_some() {
            mountable.note(digest, &self.to);
            self.tally.blob_there();
            return Ok(());
        }
        let mount_from = mountable.from(digest).filter(|from| *from != self.to);
        match there.begin_upload(&self.to, digest, mount_from.as_ref()).await? {
            Begun::Mounted => {
                self.tally.blob_there();
                self.has_changed.store(true, Ordering::Relaxed);
            }
            Begun::Upload(upload) => {
                let (size_bytes, pieces) = here.blob(self.from, digest).await?;
                let (last_fault, counted) = (LastError::default(), Counted::new(self.engine));
                let fault = last_fault.clone();
                let body = paced(self.engine, counted.clone(), pieces).map(move |piece| {
                    piece.map_err(|error| std::io::Error::other(kept(&fault, error)))
                });
                let sent = there.finish_upload(upload, digest, size_bytes, Box::pin(body)).await;
                self.tally.passed(counted.bytes());
                sent.map_err(|error| last_fault.take().unwrap_or(Fault::Remote(error)))?;
                self.brought_blob();
            }
        }
        mountable.note(digest, &self.to);
        Ok(())
    }

    fn brought_blob(&self) {
        self.tally.blob();
        self.has_changed.store(true, Ordering::Relaxed);
    }
}

/// That a blob has another digest is the remote's fault.
fn as_remote(fault: Fault, there: &There) -> Fault {
    match fault {
        Fault::Here(error) => match *error {
            registry::Error::DigestMismatch { expected, actual } => {
                let reason = format!("the blob has digest {actual}, not {expected}");
                let upstream = there.upstream.name().to_owned();
                Fault::Remote(UpstreamError::Invalid { upstream, reason })
            }
            error => error.into(),
        },
        other => other,
    }
}
