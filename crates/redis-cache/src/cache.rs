//! The cache itself: when Redis is asked, and when it is believed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use oci::{Digest, RepositoryName};
use prometheus_client::registry::Registry as MetricsRegistry;
use redis::RedisResult;
use registry::BlobStat;
use registry::descriptors::{DescriptorCache, DescriptorCacheStats, Found, Gone, Ticket};

use crate::availability::Availability;
use crate::commands;
use crate::connection::{Connection, Link};
use crate::error::OpenError;
use crate::limits::{ENTRY_LIFETIME, RESEND_PAUSE};
use crate::metrics::{Operation, Timings};
use crate::options::Options;
use crate::pending::{Pending, Trust};

/// A descriptor cache in Redis.
pub struct RedisCache {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    availability: Availability,
    pending: Pending,
    /// Whether a task sends what is pending.
    is_resending: AtomicBool,
    requests: AtomicU64,
    hits: AtomicU64,
    errors: AtomicU64,
    timings: Timings,
}

impl RedisCache {
    /// A cache that connects when it is first asked. Redis need not be there.
    ///
    /// # Errors
    /// When an option makes no sense or a file can't be read.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let inner = Inner {
            link: Link::new(options)?,
            availability: Availability::default(),
            pending: Pending::default(),
            is_resending: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            timings: Timings::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Looks whether Redis is there, and says so in the log if it is not. Nobody need wait for it.
    pub async fn check(&self) {
        if let Err(error) = self.inner.link.call(commands::ping).await
            && self.inner.availability.give_up(Instant::now())
        {
            warn_of_absence(&error);
        }
    }

    /// Registers `registry_storage_cache_redis_seconds`.
    pub fn register_metrics(&self, registry: &mut MetricsRegistry) {
        self.inner.timings.register(registry);
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").finish_non_exhaustive()
    }
}

fn warn_of_absence(error: &dyn fmt::Display) {
    tracing::warn!(%error, "Redis can't be had: descriptors are looked up in the storage meanwhile");
}

impl Inner {
    /// Has Redis do something, unless it was given up. `None` when nothing came of it.
    async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        operation: Operation,
        call: impl FnMut(Connection) -> F,
    ) -> Option<T> {
        let started = Instant::now();
        if !self.availability.admits(started) {
            return None;
        }
        let outcome = self.link.call(call).await;
        self.timings.observe(operation, started.elapsed());
        match outcome {
            Ok(answer) => {
                if self.availability.succeeded() {
                    tracing::info!("Redis is back");
                }
                Some(answer)
            }
            Err(error) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, ?operation, "Redis failed");
                if self.availability.failed(Instant::now()) {
                    warn_of_absence(&error);
                }
                None
            }
        }
    }

    /// Whether Redis may be believed about a repository, after what is pending was sent.
    async fn is_trusted(&self, name: &RepositoryName) -> bool {
        match self.pending.trust(name, Instant::now()) {
            Trust::Now => true,
            Trust::AfterSending(number) => self.resend(name, number).await,
            Trust::NotYet => false,
        }
    }

    /// Drops everything of a repository. Returns whether that was done.
    async fn resend(&self, name: &RepositoryName, number: u64) -> bool {
        let call = |redis| commands::revoke_all(redis, name);
        let is_sent = self.ask(Operation::Clear, call).await.is_some();
        if is_sent {
            self.pending.sent(name, number);
        }
        is_sent
    }

    /// Sends what is pending until nothing is: other servers believe Redis meanwhile.
    async fn resend_all(&self) {
        loop {
            while let Some((name, number)) = self.pending.next() {
                if !self.resend(&name, number).await {
                    tokio::time::sleep(RESEND_PAUSE).await;
                }
            }
            self.is_resending.store(false, Ordering::SeqCst);
            // Somebody may have added one and seen this task still at work.
            if self.pending.next().is_none() {
                tracing::info!("nothing is left that Redis has to be told of");
                return;
            }
            if self.is_resending.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    async fn find<T, F: Future<Output = RedisResult<Found<T>>>>(
        &self,
        name: &RepositoryName,
        call: impl FnMut(Connection) -> F,
    ) -> Found<T> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.is_trusted(name).await {
            return Found::NOTHING;
        }
        let found = self.ask(Operation::Stat, call).await.unwrap_or(Found::NOTHING);
        self.hits.fetch_add(found.known.is_some().into(), Ordering::Relaxed);
        found
    }
}

#[async_trait]
impl DescriptorCache for RedisCache {
    async fn find_blob(&self, name: &RepositoryName, digest: &Digest) -> Found<BlobStat> {
        self.inner.find(name, |redis| commands::find_blob(redis, name, digest)).await
    }

    async fn find_manifest(&self, name: &RepositoryName, digest: &Digest) -> Found<Digest> {
        let call = |redis| commands::find_manifest(redis, name, digest);
        self.inner.find(name, call).await
    }

    async fn ticket(&self, name: &RepositoryName) -> Option<Ticket> {
        if !self.inner.is_trusted(name).await {
            return None;
        }
        let call = |redis| commands::ticket(redis, name);
        self.inner.ask(Operation::Stat, call).await.flatten()
    }

    async fn remember_blob(
        &self,
        ticket: Ticket,
        name: &RepositoryName,
        digest: &Digest,
        stat: BlobStat,
    ) {
        let call = |redis| commands::remember_blob(redis, ticket, name, digest, stat);
        self.inner.ask(Operation::SetDescriptor, call).await;
    }

    async fn remember_manifest(
        &self,
        ticket: Ticket,
        name: &RepositoryName,
        digest: &Digest,
        canonical: &Digest,
    ) {
        let call = |redis| commands::remember_manifest(redis, ticket, name, digest, canonical);
        self.inner.ask(Operation::SetDescriptor, call).await;
    }

    async fn revoke(&self, name: &RepositoryName, digests: &[Digest], gone: Gone) {
        let call = |redis| commands::revoke(redis, name, digests, gone);
        if self.inner.ask(Operation::Clear, call).await.is_some() {
            return;
        }
        if self.inner.pending.add(name, Instant::now()) {
            tracing::warn!(
                lifetime_secs = ENTRY_LIFETIME.as_secs(),
                "too many deletes could not be told to Redis: it is not believed until its entries \
                 have expired; FLUSHDB it if Distribution writes to it too"
            );
        }
        if !self.inner.is_resending.swap(true, Ordering::SeqCst) {
            tracing::warn!(
                repository = %name,
                "Redis could not be told of a delete: it is told later, and not believed about the \
                 repository before; other servers may show until then what was deleted"
            );
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move { inner.resend_all().await });
        }
    }

    fn stats(&self) -> DescriptorCacheStats {
        DescriptorCacheStats {
            requests: self.inner.requests.load(Ordering::Relaxed),
            hits: self.inner.hits.load(Ordering::Relaxed),
            errors: self.inner.errors.load(Ordering::Relaxed),
            is_available: self.inner.availability.is_available(),
        }
    }
}
