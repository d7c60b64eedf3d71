//! Brings a tree into one form before variables are applied: today's names of keys, bare names
//! expanded, single values in place of lists wrapped, unknown keys reported and dropped.

use crate::{
    diagnostic::Findings,
    nearest::nearest,
    scalar,
    schema::{Bare, Kind, Section},
    tree::{Entry, Node, Value},
};

/// The canonical form of `node` as a value of `kind` at the dotted `path`.
pub(crate) fn canonical(node: Node, kind: Kind, path: &str, findings: &mut Findings) -> Node {
    match kind {
        Kind::Section(section) => canonical_section(node, section, path, findings),
        Kind::List(section) => {
            let item = |node, path: &str, findings: &mut Findings| {
                canonical_section(node, section, path, findings)
            };
            canonical_list(node, path, findings, item)
        }
        Kind::TextList(_) => canonical_texts(node, path, findings),
        Kind::Headers { .. } => canonical_map(node, path, findings, canonical_texts),
        Kind::TextMap { .. } => canonical_map(node, path, findings, single),
        Kind::Any { .. } => node,
        Kind::Text(_)
        | Kind::Secret
        | Kind::Choice(_)
        | Kind::Bool
        | Kind::Int { .. }
        | Kind::Duration
        | Kind::Age
        | Kind::DurationOrOff => single(node, path, findings),
    }
}

/// The dotted path of a child.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn canonical_section(
    node: Node,
    section: &'static Section,
    path: &str,
    findings: &mut Findings,
) -> Node {
    let entries = match node.value {
        Value::Mapping(entries) => entries,
        _ if node.is_null() => Vec::new(),
        Value::Scalar(scalar) => {
            let key = match section.bare {
                Bare::Name => Some((scalar.text.clone(), Node::null(node.origin.clone()))),
                Bare::Enabled if scalar::boolean(&scalar.text).is_some() => {
                    let value = Value::Scalar(scalar);
                    Some(("enabled".to_owned(), Node { value, origin: node.origin.clone() }))
                }
                _ => None,
            };
            let Some((key, value)) = key else {
                findings.error(&node.origin, path, expects_mapping(section));
                return Node::mapping(Vec::new(), node.origin);
            };
            vec![Entry { key, origin: node.origin.clone(), node: value }]
        }
        Value::Sequence(_) => {
            findings.error(&node.origin, path, expects_mapping(section));
            Vec::new()
        }
    };
    let mut known: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(key) = section.key(&entry.key) else {
            report_unknown(&entry, section, path, findings);
            continue;
        };
        let child = join(path, &entry.key);
        let node = canonical(entry.node, key.kind, &child, findings);
        match known.iter_mut().find(|present| present.key == key.name) {
            // Two spellings of one key: today's wins over the old one.
            Some(present) => {
                let message = format!("means the same as `{}`, which is used", key.name);
                if entry.key == key.name {
                    present.node = node;
                    findings.warning(
                        &present.origin,
                        path,
                        format!("an old spelling here {message}"),
                    );
                    present.origin = entry.origin;
                } else {
                    findings.warning(&entry.origin, &child, message);
                }
            }
            None => known.push(Entry { key: key.name.to_owned(), origin: entry.origin, node }),
        }
    }
    Node::mapping(known, node.origin)
}

fn expects_mapping(section: &Section) -> String {
    let keys: Vec<&str> = section.keys.iter().map(|key| key.name).take(4).collect();
    let more = if section.keys.len() > keys.len() { ", …" } else { "" };
    format!("expects a mapping with keys such as {}{more}", keys.join(", "))
}

fn report_unknown(entry: &Entry, section: &Section, path: &str, findings: &mut Findings) {
    let names = section.keys.iter().map(|key| key.name);
    let hint = match nearest(&entry.key, names) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    };
    let child = join(path, &entry.key);
    match section.closed {
        Some(what) => {
            let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
            let message = format!("unknown {what} or key{hint} (known are {})", known.join(", "));
            findings.error(&entry.origin, &child, message);
        }
        None => findings.warning(&entry.origin, &child, format!("unknown key, ignored{hint}")),
    }
}

fn canonical_list(
    node: Node,
    path: &str,
    findings: &mut Findings,
    item: impl Fn(Node, &str, &mut Findings) -> Node,
) -> Node {
    if node.is_null() {
        return Node { value: Value::Sequence(Vec::new()), origin: node.origin };
    }
    let Value::Sequence(items) = node.value else {
        findings.error(&node.origin, path, "expects a list");
        return Node { value: Value::Sequence(Vec::new()), origin: node.origin };
    };
    let items = items
        .into_iter()
        .enumerate()
        .map(|(index, node)| item(node, &join(path, &index.to_string()), findings))
        .collect();
    Node { value: Value::Sequence(items), origin: node.origin }
}

fn canonical_texts(node: Node, path: &str, findings: &mut Findings) -> Node {
    if matches!(node.value, Value::Scalar(_)) && !node.is_null() {
        let origin = node.origin.clone();
        return Node { value: Value::Sequence(vec![node]), origin };
    }
    canonical_list(node, path, findings, single)
}

fn canonical_map(
    node: Node,
    path: &str,
    findings: &mut Findings,
    value: impl Fn(Node, &str, &mut Findings) -> Node,
) -> Node {
    let entries = match node.value {
        Value::Mapping(entries) => entries,
        _ if node.is_null() => Vec::new(),
        _ => {
            findings.error(&node.origin, path, "expects a mapping of names to values");
            Vec::new()
        }
    };
    let entries = entries
        .into_iter()
        .map(|Entry { key, origin, node }| {
            let node = value(node, &join(path, &key), findings);
            Entry { key, origin, node }
        })
        .collect();
    Node::mapping(entries, node.origin)
}

fn single(node: Node, path: &str, findings: &mut Findings) -> Node {
    let shape = match node.value {
        Value::Scalar(_) => return node,
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
    };
    findings.error(&node.origin, path, format!("expects a single value, not {shape}"));
    Node::null(node.origin)
}
