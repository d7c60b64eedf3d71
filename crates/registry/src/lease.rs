//! One at a time, of those that may be in different processes and on different machines.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use storage::{Appender, StorageError, StoragePath};
use tokio::time::Instant;
use uuid::Uuid;

use crate::limits::LEASE_LIFE;
use crate::{Registry, Result};

/// The right to do something that only one may do at a time, as collecting: that which is named by
/// the lease's path. Ends with the process.
///
/// Where a file can be locked, the lock is held. On an object store the holder writes its name again
/// and again; one that was not heard of for [`LEASE_LIFE`] has lost it. Two may still believe
/// themselves the holder for a moment, so what they do has to be safe without it, too. Of two
/// collectors, each looks before every batch, and what they do is safe by the pins alone: at most an
/// announcement is overwritten, which its collector notices.
#[derive(Debug)]
pub struct Lease {
    path: StoragePath,
    id: Uuid,
    renewed: Instant,
    /// Held, and never looked at: in a mutex for the sake of those who share the lease.
    lock: Option<Mutex<Box<dyn Appender>>>,
}

/// After this time it is renewed.
const RENEWED_AFTER: Duration = Duration::from_secs(15);

/// How long it takes at most until two that write at the same time see each other.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// What is read of a lease at most, in bytes.
const BYTES_MAX: u64 = 256;

impl Lease {
    /// Takes the lease at a path; `None` when somebody has it.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn acquire(registry: &Registry, path: StoragePath) -> Result<Option<Self>> {
        let id = Uuid::new_v4();
        let mut lease = Self { path, id, renewed: Instant::now(), lock: None };
        if !registry.driver.is_remote() {
            match registry.driver.append(&lease.path).await {
                Ok(lock) => lease.lock = Some(Mutex::new(lock)),
                Err(StorageError::Busy { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            return Ok(Some(lease));
        }
        match registry.driver.stat(&lease.path).await {
            Ok(stat) => {
                let now = registry.claims.clock().now();
                if now.duration_since(stat.modified).is_ok_and(|age| age < LEASE_LIFE) {
                    return Ok(None);
                }
            }
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        lease.write(registry).await?;
        tokio::time::sleep(SETTLES_WITHIN).await;
        Ok(lease.is_ours(registry).await?.then_some(lease))
    }

    async fn write(&mut self, registry: &Registry) -> Result<()> {
        let content = Bytes::from(self.id.to_string());
        registry.driver.put(&self.path, content).await?;
        self.renewed = Instant::now();
        Ok(())
    }

    async fn is_ours(&self, registry: &Registry) -> Result<bool> {
        match registry.driver.get(&self.path, BYTES_MAX).await {
            Ok(content) => Ok(*content == *self.id.to_string().as_bytes()),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is still held; renews it in time. One that nobody took after its [`LEASE_LIFE`] is
    /// held as well: whoever takes it writes over the name, and sees it if that is written over.
    ///
    /// # Errors
    /// [`crate::Error::Storage`], after which it may be asked again.
    pub async fn holds(&mut self, registry: &Registry) -> Result<bool> {
        if self.lock.is_some() || self.renewed.elapsed() < RENEWED_AFTER {
            return Ok(true);
        }
        if !self.is_ours(registry).await? {
            return Ok(false);
        }
        self.write(registry).await?;
        Ok(true)
    }

    /// Gives it back.
    pub async fn release(self, registry: &Registry) {
        if self.lock.is_none() && self.is_ours(registry).await.is_ok_and(|ours| ours) {
            storage::delete_remains(&*registry.driver, &self.path).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Options, layout};

    #[tokio::test(start_paused = true)]
    async fn it_is_held_until_somebody_else_takes_it() {
        let (one, other) = objects::testing::replicas();
        let [one, other] = [one, other].map(|d| Registry::new(Arc::new(d), Options::default()));
        let mut lease = Lease::acquire(&one, layout::collection_lease()).await.unwrap().unwrap();
        assert!(Lease::acquire(&other, layout::collection_lease()).await.unwrap().is_none());
        // A long time in which it had no reason to look.
        tokio::time::advance(10 * LEASE_LIFE).await;
        assert!(lease.holds(&one).await.unwrap());
        let taken = Bytes::from(Uuid::new_v4().to_string());
        other.driver.put(&layout::collection_lease(), taken).await.unwrap();
        assert!(lease.holds(&one).await.unwrap(), "it was renewed just now");
        tokio::time::advance(RENEWED_AFTER).await;
        assert!(!lease.holds(&one).await.unwrap());
    }
}
