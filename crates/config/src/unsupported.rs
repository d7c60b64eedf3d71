//! The one table of what this version refuses. An issue that builds a feature deletes its row.

use std::fmt;

use crate::{
    config::Tree,
    diagnostic::{Diagnostic, Location, Severity},
    scalar,
    tree::Node,
};

/// A feature that is configured but can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The dotted key that asks for it.
    pub key: String,
    /// What it is, and what to do instead.
    pub reason: String,
    /// Where it is configured.
    pub location: Location,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.location, self.key, self.reason)
    }
}

impl From<Unsupported> for Diagnostic {
    fn from(found: Unsupported) -> Self {
        let Unsupported { key, reason, location } = found;
        Self { severity: Severity::Error, location, key, message: reason }
    }
}

/// When a row applies.
#[derive(Clone, Copy)]
enum When {
    /// The section was written at all.
    Written,
    /// It is true.
    True,
    /// It is this word.
    Is(&'static str),
    /// The list has an entry that isn't disabled.
    EnabledEntry,
    /// It has one with another name than these.
    EnabledEntryBut(&'static [&'static str]),
}

const REMOVED: &str = "this storage driver was removed in Distribution 3 and will not be built; move the data to `filesystem` or to an S3-compatible store";
const MIDDLEWARE: &str =
    "this middleware is not built; leave the entry out or set `disabled: true`";
const SIGNATURE: &str =
    "signature version 2 is not built, and every store of today takes version 4; leave it out";

/// What is missing (for the documentation), the key that asks for it, when, and what to do.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, When, &str)] = &[
    ("middleware.registry", "middleware.registry", When::EnabledEntry, MIDDLEWARE),
    ("middleware.repository", "middleware.repository", When::EnabledEntry, MIDDLEWARE),
    ("middleware.storage", "middleware.storage", When::EnabledEntryBut(&["cloudfront", "redirect", "rewrite"]), MIDDLEWARE),
    ("storage.s3.v4auth", "storage.s3.v4auth", When::Is("false"), SIGNATURE),
    ("storage.s3aws.v4auth", "storage.s3aws.v4auth", When::Is("false"), SIGNATURE),
    ("storage.swift", "storage.swift", When::Written, REMOVED),
    ("storage.oss", "storage.oss", When::Written, REMOVED),
    ("log.hooks", "log.hooks", When::EnabledEntry, "mail hooks are not built yet; leave the hook out or set `disabled: true`"),
    ("compatibility.schema1.enabled", "compatibility.schema1.enabled", When::True, "manifests of schema 1 were removed in Distribution 3 and will not be built; push the images again as schema 2 or OCI"),
];

/// All rows that apply to a completed tree.
pub(crate) fn find(tree: &Tree) -> Vec<Unsupported> {
    REFUSED
        .iter()
        .filter_map(|(_, key, when, reason)| {
            let node = tree.root.at(key)?;
            let found = applies(node, *when)?;
            Some(Unsupported {
                key: (*key).to_owned(),
                reason: (*reason).to_owned(),
                location: tree.location(Some(found)),
            })
        })
        .collect()
}

/// Whether a key belongs to a feature that isn't built, for the documentation.
#[cfg(test)]
pub(crate) fn is_unbuilt(path: &str) -> bool {
    REFUSED.iter().any(|(feature, _, when, _)| {
        let rest = path.strip_prefix(feature);
        !matches!(when, When::Is(_) | When::EnabledEntryBut(_))
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// The keys of the table, for the test that each exists in the schema.
#[cfg(test)]
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    REFUSED.iter().map(|(_, key, ..)| *key)
}

/// The node that asks for the feature.
fn applies(node: &Node, when: When) -> Option<&Node> {
    let text = node.as_text().unwrap_or_default();
    match when {
        When::Written => Some(node),
        When::True => (scalar::boolean(text) == Some(true)).then_some(node),
        When::Is(word) => (text == word).then_some(node),
        When::EnabledEntry => enabled_entries(node).next(),
        When::EnabledEntryBut(names) => enabled_entries(node).find(|item| {
            let name = item.get("name").and_then(Node::as_text).unwrap_or_default();
            !names.contains(&name)
        }),
    }
}

fn enabled_entries(node: &Node) -> impl Iterator<Item = &Node> {
    node.items().iter().filter(|item| {
        item.get("disabled").and_then(Node::as_text).and_then(scalar::boolean) != Some(true)
    })
}
