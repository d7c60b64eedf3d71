//! What is said to Redis.
//!
//! In a cluster the keys of one command must lie together, so there is no transaction over all of
//! them: what a repository has (with its revocations) changes in one script, and what a digest
//! stands for beside it, which is true whoever asks.

use std::sync::LazyLock;

use futures_util::future::{try_join, try_join_all, try_join3};
use oci::{Digest, RepositoryName};
use redis::{RedisResult, Script, cmd, pipe};
use registry::BlobStat;
use registry::descriptors::{Found, Gone, Ticket};

use crate::connection::Connection;
use crate::keys;
use crate::limits::ENTRY_LIFETIME;

/// The media type that Distribution knows blobs by.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Remembers a member of a repository, unless its revocations have moved since the ticket. A key
/// keeps the lifetime it has: otherwise what is wrong in it would live as long as it is used.
/// KEYS: revocations, set or hash. ARGV: ticket, lifetime, digest, value for a hash.
static REMEMBER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
if ARGV[4] then redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
else redis.call('SADD', KEYS[2], ARGV[3]) end
if redis.call('TTL', KEYS[2]) < 0 then redis.call('EXPIRE', KEYS[2], ARGV[2]) end
return 1",
    )
});

/// Says what a digest stands for. KEYS: hash. ARGV: lifetime, media type, then fields and values.
static DESCRIBE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"redis.call('HSETNX', KEYS[1], 'mediatype', ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return 1",
    )
});

/// Takes digests out of a repository, or everything if there are none, and makes tickets void.
/// KEYS: revocations, set, hash. ARGV: lifetime, then digests.
static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
if #ARGV == 1 then return redis.call('DEL', KEYS[2], KEYS[3]) end
for i = 2, #ARGV do
redis.call('SREM', KEYS[2], ARGV[i])
redis.call('HDEL', KEYS[3], ARGV[i])
end
return 1",
    )
});

pub(crate) async fn ping(mut redis: Connection) -> RedisResult<()> {
    cmd("PING").query_async(&mut redis).await
}

/// Sets the connection's name.
pub(crate) async fn introduce(
    redis: &mut redis::aio::MultiplexedConnection,
    name: &str,
) -> RedisResult<()> {
    cmd("CLIENT").arg("SETNAME").arg(name).query_async(redis).await
}

/// What is known of a blob. The ticket is taken before the answer.
pub(crate) async fn find_blob(
    redis: Connection,
    name: &RepositoryName,
    digest: &Digest,
) -> RedisResult<Found<BlobStat>> {
    let mut membership = pipe();
    membership.cmd("GET").arg(keys::revocations(name));
    membership.cmd("SISMEMBER").arg(keys::blobs(name)).arg(digest.to_string());
    let mut description = cmd("HMGET");
    description.arg(keys::descriptor(digest)).arg("digest").arg("size");
    let (mut first, mut second) = (redis.clone(), redis);
    let (membership, description) = try_join(
        membership.query_async::<(Option<String>, bool)>(&mut first),
        description.query_async::<(Option<String>, Option<String>)>(&mut second),
    )
    .await?;
    let (revocations, is_member) = membership;
    let known = is_member.then(|| described(description)).flatten();
    Ok(Found { known, ticket: parse_ticket(revocations) })
}

/// What is not as it should be is not known.
fn described((canonical, size): (Option<String>, Option<String>)) -> Option<BlobStat> {
    let digest = Digest::parse(&canonical?).ok()?;
    Some(BlobStat { digest, size_bytes: size?.parse().ok()? })
}

fn parse_ticket(revocations: Option<String>) -> Option<Ticket> {
    revocations.map_or(Some(0), |count| count.parse().ok()).map(Ticket)
}

