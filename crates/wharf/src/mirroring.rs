//! The mirror of other registries, as the configuration wants it.

use std::sync::Arc;

use anyhow::Context as _;
use config::Config;
use proxy::{Coverage, Covering, Mirror, NameRules, Policy, Prefetch, Upstream};
use registry::Registry;
use registry::collection::Selection;
use tracing::info;

use crate::remotes::{self, patterns};

/// An image that is larger than this part of `maxsize` is not fetched ahead: what is in use would go
/// because of it.
const PREFETCH_PART_OF_MAXSIZE: u64 = 4;

/// The mirror; none when no upstream is configured.
///
/// # Errors
/// When an upstream can't be used, with its name and the reason.
pub(crate) fn open(
    config: &Config,
    registry: &Arc<Registry>,
) -> anyhow::Result<Option<Arc<Mirror>>> {
    let proxy = &config.proxy;
    if proxy.upstreams.is_empty() {
        return Ok(None);
    }
    let upstreams = proxy.upstreams.iter().map(|upstream| {
        let asked = client(upstream).with_context(|| format!("proxy: {}", upstream.name))?;
        Ok(covering(proxy, upstream, Arc::new(asked)))
    });
    let upstreams = upstreams.collect::<anyhow::Result<Vec<_>>>()?;
    let local = patterns(&proxy.local).context("proxy.local")?;
    let unattended = proxy.cache_write_timeout;
    let mirror =
        Mirror::new(Arc::clone(registry), upstreams, local, unattended).context("proxy")?;
    Ok(Some(Arc::new(mirror)))
}

/// What is mirrored, for who only has to know that; none when no upstream is configured.
///
/// # Errors
/// When upstreams or patterns that the configuration let pass can't be used.
pub(crate) fn coverage(config: &Config) -> anyhow::Result<Option<Coverage<()>>> {
    let proxy = &config.proxy;
    if proxy.upstreams.is_empty() {
        return Ok(None);
    }
    let upstreams = proxy.upstreams.iter().map(|upstream| covering(proxy, upstream, ())).collect();
    let local = patterns(&proxy.local).context("proxy.local")?;
    Ok(Some(Coverage::new(upstreams, local).context("proxy")?))
}

/// The repositories that are mirrored; none when there is no mirror.
///
/// # Errors
/// As [`coverage`].
pub(crate) fn selection(config: &Config) -> anyhow::Result<Option<Selection>> {
    let coverage = coverage(config)?;
    Ok(coverage.map(|coverage| -> Selection { Arc::new(move |name| coverage.covers(name)) }))
}

/// Says in the log what is mirrored.
pub(crate) fn announce(config: &Config) {
    for config::Upstream { name, prefix, ns, .. } in &config.proxy.upstreams {
        info!(upstream = name, prefix, ns = ns.join(","), "upstream is mirrored");
    }
}

/// Whether anything is fetched ahead of clients.
pub(crate) fn fetches_ahead(config: &Config) -> bool {
    let is_wanted = |upstream: &config::Upstream| {
        upstream.caching.prefetch != config::Prefetch::Nothing && !upstream.caching.offline
    };
    config.proxy.upstreams.iter().any(is_wanted)
}

fn covering<U>(proxy: &config::Proxy, upstream: &config::Upstream, asked: U) -> Covering<U> {
    let config::Caching { ttl, tag_ttl, negative_ttl, stale_if_error, offline, prefetch } =
        upstream.caching;
    Covering {
        upstream: asked,
        prefix: upstream.prefix.clone(),
        namespaces: upstream.ns.clone(),
        policy: Policy {
            tag_ttl,
            negative_ttl,
            stale_if_error: Some(stale_if_error),
            ttl,
            offline,
            forward_auth: upstream.forward_auth,
            prefetch: match prefetch {
                config::Prefetch::Nothing => Prefetch::Nothing,
                config::Prefetch::Layers => Prefetch::Layers,
                config::Prefetch::All => Prefetch::All,
            },
            prefetch_bytes_max: proxy.size_bytes_max.map(|max| max / PREFETCH_PART_OF_MAXSIZE),
        },
    }
}

fn client(upstream: &config::Upstream) -> anyhow::Result<Upstream> {
    let rewrite = upstream.rewrite.iter().map(|rule| (rule.from.clone(), rule.to.clone()));
    let names = NameRules {
        library: upstream.library,
        rewrite: rewrite.collect(),
        allow: patterns(&upstream.allow)?,
        deny: patterns(&upstream.deny)?,
    };
    remotes::client(&upstream.name, &upstream.remote, names)
}
