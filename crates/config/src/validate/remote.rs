//! Another registry: it is somewhere, and wharf shows who it is in one way.

use crate::{
    diagnostic::Findings,
    sections::remote::{Credentials, RegistryUrl, Remote, WAYS},
    tree::Node,
};

use super::{is_set, pair};

/// Checks a section that has the keys of a registry.
pub(super) fn check(item: &Node, remote: &Remote, path: &str, findings: &mut Findings) {
    urls(item, path, findings);
    one_way(item, path, &["url", "urls"], findings);
    whole_credentials(item, &remote.credentials, path, findings);
    if let Some(tls) = item.get("tls") {
        pair(tls, &format!("{path}.tls"), findings);
        if !remote.urls.is_empty() && remote.urls.iter().all(|url| url.starts_with("http:")) {
            let message = "has no effect: no URL of this registry is https";
            findings.warning(&tls.origin, &format!("{path}.tls"), message);
        }
    }
}

/// A rule of `rewrite` says something.
pub(super) fn rewrites(item: &Node, path: &str, findings: &mut Findings) {
    let rewrites = item.get("rewrite").map_or(&[][..], Node::items);
    for (index, rewrite) in rewrites.iter().enumerate() {
        if !is_set(rewrite, "from") && !is_set(rewrite, "to") {
            let key = format!("{path}.rewrite.{index}.from");
            findings.error(&rewrite.origin, &key, "must be set, or `to`");
        }
    }
}

/// There is one URL or a list of them, and all are asked as the same user.
fn urls(item: &Node, path: &str, findings: &mut Findings) {
    let list = item.get("urls").filter(|_| is_set(item, "urls"));
    match list {
        Some(list) if is_set(item, "url") => {
            findings.error(&list.origin, &format!("{path}.urls"), "excludes `url`");
        }
        None if !is_set(item, "url") => {
            findings.error(&item.origin, &format!("{path}.url"), "must be set, or `urls`");
        }
        _ => {}
    }
    let mut first = None;
    for (index, url) in list.map_or(&[][..], Node::items).iter().enumerate() {
        let key = format!("{path}.urls.{index}");
        if is_empty(url) {
            findings.error(&url.origin, &key, "may not be empty");
        }
        let Some(url_parts) = parsed(url) else { continue };
        if *first.get_or_insert_with(|| url_parts.login.clone()) != url_parts.login {
            let message = "holds another user than the first one; write `username` and `password` \
                           for all of them, or name it in an entry of its own";
            findings.error(&url.origin, &key, message);
        }
    }
}

/// Whether a text is the empty one.
fn is_empty(node: &Node) -> bool {
    node.as_text().is_some_and(str::is_empty)
}

fn parsed(url: &Node) -> Option<RegistryUrl> {
    RegistryUrl::parse(url.as_text()?)
}

/// At most one way of credentials. A user in a URL is one, too.
pub(super) fn one_way(section: &Node, path: &str, urls: &[&str], findings: &mut Findings) {
    let mut first: Option<String> = None;
    for way in WAYS {
        let Some(node) = way_of(section, way) else { continue };
        match &first {
            Some(first) => {
                let message = format!("excludes `{path}.{first}`; leave one of them out");
                findings.error(&node.origin, &format!("{path}.{way}"), message);
            }
            None => first = Some(way.to_owned()),
        }
    }
    let Some(first) = first else { return };
    for name in urls {
        let Some(node) = section.get(name) else { continue };
        let has_login = |url: &Node| parsed(url).is_some_and(|url| url.login.is_some());
        if !has_login(node) && !node.items().iter().any(has_login) {
            continue;
        }
        let key = format!("{path}.{name}");
        if *name == "remoteurl" {
            // Distribution takes it.
            let message = format!("holds a user, who has no effect beside `{path}.{first}`");
            findings.warning(&node.origin, &key, message);
        } else {
            let message =
                format!("holds a user, which excludes `{path}.{first}`; leave one of them out");
            findings.error(&node.origin, &key, message);
        }
    }
}

/// What asks for a way of credentials.
fn way_of<'n>(section: &'n Node, way: &str) -> Option<&'n Node> {
    let set = |name: &str| section.get(name).filter(|_| is_set(section, name));
    match way {
        "username" => set("username").or_else(|| set("password")),
        "exec" => section.get("exec").filter(|exec| is_set(exec, "command")),
        _ => section.get(way),
    }
}

/// Nothing that the one way needs is missing.
fn whole_credentials(item: &Node, credentials: &Credentials, path: &str, findings: &mut Findings) {
    for (one, other) in [("username", "password"), ("password", "username")] {
        if let Some(node) = item.get(one).filter(|_| is_set(item, one) && !is_set(item, other)) {
            let message = format!("must be set too, as `{one}` is");
            findings.error(&node.origin, &format!("{path}.{other}"), message);
        }
    }
    let needed: &[(&str, &[&str])] =
        &[("exec", &["command"]), ("acr", &["tenant", "clientid", "clientsecret"])];
    for (way, names) in needed {
        let Some(node) = item.get(way) else { continue };
        for name in names.iter().filter(|name| !is_set(node, name)) {
            findings.error(&node.origin, &format!("{path}.{way}.{name}"), "must be set");
        }
    }
    let ecr = item
        .get("ecr")
        .filter(|_| matches!(credentials, Credentials::Ecr { region } if region.is_empty()));
    if let Some(ecr) = ecr {
        let message = "must be set: the host of the URL does not tell it";
        findings.error(&ecr.origin, &format!("{path}.ecr.region"), message);
    }
}
