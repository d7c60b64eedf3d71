//! Copies that the store makes by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};
use storage::{Result, StoragePath};

use crate::client::Client;
use crate::failure::{broken, write_error};
use crate::guard::CopyStatus;
use crate::limits::{COPY_POLL, COPY_TIME_MAX};

/// What stores do differently.
#[async_trait]
pub(crate) trait Copier: fmt::Debug + Send + Sync + 'static {
    /// Makes a copy; it is whole on return.
    async fn copy(&self, path: &StoragePath, from: &Path, to: &Path, size_bytes: u64)
    -> Result<()>;

    /// Gives up the uploads in parts below `prefix` that were begun longer ago than `older_than`
    /// and never came to their end, and names them.
    async fn abandon(
        &self,
        prefix: &str,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<Vec<String>> {
        let _ = (prefix, older_than, dry_run);
        Ok(Vec::new())
    }
}

/// One request for the whole of it.
pub(crate) struct InOne(pub(crate) Arc<dyn ObjectStore>);

impl fmt::Debug for InOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOne")
    }
}

#[async_trait]
impl Copier for InOne {
    async fn copy(&self, path: &StoragePath, from: &Path, to: &Path, _: u64) -> Result<()> {
        self.0.copy(from, to).await.map_err(|error| write_error("copy", path, error))?;
        self.wait(path, to).await
    }
}

impl InOne {
    /// Azure may answer before a copy is whole, and says so when it is asked.
    async fn wait(&self, path: &StoragePath, to: &Path) -> Result<()> {
        let started = std::time::Instant::now();
        loop {
            let head = GetOptions { head: true, ..GetOptions::default() };
            let found = self.0.get_opts(to, head).await;
            let found = found.map_err(|error| write_error("copy", path, error))?;
            match found.extensions.get::<CopyStatus>().map(|status| &*status.0) {
                None | Some("success") => return Ok(()),
                Some("pending") if started.elapsed() < COPY_TIME_MAX => {
                    tokio::time::sleep(COPY_POLL).await;
                }
                Some(status) => {
                    let why = format!("the store says that its copy is {status:?}");
                    return Err(broken("copy", path, &why));
                }
            }
        }
    }
}

/// Moves an object of a known size: a copy, and the deletion of what was copied.
pub(crate) async fn move_object(
    client: &Client,
    path: &StoragePath,
    from: &Path,
    target: &StoragePath,
    to: &Path,
    size_bytes: u64,
) -> Result<()> {
    client.store.copier.copy(target, from, to, size_bytes).await?;
    // Nothing is deleted before its copy was seen.
    let copied = client.head(target, to).await?;
    if copied.size != size_bytes {
        let why = format!("its copy has {} bytes instead of {size_bytes}", copied.size);
        return Err(broken("copy", target, &why));
    }
    client.delete(path, from).await
}
