//! The effective configuration as YAML, secrets masked.

use crate::{
    diagnostic::Origin,
    scalar,
    schema::{Kind, Section},
    secret::{MASK, mask_url},
    sections::ROOT,
    tree::{Entry, Node, Scalar, Value},
    validate::is_set,
};

/// Writes a completed tree.
pub(crate) fn print(root: &Node) -> String {
    let mut out = String::new();
    let shown = masked_section(root, &ROOT);
    for entry in shown.entries() {
        write_entry(&mut out, entry, 0);
    }
    out
}

/// The same tree with every secret replaced.
fn masked(node: &Node, kind: Kind) -> Node {
    match kind {
        Kind::Section(section) => masked_section(node, section),
        Kind::List(section) => map(node, |item| masked_section(item, section)),
        Kind::Secret => all_masked(node),
        Kind::Headers { secret: true }
        | Kind::TextMap { secret: true }
        | Kind::Any { secret: true } => all_masked(node),
        Kind::Text(_) | Kind::TextList(_) => with_urls_masked(node),
        _ => node.clone(),
    }
}

fn masked_section(whole: &Node, section: &'static Section) -> Node {
    let entries = whole.entries().iter().filter_map(|entry| {
        let key = section.key(&entry.key)?;
        let node = masked(&entry.node, key.kind);
        // A section that nobody wrote and that has nothing in it says nothing.
        let is_empty = matches!(&node.value, Value::Mapping(entries) if entries.is_empty());
        let means_nothing = key.only_with.is_some_and(|other| !is_set(whole, other));
        let is_shown = !((is_empty || means_nothing) && node.origin == Origin::Builtin);
        is_shown.then(|| Entry { node, ..entry.clone() })
    });
    Node::mapping(entries.collect(), whole.origin.clone())
}

/// Applies `change` to the children of a collection.
fn map(node: &Node, change: impl Fn(&Node) -> Node) -> Node {
    let value = match &node.value {
        Value::Sequence(items) => Value::Sequence(items.iter().map(change).collect()),
        Value::Mapping(entries) => Value::Mapping(
            entries
                .iter()
                .map(|entry| Entry { node: change(&entry.node), ..entry.clone() })
                .collect(),
        ),
        Value::Scalar(_) => return node.clone(),
    };
    Node { value, origin: node.origin.clone() }
}

fn all_masked(node: &Node) -> Node {
    match &node.value {
        Value::Scalar(scalar) if scalar.text.is_empty() => node.clone(),
        Value::Scalar(_) => Node::scalar(MASK, true, node.origin.clone()),
        _ => map(node, all_masked),
    }
}

fn with_urls_masked(node: &Node) -> Node {
    match &node.value {
        Value::Scalar(scalar) => {
            Node::scalar(mask_url(&scalar.text), scalar.quoted, node.origin.clone())
        }
        _ => map(node, with_urls_masked),
    }
}

fn write_entry(out: &mut String, entry: &Entry, indent: usize) {
    push_indent(out, indent);
    out.push_str(&text_of(&Scalar { text: entry.key.clone(), quoted: false }));
    out.push(':');
    write_value(out, &entry.node, indent);
}

/// Writes what follows a `key:` or a `-`, up to the end of its last line.
fn write_value(out: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Scalar(scalar) => {
            out.push(' ');
            out.push_str(&text_of(scalar));
            push_origin(out, &node.origin);
        }
        Value::Sequence(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Mapping(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::Sequence(items) => {
            out.push('\n');
            for item in items {
                push_indent(out, indent + 1);
                out.push('-');
                write_value(out, item, indent + 1);
            }
        }
        Value::Mapping(entries) => {
            out.push('\n');
            for entry in entries {
                write_entry(out, entry, indent + 1);
            }
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    for _ in 0..indent {
        out.push_str("  ");
    }
}

fn push_origin(out: &mut String, origin: &Origin) {
    if let Origin::Variable(name) = origin {
        out.push_str(" # ");
        out.extend(name.chars().filter(|c| !c.is_control()));
    }
    out.push('\n');
}

/// The scalar so that it reads back as the same text of the same type.
fn text_of(scalar: &Scalar) -> String {
    let text = &scalar.text;
    let is_word = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./:+-".contains(c))
        && !text.starts_with('-')
        && !text.ends_with(':');
    let looks_typed = scalar::boolean(text).is_some()
        || text.parse::<f64>().is_ok()
        || scalar::integer(text).is_some()
        || matches!(text.to_ascii_lowercase().as_str(), "null" | ".inf" | ".nan");
    if is_word && !(scalar.quoted && looks_typed) && !text.eq_ignore_ascii_case("null") {
        return text.clone();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