/// What is known of a revision. The ticket is taken before the answer.
pub(crate) async fn find_manifest(
    mut redis: Connection,
    name: &RepositoryName,
    digest: &Digest,
) -> RedisResult<Found<Digest>> {
    let mut asked = pipe();
    asked.cmd("GET").arg(keys::revocations(name));
    asked.cmd("HGET").arg(keys::manifests(name)).arg(digest.to_string());
    let (revocations, canonical): (Option<String>, Option<String>) =
        asked.query_async(&mut redis).await?;
    let known = canonical.and_then(|text| Digest::parse(&text).ok());
    Ok(Found { known, ticket: parse_ticket(revocations) })
}

/// How many revocations there were.
pub(crate) async fn ticket(
    mut redis: Connection,
    name: &RepositoryName,
) -> RedisResult<Option<Ticket>> {
    let count = cmd("GET").arg(keys::revocations(name)).query_async(&mut redis).await?;
    Ok(parse_ticket(count))
}

/// Remembers a blob, as Distribution would.
pub(crate) async fn remember_blob(
    redis: Connection,
    ticket: Ticket,
    name: &RepositoryName,
    digest: &Digest,
    stat: BlobStat,
) -> RedisResult<()> {
    let (lifetime, text) = (ENTRY_LIFETIME.as_secs(), digest.to_string());
    let mut anywhere = DESCRIBE.key(keys::descriptor(digest));
    anywhere.arg(lifetime).arg(MEDIA_TYPE);
    anywhere.arg("digest").arg(stat.digest.to_string()).arg("size").arg(stat.size_bytes);
    let mut here = DESCRIBE.key(keys::repository_descriptor(name, digest));
    here.arg(lifetime).arg(MEDIA_TYPE);
    let mut member = REMEMBER.key(keys::revocations(name));
    member.key(keys::blobs(name)).arg(ticket.0).arg(lifetime).arg(text);
    let (mut first, mut second, mut third) = (redis.clone(), redis.clone(), redis);
    let sent = try_join3(
        anywhere.invoke_async::<i64>(&mut first),
        here.invoke_async::<i64>(&mut second),
        member.invoke_async::<i64>(&mut third),
    );
    sent.await.map(|_| ())
}

/// Remembers a revision.
pub(crate) async fn remember_manifest(
    mut redis: Connection,
    ticket: Ticket,
    name: &RepositoryName,
    digest: &Digest,
    canonical: &Digest,
) -> RedisResult<()> {
    let mut member = REMEMBER.key(keys::revocations(name));
    member.key(keys::manifests(name)).arg(ticket.0).arg(ENTRY_LIFETIME.as_secs());
    member.arg(digest.to_string()).arg(canonical.to_string());
    member.invoke_async::<i64>(&mut redis).await.map(|_| ())
}

/// Takes digests out of a repository.
pub(crate) async fn revoke(
    redis: Connection,
    name: &RepositoryName,
    digests: &[Digest],
    gone: Gone,
) -> RedisResult<()> {
    let mut deletions = Vec::new();
    for digest in digests {
        deletions.push(keys::repository_descriptor(name, digest));
        if gone == Gone::FromStorage {
            deletions.push(keys::descriptor(digest));
        }
    }
    let deletions = deletions.into_iter().map(|key| {
        let mut redis = redis.clone();
        async move { cmd("DEL").arg(key).query_async::<i64>(&mut redis).await }
    });
    try_join(revoke_members(redis.clone(), name, digests), try_join_all(deletions)).await?;
    Ok(())
}

/// Takes everything out of a repository.
pub(crate) async fn revoke_all(redis: Connection, name: &RepositoryName) -> RedisResult<()> {
    revoke_members(redis, name, &[]).await
}

async fn revoke_members(
    mut redis: Connection,
    name: &RepositoryName,
    digests: &[Digest],
) -> RedisResult<()> {
    let mut members = REVOKE.key(keys::revocations(name));
    members.key(keys::blobs(name)).key(keys::manifests(name)).arg(ENTRY_LIFETIME.as_secs());
    for digest in digests {
        members.arg(digest.to_string());
    }
    members.invoke_async::<i64>(&mut redis).await.map(|_| ())
}
