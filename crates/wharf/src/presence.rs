//! Which servers use a storage, for commands that work on it beside them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use registry::layout;
use serde_json::{Value, json};
use storage::{Driver, StorageError};
use tracing::warn;
use uuid::Uuid;

/// How often a server says that it is there.
const INTERVAL: Duration = Duration::from_secs(30);

/// After this time one that was killed is not counted any more.
const LIFE: Duration = Duration::from_secs(100);

/// What is read of a note at most, in bytes.
const NOTE_BYTES_MAX: u64 = 4096;

/// A server, as others see it.
#[derive(Debug, Clone)]
struct Server {
    /// How long it keeps what it told its clients is there, in seconds.
    grace_secs: u64,
}

impl Server {
    const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_secs)
    }
}

/// Says that this server is there until `stopped`, and then that it is not.
pub(crate) async fn run(
    driver: Arc<dyn Driver>,
    grace: Duration,
    stopped: impl Future<Output = ()>,
) {
    clear(&*driver).await;
    let path = layout::server(&Uuid::new_v4());
    let note = Bytes::from(json!({ "grace_secs": grace.as_secs() }).to_string());
    let saying = async {
        let mut is_known_to_fail = false;
        loop {
            match driver.put_unsynced(&path, note.clone()).await {
                Ok(()) => is_known_to_fail = false,
                Err(error) if !is_known_to_fail => {
                    is_known_to_fail = true;
                    warn!(%error, "other programs can't be told that this server uses the storage");
                }
                Err(_) => {}
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = saying => {}
        () = stopped => {}
    }
    storage::delete_remains(&*driver, &path).await;
}

/// For how long the servers that use the storage keep what they told their clients is there; `None` when
/// there are none.
///
/// # Errors
/// When the storage can't say.
pub(crate) async fn promised(driver: &dyn Driver) -> Result<Option<Duration>, StorageError> {
    Ok(servers(driver).await?.iter().map(Server::grace).max())
}

/// The servers that were there lately. Notes of others are left to them, or to the next server.
///
/// # Errors
/// When the storage can't say.
async fn servers(driver: &dyn Driver) -> Result<Vec<Server>, StorageError> {
    let directory = layout::servers();
    let listing = storage::found(driver.list(&directory).await)?;
    let mut servers = Vec::new();
    for entry in listing.into_iter().flat_map(|listing| listing.entries) {
        let Ok(path) = directory.join(&entry.name) else { continue };
        let Ok(stat) = driver.stat(&path).await else { continue };
        let age = SystemTime::now().duration_since(stat.modified).unwrap_or_default();
        if age > LIFE {
            continue;
        }
        let note = driver.get(&path, NOTE_BYTES_MAX).await;
        let note: Option<Value> = note.ok().and_then(|note| serde_json::from_slice(&note).ok());
        let grace_secs = note.and_then(|note| note["grace_secs"].as_u64());
        // It is there all the same if its note can't be read.
        servers.push(Server { grace_secs: grace_secs.unwrap_or_default() });
    }
    Ok(servers)
}

/// Deletes the notes of servers that were killed long ago.
async fn clear(driver: &dyn Driver) {
    let directory = layout::servers();
    let Ok(listing) = driver.list(&directory).await else { return };
    for entry in listing.entries {
        let Ok(path) = directory.join(&entry.name) else { continue };
        let Ok(stat) = driver.stat(&path).await else { continue };
        if SystemTime::now().duration_since(stat.modified).is_ok_and(|age| age > 2 * LIFE) {
            storage::delete_remains(driver, &path).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::memory::Memory;

    use super::*;

    #[tokio::test]
    async fn a_server_is_seen_until_it_stops() {
        let driver: Arc<dyn Driver> = Arc::new(Memory::new());
        assert!(servers(&*driver).await.unwrap().is_empty());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let grace = Duration::from_secs(77);
        let server = tokio::spawn(run(Arc::clone(&driver), grace, async {
            let _ = stopped.await;
        }));
        while servers(&*driver).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(servers(&*driver).await.unwrap()[0].grace(), grace);
        stop.send(()).unwrap();
        server.await.unwrap();
        assert!(servers(&*driver).await.unwrap().is_empty());
    }
}
