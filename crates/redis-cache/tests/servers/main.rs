//! The cache against real Redis servers, which each test starts on a free port of the loopback
//! device and ends again. Without `redis-server` on the machine nothing is tested, and that is said.
#![allow(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod cluster;
mod outages;
mod process;
mod shared;

use oci::{Algorithm, Digest, RepositoryName};
use redis_cache::{Options, RedisCache};
use registry::BlobStat;
use registry::descriptors::{DescriptorCache as _, Ticket};

use process::Server;

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn stat(content: &str) -> BlobStat {
    BlobStat { digest: digest(content), size_bytes: content.len() as u64 }
}

/// A server's view of the cache.
fn cache(server: &Server) -> RedisCache {
    RedisCache::open(Options::new(vec![server.address()])).unwrap()
}

async fn ticket(cache: &RedisCache, repository: &str) -> Ticket {
    cache.ticket(&name(repository)).await.unwrap()
}

/// Remembers a blob with a fresh ticket.
async fn remember(cache: &RedisCache, repository: &str, content: &str) {
    let ticket = ticket(cache, repository).await;
    cache.remember_blob(ticket, &name(repository), &digest(content), stat(content)).await;
}

async fn known(cache: &RedisCache, repository: &str, content: &str) -> Option<BlobStat> {
    cache.find_blob(&name(repository), &digest(content)).await.known
}
