//! What concerns more than one key: versions, old spellings, choices that exclude each other.

use crate::{
    complete::quoted,
    diagnostic::{Findings, Origin},
    scalar,
    sections::{auth, http::Listen, redis, storage, when},
    tree::{Entry, Node, Value},
};

mod middleware;
mod proxy;
mod remote;
mod retention;
mod shared_cache;
mod sync;
#[cfg(test)]
pub(crate) use shared_cache::is_without_effect;

const NOWHERE: Origin = Origin::File { line: 1, column: 1 };

/// The version must be there and be the one that exists.
pub(crate) fn version(root: &Node, findings: &mut Findings) {
    let version = root.get("version");
    let origin = version.map_or(&NOWHERE, |node| &node.origin);
    let text = version.filter(|node| !node.is_null()).and_then(Node::as_text).unwrap_or_default();
    if text != "0.1" {
        let message =
            format!("unsupported version: {text:?}; the first line must be `version: 0.1`");
        findings.error(origin, "version", message);
    }
}

/// Moves keys of older versions to where they are today, unless today's are set.
pub(crate) fn replace_old_keys(root: &mut Node, findings: &mut Findings) {
    let is_set = |node: Option<&Node>| node.is_some_and(|node| !node.is_null());
    if let Some(Entry { origin, node, .. }) =
        root.remove("loglevel").filter(|old| !old.node.is_null())
    {
        if is_set(root.at("log.level")) {
            findings.warning(&origin, "loglevel", "`log.level` is set and wins over this old key");
        } else {
            *root.child("log", &origin).child("level", &origin) = node;
        }
    }
    let Some(redis) = root.get("redis").filter(|redis| redis.get("pool").is_some()) else { return };
    let mut redis = redis.clone();
    let Some(mut pool) = redis.remove("pool") else { return };
    for (old, new) in redis::POOL_SUCCESSORS {
        if let Some(entry) = pool.node.remove(old)
            && !is_set(redis.get(new))
        {
            *redis.child(new, &entry.origin) = entry.node;
        }
    }
    let origin = pool.origin;
    *root.child("redis", &origin) = redis;
}

/// Checks a completed tree as a whole.
pub(crate) fn whole(root: &Node, findings: &mut Findings) {
    storage(root, findings);
    auth(root, findings);
    http(root, findings);
    maintenance(root, findings);
    collection(root, findings);
    retention::check(root, findings);
    cache(root, findings);
    middleware::check(root, findings);
    proxy::check(root, findings);
    sync::check(root, findings);
    endpoints(root, findings);
    platforms(root, findings);
    without_effect(root, findings);
}

fn storage(root: &Node, findings: &mut Findings) {
    let Some(storage) = root.get("storage") else { return };
    let drivers = chosen(storage, storage::DRIVERS);
    match drivers.as_slice() {
        [] => {
            let message = "no storage configuration provided; name one driver, such as \
                           `filesystem` with its `rootdirectory`";
            let origin = if storage.origin == Origin::Builtin { &NOWHERE } else { &storage.origin };
            findings.error(origin, "storage", message);
        }
        [driver] => required_parameters(driver, findings),
        [..] => several("storage", "storage driver", &drivers, findings),
    }
}

/// The entries of a section that choose something.
fn chosen<'n>(section: &'n Node, choices: &[&str]) -> Vec<&'n Entry> {
    section.entries().iter().filter(|entry| choices.contains(&entry.key.as_str())).collect()
}

/// More than one driver or auth type. When a variable brought one in beside the file's, the way
/// out is the variable that replaces the whole section.
fn several(section: &str, what: &str, chosen: &[&Entry], findings: &mut Findings) {
    let described: Vec<String> = chosen
        .iter()
        .map(|entry| format!("`{}` ({})", entry.key, findings.location(&entry.origin)))
        .collect();
    let mut message =
        format!("must name exactly one {what}, but there are {}", described.join(" and "));
    let added = chosen.iter().find(|entry| matches!(entry.origin, Origin::Variable(_)));
    let Some(last) = added.or(chosen.last()) else { return };
    if added.is_some() {
        let variable = section.to_ascii_uppercase();
        message += &format!(
            "; to use `{0}` set REGISTRY_{variable}={0} too, which replaces the whole `{section}` \
             section",
            last.key
        );
    }
    findings.error(&last.origin, section, message);
}

fn required_parameters(driver: &Entry, findings: &mut Findings) {
    let required: &[&str] = match driver.key.as_str() {
        "s3" | "s3aws" => &["bucket"],
        "azure" => &["accountname", "container"],
        "gcs" => &["bucket"],
        _ => &[],
    };
    require(driver, "storage", required, findings);
    let is_s3 = matches!(driver.key.as_str(), "s3" | "s3aws");
    if is_s3 && !is_set(&driver.node, "region") && !is_set(&driver.node, "regionendpoint") {
        let key = format!("storage.{}.region", driver.key);
        findings.error(&driver.origin, &key, "must be set, unless `regionendpoint` is");
    }
}

