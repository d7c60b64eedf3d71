//! From an unfinished file to a file.

use std::sync::Arc;

use storage::{EntryKind, Object, Result, Stat, StoragePath};

use super::{Gathering, Open, Staged, load, peek};
use crate::client::Client;
use crate::copying::move_object;
use crate::failure::broken;
use crate::reading::{Held, Remote};

/// What there is of an unfinished file.
pub(crate) async fn stat(client: &Client, open: &Open, path: &StoragePath) -> Result<Stat> {
    if let Some(slot) = open.get(path)
        && let Some(staged) = &*slot.lock().await
    {
        let modified = std::time::SystemTime::now();
        return Ok(Stat { kind: EntryKind::File, size_bytes: staged.size_bytes(), modified });
    }
    match peek(client, path).await? {
        Some(stat) => Ok(stat),
        None => client.stat(path).await,
    }
}

/// Opens an unfinished file for reading. The parts of one can't be read, so they become an object
/// at its own key.
pub(crate) async fn open(
    client: &Arc<Client>,
    open: &Arc<Open>,
    gathering: &Gathering,
    path: &StoragePath,
) -> Result<Arc<dyn Object>> {
    if let Some(slot) = open.get(path)
        && let Some(staged) = &mut *slot.lock().await
    {
        return staged.readable(client).await;
    }
    let _place = open.enter(path)?;
    match load(client, path).await? {
        Some(record) => Staged::new(client, gathering, path).resume(record).readable(client).await,
        None => Ok(Arc::new(Remote::open(client, path).await?)),
    }
}

impl Staged {
    /// The file so far, for reading.
    async fn readable(&mut self, client: &Arc<Client>) -> Result<Arc<dyn Object>> {
        self.parts.settle().await?;
        if self.parts.multipart().is_none() && self.parts.base_bytes() == 0 {
            return Ok(Arc::new(Held::new(self.path.clone(), self.parts.tail())));
        }
        if self.parts.multipart().is_some() || self.parts.size_bytes() != self.parts.base_bytes() {
            let own = client.root.key("read", &self.path)?;
            if self.parts.multipart().is_some_and(|m| m.key != own.as_ref()) {
                let why = "it is being written at its final path, and can't be read before the end";
                return Err(broken("read", &self.path, why));
            }
            self.is_recorded = false;
            self.parts.become_base().await?;
            self.record(client).await?;
        }
        Ok(Arc::new(Remote::open(client, &self.path).await?))
    }

    /// Makes it an object at `target`.
    async fn publish(&mut self, client: &Arc<Client>, target: &StoragePath) -> Result<()> {
        self.parts.settle().await?;
        let own = client.root.key("publish", &self.path)?;
        let key = client.root.key("publish", target)?;
        let begun_at = self.parts.multipart().map(|multipart| multipart.key.clone());
        match begun_at {
            None if self.parts.base_bytes() == 0 => {
                client.put(target, &key, self.parts.tail().into_iter().collect()).await?;
            }
            Some(begun_at) if begun_at == key.as_ref() => self.parts.complete().await?,
            Some(begun_at) if begun_at != own.as_ref() => {
                let why = "it was begun as another file than it became: it has to be sent anew";
                return Err(broken("publish", &self.path, why));
            }
            _ => {
                let size_bytes = self.parts.size_bytes();
                self.parts.complete().await?;
                move_object(client, &self.path, &own, target, &key, size_bytes).await?;
            }
        }
        self.is_published = true;
        Ok(())
    }
}

/// Moves a file, finished or not, to its final path.
pub(crate) async fn publish(
    client: &Arc<Client>,
    open: &Arc<Open>,
    gathering: &Gathering,
    from: &StoragePath,
    to: &StoragePath,
) -> Result<()> {
    if to.is_root() {
        return Err(broken("publish", to, "it is the storage's root"));
    }
    if let Some(slot) = open.get(from)
        && let Some(staged) = &mut *slot.lock().await
    {
        staged.publish(client, to).await?;
        return forget(client, from).await;
    }
    let _place = open.enter(from)?;
    match load(client, from).await? {
        Some(record) => {
            Staged::new(client, gathering, from).resume(record).publish(client, to).await?;
        }
        None => publish_object(client, from, to).await?,
    }
    forget(client, from).await
}

/// Moves a whole object.
async fn publish_object(client: &Arc<Client>, from: &StoragePath, to: &StoragePath) -> Result<()> {
    let (source, target) = (client.root.key("publish", from)?, client.root.key("publish", to)?);
    let found = client.head(from, &source).await?;
    if source == target {
        return Ok(());
    }
    move_object(client, from, &source, to, &target, found.size).await
}

/// Deletes the record of what is a file now.
async fn forget(client: &Client, path: &StoragePath) -> Result<()> {
    let key = client.root.record("delete", path)?;
    client.delete(path, &key).await
}
