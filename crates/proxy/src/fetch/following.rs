//! Reading a blob while it comes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use registry::Written;
use storage::{ByteStream, Object, StorageError};
use tokio::sync::watch;

use super::{Flight, Reader, Stage};

/// A part of the blob, as it comes.
pub(super) fn stream(reader: Reader, size_bytes: u64, range: Range<u64>) -> ByteStream {
    let flight = reader.flight();
    let following = Following {
        stage: flight.stage.clone(),
        written: flight.written.clone(),
        reader,
        size_bytes,
        range,
        open: None,
        pieces: None,
    };
    Box::pin(stream::try_unfold(following, |mut following| async move {
        Ok(following.next().await?.map(|piece| (piece, following)))
    }))
}

struct Following {
    reader: Reader,
    stage: watch::Receiver<Stage>,
    written: watch::Receiver<Written>,
    size_bytes: u64,
    /// What is still to be given out.
    range: Range<u64>,
    /// What has come, when it was opened last.
    open: Option<Arc<dyn Object>>,
    pieces: Option<ByteStream>,
}

impl Following {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            if let Some(pieces) = &mut self.pieces {
                if let Some(piece) = pieces.next().await.transpose()? {
                    self.range.start += piece.len() as u64;
                    return Ok(Some(piece));
                }
                self.pieces = None;
            }
            if self.range.is_empty() {
                return Ok(None);
            }
            self.pieces = Some(self.readable().await?);
        }
    }

    /// Waits until there is more, and reads that.
    async fn readable(&mut self) -> Result<ByteStream, StorageError> {
        loop {
            // In this order: what is stored was written before.
            let stage = self.stage.borrow_and_update().clone();
            let written = *self.written.borrow_and_update();
            match stage {
                Stage::Here(content) => return Ok(content.stream(self.range.clone())),
                Stage::Failed(error) => return Err(failure(self.reader.flight(), error)),
                Stage::Asked => {}
                Stage::Coming { bytes, .. } => {
                    // The last byte makes it look complete.
                    let kept_back = u64::from(!written.is_right);
                    let until = written.bytes.min(self.size_bytes - kept_back).min(self.range.end);
                    if until > self.range.start
                        && let Some(object) = self.object(&bytes, until).await?
                    {
                        return Ok(object.stream(self.range.start..until));
                    }
                }
            }
            let is_going_on = tokio::select! {
                changed = self.stage.changed() => changed.is_ok(),
                // Nothing more is written before the stage changes.
                Ok(()) = self.written.changed() => true,
            };
            if !is_going_on {
                return Err(failure(self.reader.flight(), "it was given up"));
            }
        }
    }

    /// What has come, at least up to `until`; `None` when it is just becoming the blob.
    async fn object(
        &mut self,
        bytes: &super::Bytes,
        until: u64,
    ) -> Result<Option<Arc<dyn Object>>, StorageError> {
        if let Some(open) = self.open.as_ref().filter(|open| open.size_bytes() >= until) {
            return Ok(Some(Arc::clone(open)));
        }
        let order = &self.reader.flight().order;
        let opened: Arc<dyn Object> = match bytes {
            super::Bytes::Spool(spool) => Arc::clone(spool).object(until),
            super::Bytes::Upload(id) => match order.registry.open_upload(&order.name, id).await {
                Ok(object) => object,
                Err(registry::Error::UploadUnknown { .. }) => return Ok(None),
                Err(error) => return Err(failure(self.reader.flight(), error)),
            },
        };
        let opened = Some(opened).filter(|opened| opened.size_bytes() >= until);
        self.open.clone_from(&opened);
        Ok(opened)
    }
}

/// The error of a body that ends early.
fn failure(flight: &Flight, reason: impl ToString) -> StorageError {
    StorageError::Io {
        operation: "fetch",
        path: registry::layout::blob_data(&flight.order.digest),
        source: io::Error::other(reason.to_string()),
    }
}
