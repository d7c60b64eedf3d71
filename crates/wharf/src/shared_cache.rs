//! From `storage.cache.blobdescriptor: redis` to the descriptor cache.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use config::{Config, DescriptorCache, Redis, RedisTls, Secret};
use redis_cache::{Options, Password, RedisCache, Tls, limits};

/// Makes the cache, if one is configured, and has a look whether Redis is there without waiting for
/// that: a registry starts without it, and the log says so.
///
/// # Errors
/// When an address or a file can't be used.
pub(crate) fn open(config: &Config) -> anyhow::Result<Option<Arc<RedisCache>>> {
    if config.storage.descriptor_cache != Some(DescriptorCache::Redis) {
        return Ok(None);
    }
    let cache = RedisCache::open(options(&config.redis)).context("storage.cache.blobdescriptor")?;
    let cache = Arc::new(cache);
    let checked = Arc::clone(&cache);
    tokio::spawn(async move { checked.check().await });
    Ok(Some(cache))
}

fn options(redis: &Redis) -> Options {
    let password = |secret: &Secret| Password::new(secret.reveal());
    let is_cluster = redis.addrs.len() > 1 && redis.master_name.is_none();
    Options {
        master_name: redis.master_name.clone(),
        username: redis.username.clone(),
        password: redis.password.as_ref().map(password),
        sentinel_username: redis.sentinel_username.clone(),
        sentinel_password: redis.sentinel_password.as_ref().map(password),
        // As Distribution's client: a cluster has one database.
        database: if is_cluster { 0 } else { i64::try_from(redis.db).unwrap_or(i64::MAX) },
        client_name: redis.client_name.clone(),
        is_resp3: redis.protocol == Some(3),
        connect_timeout: set(redis.dial_timeout).unwrap_or(limits::CONNECT_TIMEOUT),
        response_timeout: response_timeout(redis),
        retries: retries(redis.max_retries),
        retry_pause_min: set(redis.min_retry_backoff).unwrap_or(limits::RETRY_PAUSE_MIN),
        retry_pause_max: set(redis.max_retry_backoff).unwrap_or(limits::RETRY_PAUSE_MAX),
        tls: tls(&redis.tls),
        ..Options::new(redis.addrs.clone())
    }
}

/// No time at all is the default, as with Distribution's client.
fn set(configured: Option<Duration>) -> Option<Duration> {
    configured.filter(|time| !time.is_zero())
}

/// From the sending of a command to its answer.
fn response_timeout(redis: &Redis) -> Duration {
    let read = set(redis.read_timeout).unwrap_or(limits::RESPONSE_TIMEOUT);
    read.saturating_add(redis.write_timeout.unwrap_or_default())
}

/// Less than none is none; none at all is the default, as there.
fn retries(configured: Option<i64>) -> u32 {
    match configured {
        None | Some(0) => limits::RETRIES,
        Some(number) if number < 0 => 0,
        Some(number) => u32::try_from(number).unwrap_or(u32::MAX).min(limits::RETRIES_MAX),
    }
}

/// Anything that is set turns TLS on.
fn tls(configured: &RedisTls) -> Option<Tls> {
    (*configured != RedisTls::default()).then(|| Tls {
        certificate: configured.certificate.clone(),
        key: configured.key.clone(),
        authorities: configured.root_cas.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_after_the_first() {
        for (configured, expected) in [
            (None, 1),
            (Some(0), 1),
            (Some(-1), 0),
            (Some(3), 3),
            (Some(i64::MAX), 10),
            (Some(99), 10),
        ] {
            assert_eq!(retries(configured), expected, "{configured:?}");
        }
    }

    #[test]
    fn no_time_is_the_default() {
        assert_eq!(set(Some(Duration::ZERO)), None);
        assert_eq!(set(Some(Duration::from_secs(1))), Some(Duration::from_secs(1)));
    }

    #[test]
    fn tls_is_on_when_anything_is_set() {
        assert_eq!(tls(&RedisTls::default()), None);
        let authority = RedisTls { root_cas: vec!["ca.pem".into()], ..RedisTls::default() };
        assert_eq!(tls(&authority).map(|tls| tls.authorities), Some(authority.root_cas));
    }
}