fn require(entry: &Entry, section: &str, required: &[&str], findings: &mut Findings) {
    for name in required {
        if !is_set(&entry.node, name) {
            findings.error(
                &entry.origin,
                &format!("{section}.{}.{name}", entry.key),
                "must be set",
            );
        }
    }
}

/// Whether a key has a value that isn't empty.
pub(crate) fn is_set(node: &Node, name: &str) -> bool {
    node.get(name).is_some_and(|node| match &node.value {
        Value::Scalar(scalar) => !scalar.text.is_empty(),
        Value::Sequence(items) => !items.is_empty(),
        Value::Mapping(entries) => !entries.is_empty(),
    })
}

fn is_true(node: Option<&Node>) -> bool {
    node.and_then(Node::as_text).and_then(scalar::boolean) == Some(true)
}

fn auth(root: &Node, findings: &mut Findings) {
    let Some(auth) = root.get("auth") else { return };
    match chosen(auth, auth::TYPES).as_slice() {
        [] => {}
        [entry] => {
            let required: &[&str] = match entry.key.as_str() {
                "silly" => &["realm", "service"],
                "htpasswd" => &["realm", "path"],
                "token" => &["realm", "service", "issuer"],
                _ => &[],
            };
            require(entry, "auth", required, findings);
            let has_keys = is_set(&entry.node, "rootcertbundle") || is_set(&entry.node, "jwks");
            if entry.key == "token" && !has_keys {
                let message = "must be set, unless `jwks` is";
                findings.error(&entry.origin, "auth.token.rootcertbundle", message);
            }
        }
        types => several("auth", "auth type", types, findings),
    }
}

fn http(root: &Node, findings: &mut Findings) {
    let Some(http) = root.get("http") else { return };
    let addr = http.get("addr");
    let text = addr.and_then(Node::as_text).unwrap_or_default();
    let origin = addr.map_or(&NOWHERE, |node| &node.origin);
    if http.get("net").and_then(Node::as_text) == Some("unix") {
        if text.is_empty() {
            findings.error(origin, "http.addr", "must be a path when `net` is unix");
        }
    } else if let Err(error) = Listen::parse_tcp(text) {
        findings.error(origin, "http.addr", quoted(text, &error));
    }
    if let Some(debug) = http.at("debug.addr")
        && let Some(text) = debug.as_text()
        && let Err(error) = Listen::parse_tcp(text)
    {
        findings.error(&debug.origin, "http.debug.addr", quoted(text, &error));
    }
    if let Some(enabled) = http.at("debug.prometheus.enabled")
        && is_true(Some(enabled))
        && !http.get("debug").is_some_and(|debug| is_set(debug, "addr"))
    {
        let message = "has no effect without `http.debug.addr`";
        findings.warning(&enabled.origin, "http.debug.prometheus.enabled", message);
    }
    if let Some(tls) = http.get("tls") {
        self::tls(tls, findings);
    }
}

/// A certificate and its key go together.
fn pair(tls: &Node, path: &str, findings: &mut Findings) {
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        if is_set(tls, one) && !is_set(tls, other) {
            let origin = tls.get(one).map_or(&NOWHERE, |node| &node.origin);
            let message = format!("must be set too, as `{one}` is");
            findings.error(origin, &format!("{path}.{other}"), message);
        }
    }
}

fn tls(tls: &Node, findings: &mut Findings) {
    pair(tls, "http.tls", findings);
    let acme = tls.get("letsencrypt").filter(|acme| is_set(acme, "cachefile"));
    if let (Some(acme), true) = (acme, is_set(tls, "certificate")) {
        let message = "cannot specify both certificate and Let's Encrypt; leave one of them out";
        findings.error(&acme.origin, "http.tls.letsencrypt", message);
    }
    if let Some(acme) = acme.filter(|acme| !is_set(acme, "hosts")) {
        let message = "must be set: the hosts that certificates are made for";
        findings.error(&acme.origin, "http.tls.letsencrypt.hosts", message);
    }
    if let Some(authorities) = tls.get("clientcas")
        && is_set(tls, "clientcas")
        && !is_set(tls, "certificate")
        && acme.is_none()
    {
        let message = "has no effect without TLS: set `certificate` and `key`, or `letsencrypt`";
        findings.warning(&authorities.origin, "http.tls.clientcas", message);
    }
    if let Some(asked) = tls.get("clientauth")
        && asked.origin != Origin::Builtin
        && !is_set(tls, "clientcas")
    {
        let message = "has no effect without `clientcas`: nobody is asked for a certificate";
        findings.warning(&asked.origin, "http.tls.clientauth", message);
    }
    if let Some(acme) = tls.get("letsencrypt")
        && !is_set(acme, "cachefile")
        && ["email", "hosts", "directoryurl"].iter().any(|name| is_set(acme, name))
    {
        let message = "has no effect without `cachefile`, the directory for the certificates";
        findings.warning(&acme.origin, "http.tls.letsencrypt", message);
    }
    if let Some(minimum) = tls.get("minimumtls")
        && matches!(minimum.as_text(), Some("tls1.0" | "tls1.1"))
    {
        let message = "Distribution 3 no longer has this version of TLS; tls1.2 is used";
        findings.warning(&minimum.origin, "http.tls.minimumtls", message);
    }
}

