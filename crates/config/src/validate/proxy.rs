//! `proxy`: each upstream says where it is, shows itself in one way, and has names of its own.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    diagnostic::{Findings, Origin},
    reader::Reader,
    sections::proxy::{self, Upstream},
    tree::Node,
};

use super::{is_set, remote};

pub(super) fn check(root: &Node, findings: &mut Findings) {
    let Some(proxy) = root.get("proxy") else { return };
    let items = proxy.get("upstreams").map_or(&[][..], Node::items);
    let upstreams = proxy::read(Reader::new(proxy)).upstreams;
    // That of `remoteurl` comes first.
    let own = &upstreams[upstreams.len() - items.len()..];
    remote::one_way(proxy, "proxy", &["remoteurl"], findings);
    for (index, (item, upstream)) in items.iter().zip(own).enumerate() {
        self::upstream(item, upstream, &path_of(index), findings);
    }
    own_names(items, &upstreams, findings);
    without_effect(proxy, !upstreams.is_empty(), findings);
}

fn path_of(index: usize) -> String {
    format!("proxy.upstreams.{index}")
}

fn upstream(item: &Node, upstream: &Upstream, path: &str, findings: &mut Findings) {
    remote::check(item, &upstream.remote, path, findings);
    remote::rewrites(item, path, findings);
}

/// No two upstreams have the same prefix, name or host name.
fn own_names(items: &[Node], upstreams: &[Upstream], findings: &mut Findings) {
    let offset = upstreams.len() - items.len();
    let mut claimed: HashMap<(&str, &str), usize> = HashMap::new();
    for (place, upstream) in upstreams.iter().enumerate() {
        let names = [("prefix", upstream.prefix.as_str()), ("name", upstream.name.as_str())];
        let hosts = upstream.ns.iter().map(|name| ("ns", name.as_str()));
        for claim in names.into_iter().chain(hosts) {
            let other = match claimed.entry(claim) {
                Entry::Vacant(entry) => {
                    entry.insert(place);
                    continue;
                }
                Entry::Occupied(entry) => *entry.get(),
            };
            // A host name twice in one list is no harm.
            if let Some(index) = place.checked_sub(offset).filter(|_| other != place) {
                let other = match other.checked_sub(offset) {
                    Some(other) => path_of(other),
                    None => "proxy.remoteurl".to_owned(),
                };
                claimed_twice(&items[index], &path_of(index), claim, &other, findings);
                // With the prefix come a name and a host name.
                break;
            }
        }
    }
}

fn claimed_twice(
    item: &Node,
    path: &str,
    (key, text): (&str, &str),
    other: &str,
    findings: &mut Findings,
) {
    let written = item.get(key).filter(|node| node.origin != Origin::Builtin);
    let message = match (key, text) {
        ("prefix", "") => format!("must be set: `{other}` has the empty one"),
        _ => format!("`{text}` is that of `{other}`, too; write another one"),
    };
    findings.error(&written.unwrap_or(item).origin, &format!("{path}.{key}"), message);
}

fn without_effect(proxy: &Node, has_upstreams: bool, findings: &mut Findings) {
    let has_remote = is_set(proxy, "remoteurl");
    let written = proxy
        .entries()
        .iter()
        .filter(|entry| entry.node.origin != Origin::Builtin && is_set(proxy, &entry.key));
    for entry in written {
        let message = match entry.key.as_str() {
            "remoteurl" | "upstreams" => continue,
            _ if !has_upstreams => "has no effect without `remoteurl` or `upstreams`",
            "username" | "password" | "exec" if !has_remote => {
                "has no effect without `remoteurl`: those of `upstreams` have their own"
            }
            "username" if !is_set(proxy, "password") => "has no effect without `password`",
            "password" if !is_set(proxy, "username") => "has no effect without `username`",
            "lowwater" if !is_set(proxy, "maxsize") => "has no effect without `maxsize`",
            _ => continue,
        };
        findings.warning(&entry.node.origin, &format!("proxy.{}", entry.key), message);
    }
}
