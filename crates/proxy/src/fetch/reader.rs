//! Those who wait for a blob that is being fetched.

use std::ops::Range;
use std::sync::Arc;

use storage::{ByteStream, Object};

use super::{Flight, Stage, following};
use crate::error::Result;

/// Somebody who waits for the blob.
#[derive(Clone)]
pub(crate) struct Reader(Arc<Counted>);

struct Counted(Arc<Flight>);

impl Reader {
    pub(super) fn new(flight: &Arc<Flight>) -> Self {
        flight.readers.send_modify(|readers| *readers += 1);
        Self(Arc::new(Counted(Arc::clone(flight))))
    }

    pub(super) fn flight(&self) -> &Arc<Flight> {
        &self.0.0
    }

    /// Waits until it is known how large the blob is; the bytes may be read then. A small blob is
    /// waited for, so that whoever asks for it gets an error in place of a body that breaks off.
    pub(crate) async fn opened(self) -> Result<Arc<dyn Object>> {
        let mut stage = self.flight().stage.clone();
        let opened = stage
            .wait_for(|stage| match stage {
                Stage::Asked => false,
                Stage::Coming { size_bytes, .. } => {
                    *size_bytes > crate::limits::WAITED_FOR_BYTES_MAX
                }
                Stage::Here(_) | Stage::Failed(_) => true,
            })
            .await;
        let size_bytes = match opened.as_deref() {
            Ok(Stage::Coming { size_bytes, .. }) => *size_bytes,
            Ok(Stage::Here(content)) => content.size_bytes(),
            Ok(Stage::Failed(error)) => return Err(error.clone()),
            Ok(Stage::Asked) | Err(_) => return Err(self.flight().given_up()),
        };
        drop(opened);
        Ok(Arc::new(Incoming { reader: self, size_bytes }))
    }

    /// Waits until the blob is here; its size, in bytes.
    pub(crate) async fn landed(&self) -> Result<u64> {
        let mut stage = self.flight().stage.clone();
        match stage.wait_for(Stage::is_last).await.as_deref() {
            Ok(Stage::Here(content)) => Ok(content.size_bytes()),
            Ok(Stage::Failed(error)) => Err(error.clone()),
            Ok(_) | Err(_) => Err(self.flight().given_up()),
        }
    }

    /// Waits for it no longer; returns when the fetch has ended, which it does soon if nobody else
    /// waits for it.
    pub(crate) async fn leave(self) {
        let mut stage = self.flight().stage.clone();
        drop(self);
        let _ = stage.wait_for(Stage::is_last).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.readers.send_modify(|readers| *readers -= 1);
    }
}

/// A blob that is still coming, in the place of one that is here.
struct Incoming {
    reader: Reader,
    size_bytes: u64,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("digest", &self.reader.flight().order.digest)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

impl Object for Incoming {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        following::stream(self.reader.clone(), self.size_bytes, range)
    }
}