fn maintenance(root: &Node, findings: &mut Findings) {
    for (name, what) in [("uploadpurging", "purging"), ("scrub", "the scrub")] {
        let section = format!("storage.maintenance.{name}");
        let Some(job) = root.at(&section) else { continue };
        if is_true(job.get("enabled"))
            && let Some(interval) = job.get("interval")
            && interval.as_text().and_then(scalar::nanoseconds) == Some(0)
        {
            let message =
                format!("must be more than nothing; to turn {what} off set `enabled: false`");
            findings.error(&interval.origin, &format!("{section}.interval"), message);
        }
    }
}

fn collection(root: &Node, findings: &mut Findings) {
    let Some(gc) = root.at("storage.maintenance.gc") else { return };
    if !is_true(gc.get("enabled")) {
        return;
    }
    if let Some(interval) = gc.get("interval")
        && interval.as_text().is_some_and(when::is_nothing)
    {
        let message = "must be more than nothing; to turn collecting off set `enabled: false`";
        findings.error(&interval.origin, "storage.maintenance.gc.interval", message);
    }
    if let (Some(schedule), Some(interval)) = (gc.get("schedule"), gc.get("interval"))
        && schedule.as_text().is_some_and(|text| !text.trim().is_empty())
        && interval.origin != Origin::Builtin
    {
        let message = "has no effect beside `schedule`";
        findings.warning(&interval.origin, "storage.maintenance.gc.interval", message);
    }
    if is_true(root.at("storage.maintenance.readonly.enabled")) {
        let message = "has no effect while `readonly` is on: nothing is written to the storage";
        findings.warning(&gc.origin, "storage.maintenance.gc", message);
    }
}

fn cache(root: &Node, findings: &mut Findings) {
    let kind = root.at("storage.cache.blobdescriptor");
    let is_redis = kind.and_then(Node::as_text) == Some("redis");
    shared_cache::check(root, is_redis, findings);
    let (Some(cache), Some(kind)) = (root.at("storage.cache"), kind) else { return };
    let key = "storage.cache.blobdescriptor";
    match kind.as_text().unwrap_or_default() {
        "" | "inmemory" => {}
        "redis" => {
            if !root.get("redis").is_some_and(|redis| is_set(redis, "addrs")) {
                findings.error(&kind.origin, key, "`redis` needs `redis.addrs`");
            }
            if let Some(size) = cache.get("blobdescriptorsize")
                && size.origin != Origin::Builtin
            {
                let message = "has no effect with `blobdescriptor: redis`";
                findings.warning(&size.origin, "storage.cache.blobdescriptorsize", message);
            }
        }
        other => {
            let message = quoted(other, "is no known cache, so there is none; write inmemory");
            findings.warning(&kind.origin, key, message);
        }
    }
}

fn endpoints(root: &Node, findings: &mut Findings) {
    let endpoints = root.at("notifications.endpoints").map_or(&[][..], Node::items);
    for (index, endpoint) in endpoints.iter().enumerate() {
        if !is_true(endpoint.get("disabled")) && !is_set(endpoint, "url") {
            let key = format!("notifications.endpoints.{index}.url");
            findings.error(&endpoint.origin, &key, "must be set");
        }
    }
}

fn platforms(root: &Node, findings: &mut Findings) {
    let Some(indexes) = root.at("validation.manifests.indexes") else { return };
    if let Some(platforms) = indexes.get("platforms")
        && platforms.as_text() == Some("list")
        && !is_set(indexes, "platformlist")
    {
        let message = "`list` without a `platformlist` checks nothing";
        findings.warning(&platforms.origin, "validation.manifests.indexes.platforms", message);
    }
}

fn without_effect(root: &Node, findings: &mut Findings) {
    for section in ["compatibility", "reporting"] {
        if let Some(node) = root.get(section) {
            let message = "was removed in Distribution 3 and has no effect";
            findings.warning(&node.origin, section, message);
        }
    }
}
