//! A YAML document as a tree that remembers what was written, and where.
//!
//! Scalars keep their text: whether `0123` is a password or a number is the schema's decision,
//! not the parser's.

use crate::diagnostic::Origin;

/// A node with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// The three shapes of YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A scalar's text after YAML's escapes, and whether it stood in quotes (or a block).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands, which is where a reader looks for it.
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn scalar(text: impl Into<String>, quoted: bool, origin: Origin) -> Self {
        Self { value: Value::Scalar(Scalar { text: text.into(), quoted }), origin }
    }

    pub(crate) fn mapping(entries: Vec<Entry>, origin: Origin) -> Self {
        Self { value: Value::Mapping(entries), origin }
    }

    pub(crate) fn null(origin: Origin) -> Self {
        Self::scalar("", false, origin)
    }

    /// Whether this is YAML's null: an unquoted `~`, `null` or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, quoted: false })
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The node at a dotted path of mapping keys and of numbers of list elements.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| match &node.value {
            Value::Sequence(items) => items.get(key.parse::<usize>().ok()?),
            _ => node.get(key),
        })
    }

    /// The entries of this node, which is made a mapping if it is none.
    pub(crate) fn make_mapping(&mut self) -> &mut Vec<Entry> {
        if !matches!(self.value, Value::Mapping(_)) {
            self.value = Value::Mapping(Vec::new());
        }
        match &mut self.value {
            Value::Mapping(entries) => entries,
            _ => unreachable!("was just made a mapping"),
        }
    }

    /// The items of this node, which is made a sequence if it is none.
    pub(crate) fn make_sequence(&mut self) -> &mut Vec<Node> {
        if !matches!(self.value, Value::Sequence(_)) {
            self.value = Value::Sequence(Vec::new());
        }
        match &mut self.value {
            Value::Sequence(items) => items,
            _ => unreachable!("was just made a sequence"),
        }
    }

    /// The child under `key`, created as null when there is none.
    pub(crate) fn child(&mut self, key: &str, origin: &Origin) -> &mut Node {
        let entries = self.make_mapping();
        let index = match entries.iter().position(|entry| entry.key == key) {
            Some(index) => index,
            None => {
                entries.push(Entry {
                    key: key.to_owned(),
                    origin: origin.clone(),
                    node: Node::null(origin.clone()),
                });
                entries.len() - 1
            }
        };
        &mut entries[index].node
    }

    /// Takes the child under `key` out of a mapping.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        match &mut self.value {
            Value::Mapping(entries) => {
                let index = entries.iter().position(|entry| entry.key == key)?;
                Some(entries.remove(index))
            }
            _ => None,
        }
    }
}
