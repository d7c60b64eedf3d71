//! From the configuration to the options of the registry and the server.

use std::num::NonZeroU32;

use anyhow::Context as _;
use config::{Config, DescriptorCache};
use http::{HeaderMap, HeaderName, HeaderValue};
use registry::{IndexPlatforms, MissingReferences, Redirects, UrlRules, Validation};
use server::{
    Deletion, FreeSpaceMin, HostUrl, NotRedirected, PathPrefix, RateLimit, RateLimitBy, Secret,
    ServerOptions,
};

/// How the domain behaves.
pub(crate) fn registry(config: &Config) -> registry::Options {
    let entries = usize::try_from(config.storage.descriptor_cache_size).unwrap_or(usize::MAX);
    let concurrency = usize::try_from(config.storage.tag_concurrency_limit).unwrap_or(usize::MAX);
    registry::Options {
        validation: validation(config),
        tag_lookup_concurrency: match concurrency {
            // As in Distribution: as many as there are processors.
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            limit => limit,
        },
        manifest_cache_entries: match (config.storage.descriptor_cache, entries) {
            (None, _) => 0,
            // Redis has no size; what manifests say is kept in memory beside it.
            (Some(DescriptorCache::Redis), _) => registry::limits::MANIFEST_CACHE_ENTRIES,
            // Unlimited: the cache is bounded by its bytes all the same.
            (Some(DescriptorCache::InMemory), 0) => usize::MAX,
            (Some(DescriptorCache::InMemory), entries) => entries,
        },
        // Clients are sent elsewhere by the server alone: `redirects::open`.
        redirects: Redirects::default(),
        grace: config.storage.gc.grace,
        record_pulls: crate::retention::asks_for_pulls(&config.retention)
            || crate::evicting::is_wanted(config),
        renew_tags: crate::retention::asks_for_pushes(&config.retention),
    }
}

fn validation(config: &Config) -> Validation {
    let rules = &config.validation;
    let url_rules = || UrlRules { allow: rules.url_allow.clone(), deny: rules.url_deny.clone() };
    let platforms = || match &rules.index_platforms {
        config::IndexPlatforms::All => IndexPlatforms::All,
        config::IndexPlatforms::None => IndexPlatforms::None,
        config::IndexPlatforms::List(list) => IndexPlatforms::List(
            list.iter()
                .map(|p| oci::Platform { architecture: p.architecture.clone(), os: p.os.clone() })
                .collect(),
        ),
    };
    Validation {
        urls: rules.enabled.then(url_rules),
        index_platforms: if rules.enabled { platforms() } else { IndexPlatforms::None },
        missing_references: match rules.references {
            config::ReferencePolicy::Strict => MissingReferences::Refuse,
            config::ReferencePolicy::Lenient => MissingReferences::Accept,
        },
        repository_classes: config.policy.repository_classes.clone(),
    }
}

/// How the HTTP API behaves.
///
/// # Errors
/// When a value that the configuration let pass is not usable after all.
pub(crate) fn server(config: &Config) -> anyhow::Result<ServerOptions> {
    let http = &config.http;
    let host = http.host.as_deref().filter(|h| !h.is_empty());
    let limits = &http.limits;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(ServerOptions {
        host: host.map(HostUrl::parse).transpose()?,
        prefix: PathPrefix::parse(&http.prefix)?,
        relative_urls: http.relative_urls,
        headers: headers(&http.headers)?,
        secret: match &http.secret {
            Some(secret) => Secret::new(secret.reveal()),
            None => Secret::new(random_key()),
        },
        read_only: config.storage.read_only,
        deletion: deletion(config.storage.deletion),
        free_space_min: free_space_min(config.storage.free_space),
        catalog_entries_max: count(config.catalog.max_entries),
        tags_max: count(config.tags.max_tags),
        chunk_min_length_bytes: http.chunk_min_length_bytes,
        h2c_enabled: http.h2c,
        http2_disabled: !http.http2,
        connections_max: count(limits.connections),
        connections_per_address_max: limits.connections_per_address.map_or(0, count),
        handshake_timeout: limits.handshake_timeout,
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        body_idle_timeout: limits.body_timeout,
        write_timeout: limits.write_timeout,
        manifest_size_bytes_max: limits.manifest_size_bytes,
        rate_limit: http.rate_limit.as_ref().and_then(rate_limit),
        trusted_proxies: http.trusted_proxies.clone(),
        not_redirected: NotRedirected {
            networks: config.storage.redirect_except_networks.clone(),
            user_agents: config.storage.redirect_except_user_agents.clone(),
        },
        drain_timeout: http.drain_timeout,
    })
}

fn deletion(deletion: config::Deletion) -> Deletion {
    let config::Deletion { tags, manifests, blobs, repositories } = deletion;
    Deletion { tags, manifests, blobs, repositories }
}

/// How much of the volume is to stay free.
pub(crate) const fn free_space_min(min: config::FreeSpace) -> FreeSpaceMin {
    match min {
        config::FreeSpace::Default => FreeSpaceMin::Default,
        config::FreeSpace::Bytes(bytes) => FreeSpaceMin::Bytes(bytes),
        config::FreeSpace::Millionths(millionths) => FreeSpaceMin::Millionths(millionths),
    }
}

/// An allowance of no request at all is no limit.
fn rate_limit(limit: &config::RateLimit) -> Option<RateLimit> {
    Some(RateLimit {
        requests: NonZeroU32::new(limit.requests)?,
        period: limit.period,
        burst: NonZeroU32::new(limit.burst)?,
        by: if limit.by_user { RateLimitBy::User } else { RateLimitBy::Address },
    })
}

fn headers(configured: &[(String, Vec<String>)]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in configured {
        let key = HeaderName::from_bytes(name.as_bytes())
            .with_context(|| format!("http.headers: {name:?} is not a header name"))?;
        for value in values {
            let value = HeaderValue::from_str(value)
                .with_context(|| format!("http.headers.{name}: not a header value"))?;
            headers.append(key.clone(), value);
        }
    }
    Ok(headers)
}

/// A key that only this process knows. Nothing depends on it: see `_state` in `docs/api.md`.
fn random_key() -> Vec<u8> {
    [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].iter().flat_map(|id| *id.as_bytes()).collect()
}
