//! Reads typed values out of a completed tree. Never fails: what was wrong has been reported and
//! replaced by its default when the tree was completed.

use std::{path::PathBuf, time::Duration};

use crate::{scalar, secret::Secret, tree::Node};

/// A section of the completed tree; an absent one reads as empty.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(Option<&'a Node>);

impl<'a> Reader<'a> {
    pub(crate) fn new(node: &'a Node) -> Self {
        Self(Some(node))
    }

    pub(crate) fn node(self, name: &str) -> Option<&'a Node> {
        self.0?.get(name)
    }

    pub(crate) fn section(self, name: &str) -> Self {
        Self(self.node(name))
    }

    /// The section when it has been written.
    pub(crate) fn written(self, name: &str) -> Option<Self> {
        self.node(name).map(|node| Self(Some(node)))
    }

    pub(crate) fn items(self, name: &str) -> impl Iterator<Item = Self> {
        self.node(name).map_or(&[][..], Node::items).iter().map(|node| Self(Some(node)))
    }

    /// The text; empty when unset.
    pub(crate) fn text(self, name: &str) -> String {
        self.node(name).and_then(Node::as_text).unwrap_or_default().to_owned()
    }

    /// The text, with the empty string counted as unset.
    pub(crate) fn set_text(self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    pub(crate) fn set_path(self, name: &str) -> Option<PathBuf> {
        self.set_text(name).map(PathBuf::from)
    }

    pub(crate) fn secret(self, name: &str) -> Option<Secret> {
        self.set_text(name).map(Secret::new)
    }

    pub(crate) fn set_boolean(self, name: &str) -> Option<bool> {
        scalar::boolean(self.node(name)?.as_text()?)
    }

    pub(crate) fn boolean(self, name: &str) -> bool {
        self.set_boolean(name).unwrap_or_default()
    }

    pub(crate) fn set_integer(self, name: &str) -> Option<i64> {
        scalar::integer(self.node(name)?.as_text()?)
    }

    pub(crate) fn count(self, name: &str) -> u64 {
        self.set_integer(name).and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
    }

    /// The duration when it is set and more than nothing or equal to it.
    pub(crate) fn set_duration(self, name: &str) -> Option<Duration> {
        let nanoseconds = scalar::nanoseconds(self.node(name)?.as_text()?)?;
        u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
    }

    pub(crate) fn duration(self, name: &str) -> Duration {
        self.set_duration(name).unwrap_or_default()
    }

    pub(crate) fn texts(self, name: &str) -> Vec<String> {
        texts_of(self.node(name))
    }

    pub(crate) fn headers(self, name: &str) -> Vec<(String, Vec<String>)> {
        let entries = self.node(name).map_or(&[][..], Node::entries);
        entries.iter().map(|entry| (entry.key.clone(), texts_of(Some(&entry.node)))).collect()
    }

    pub(crate) fn secret_headers(self, name: &str) -> Vec<(String, Vec<Secret>)> {
        let headers = self.headers(name).into_iter();
        headers
            .map(|(name, values)| (name, values.into_iter().map(Secret::new).collect()))
            .collect()
    }

    pub(crate) fn entries(self, name: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let entries = self.node(name).map_or(&[][..], Node::entries);
        entries.iter().map(|entry| (entry.key.as_str(), &entry.node))
    }
}

fn texts_of(node: Option<&Node>) -> Vec<String> {
    let items = node.map_or(&[][..], Node::items);
    items.iter().filter_map(Node::as_text).map(str::to_owned).collect()
}
