//! An unfinished file that is open for appending.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use storage::{Appender, Feed, Result, StoragePath};
use uuid::Uuid;

use super::parts::Mark;
use super::{Gathering, Open, Place, Staged};
use crate::client::Client;
use crate::failure::broken;

/// An appender; there is one of each file in this process.
#[derive(Debug)]
pub(crate) struct ObjectAppender {
    client: Arc<Client>,
    place: Place,
    opened_at: Mark,
    size_bytes: u64,
    generation: Option<Uuid>,
}

impl ObjectAppender {
    /// Opens a file. `target` is where it is going to be published, as far as that is known.
    pub(crate) async fn open(
        client: &Arc<Client>,
        open: &Arc<Open>,
        gathering: &Gathering,
        path: &StoragePath,
        target: Option<&StoragePath>,
    ) -> Result<Self> {
        if path.is_root() {
            return Err(broken("append to", path, "it is the storage's root"));
        }
        let place = open.enter(path)?;
        let mut staged = Staged::load(client, gathering, path).await?;
        if let Some(target) = target {
            staged.parts.set_target(client.root.key("append to", target)?);
        }
        let (opened_at, size_bytes) = (staged.parts.mark(), staged.size_bytes());
        let generation = staged.generation;
        *place.slot.lock().await = Some(staged);
        Ok(Self { client: Arc::clone(client), place, opened_at, size_bytes, generation })
    }

    /// Works on the file, and notes how large it is then, and its generation.
    async fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Staged, &Client, &Mark) -> Result<T>,
    ) -> Result<T> {
        let mut slot = self.place.slot.lock().await;
        let Some(staged) = slot.as_mut().filter(|staged| !staged.is_published) else {
            return Err(broken("append to", &self.place.path, "it has been published already"));
        };
        let done = work(staged, &self.client, &self.opened_at).await;
        self.size_bytes = staged.size_bytes();
        self.generation = staged.generation;
        done
    }
}

#[async_trait]
impl Appender for ObjectAppender {
    fn size_bytes(&self) -> u64 {
        // What was begun by a request that was given up counts as well.
        let slot = self.place.slot.try_lock();
        slot.ok().and_then(|slot| Some(slot.as_ref()?.size_bytes())).unwrap_or(self.size_bytes)
    }

    fn generation(&self) -> Option<Uuid> {
        self.generation
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        self.with(async |staged, _, _| staged.append(pieces).await).await
    }

    /// Hashing a batch, which is what a feed does when it is asked for one, takes a fraction of a
    /// millisecond; in between others get their turn.
    async fn append_from(&mut self, feed: Arc<dyn Feed>) -> Result<()> {
        while let Some(pieces) = feed.next() {
            self.append(pieces).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn truncate(&mut self, size_bytes: u64) -> Result<()> {
        self.with(async |staged, _, opened_at| staged.truncate(size_bytes, opened_at).await).await
    }

    async fn sync(&mut self) -> Result<()> {
        self.keep().await
    }

    async fn keep(&mut self) -> Result<()> {
        self.with(async |staged, client, _| staged.record(client).await).await
    }
}
