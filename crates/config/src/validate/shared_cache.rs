//! `redis`: what is missing, and what Distribution's client has a use for and this one has not.

use crate::{
    diagnostic::{Findings, Origin},
    scalar,
    tree::Node,
};

use super::{NOWHERE, is_set, is_true, pair};

const POOL: &str = "has no effect: all requests share one connection";
const REPLICAS: &str = "has no effect: only masters are asked, since a replica may not know yet \
                        that something was deleted";

/// Keys without effect when they are written, and why.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("poolsize", POOL),
    ("pooltimeout", POOL),
    ("minidleconns", POOL),
    ("maxidleconns", POOL),
    ("maxactiveconns", POOL),
    ("connmaxidletime", POOL),
    ("connmaxlifetime", POOL),
    ("maxredirects", "has no effect: `maxretries` bounds the redirects of a cluster too"),
    ("identitysuffix", "has no effect; name the connection with `clientname`"),
];

/// Switches without effect when they are on, and why.
const SWITCHES: &[(&str, &str)] = &[
    ("poolfifo", POOL),
    ("contexttimeoutenabled", "has no effect: Redis is never waited for beyond its timeouts"),
    ("readonly", REPLICAS),
    ("routebylatency", REPLICAS),
    ("routerandomly", REPLICAS),
    ("disableidentity", "has no effect: a server that does not know the command is no problem"),
    ("unstableresp3", "has no effect: there are no unstable answers"),
];

/// Whether a key never has an effect, for the documentation.
#[cfg(test)]
pub(crate) fn is_without_effect(path: &str) -> bool {
    let all = WITHOUT_EFFECT.iter().chain(SWITCHES);
    let Some(key) = path.strip_prefix("redis.") else { return false };
    key == "pool" || key.starts_with("pool.") || all.into_iter().any(|(name, _)| key == *name)
}

/// Checks the section; `is_cache` says whether descriptors are cached in it, which is its only use.
pub(super) fn check(root: &Node, is_cache: bool, findings: &mut Findings) {
    let Some(redis) = root.get("redis") else { return };
    if let Some(tls) = redis.get("tls") {
        pair(tls, "redis.tls", findings);
    }
    if !is_cache {
        if let Some(addresses) = redis.get("addrs").filter(|_| is_set(redis, "addrs")) {
            let message = "has no effect without `storage.cache.blobdescriptor: redis`";
            findings.warning(&addresses.origin, "redis.addrs", message);
        }
        return;
    }
    let mut warn = |name: &str, message: &str| {
        let origin = redis.get(name).map_or(&NOWHERE, |node| &node.origin);
        findings.warning(origin, &format!("redis.{name}"), message);
    };
    for (name, message) in WITHOUT_EFFECT {
        if is_set(redis, name) {
            warn(name, message);
        }
    }
    for (name, message) in SWITCHES {
        if is_true(redis.get(name)) {
            warn(name, message);
        }
    }
    let text = |name: &str| redis.get(name).and_then(Node::as_text).unwrap_or_default();
    if is_set(redis, "protocol") && !matches!(scalar::integer(text("protocol")), Some(2 | 3)) {
        warn("protocol", "is no version of the protocol that is spoken: 2 or 3; 2 is used");
    }
    let is_sentinel = is_set(redis, "mastername");
    for name in ["sentinelusername", "sentinelpassword"] {
        if is_set(redis, name) && !is_sentinel {
            warn(name, "has no effect without `mastername`");
        }
    }
    let is_cluster = !is_sentinel && redis.get("addrs").is_some_and(|list| list.items().len() > 1);
    if is_cluster && is_set(redis, "clientname") {
        warn("clientname", "has no effect in a cluster, which several `addrs` stand for");
    }
    let has_database = redis.get("db").is_some_and(|node| node.origin != Origin::Builtin)
        && scalar::integer(text("db")) != Some(0);
    if is_cluster && has_database {
        warn("db", "has no effect in a cluster, which has only database 0");
    }
}
