//! From YAML text to the located tree.
//!
//! The grammar is `granit-parser`'s; this file only builds the tree from its events, resolves
//! aliases and merge keys as yaml.v2 does, and bounds the result ([`limits`]).

use std::{collections::HashMap, fmt};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::{
    diagnostic::{Findings, Origin},
    limits,
    tree::{Entry, Node, Value},
};

/// The text is not a YAML document that can be used. The message quotes nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// Parses the first document of `text`. `origin` names the source when it is no file; the
/// findings get a warning for each duplicate key and for documents after the first.
pub(crate) fn parse(
    text: &str,
    origin: Option<&Origin>,
    findings: &mut Findings,
) -> Result<Node, SyntaxError> {
    if text.len() > limits::FILE_SIZE_BYTES_MAX {
        let message = format!("larger than {} bytes", limits::FILE_SIZE_BYTES_MAX);
        return Err(SyntaxError { line: 1, column: 1, message });
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits::DEPTH_MAX,
        block_nesting_limit: limits::DEPTH_MAX,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        origin,
        findings,
        anchors: HashMap::new(),
        open: Vec::new(),
        root: None,
        nodes: 0,
        text_bytes: 0,
    };
    for next in parser {
        let (event, span) = next.map_err(|error| SyntaxError {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            message: error.info(),
        })?;
        if builder.take(event, &span)? {
            break;
        }
    }
    let start = origin.cloned().unwrap_or(Origin::File { line: 1, column: 1 });
    Ok(builder.root.unwrap_or_else(|| Node::null(start)))
}

struct Builder<'a> {
    origin: Option<&'a Origin>,
    findings: &'a mut Findings,
    anchors: HashMap<usize, Node>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    text_bytes: usize,
}

/// A collection whose end has not been seen.
struct Open {
    anchor: usize,
    origin: Origin,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, merged: Vec<Node>, key: Option<Node> },
}

impl Builder<'_> {
    /// Takes one event; `true` when the first document is over.
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<bool, SyntaxError> {
        let origin = self.origin_of(span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let message = "only the first document of the file is read";
                self.findings.warning(&origin, "", message);
                return Ok(true);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_string = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let quoted = is_string || style != ScalarStyle::Plain;
                let node = Node::scalar(text, quoted, origin);
                self.close(node, anchor, span)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { anchor, origin, kind: OpenKind::Sequence(Vec::new()) });
            }
            Event::MappingStart(_, anchor, _) => {
                let kind = OpenKind::Mapping { entries: vec![], merged: vec![], key: None };
                self.open.push(Open { anchor, origin, kind });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let anchor = open.anchor;
                    let node = self.finish(open);
                    self.close(node, anchor, span)?;
                }
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.charge(&node, true, span)?;
                    self.place(node, span)?;
                }
                None => return Err(error_at(span, "an alias may not stand inside its own anchor")),
            },
            _ => {}
        }
        Ok(false)
    }

    fn origin_of(&self, span: &Span) -> Origin {
        match self.origin {
            Some(origin) => origin.clone(),
            None => Origin::File { line: span.start.line(), column: span.start.col() + 1 },
        }
    }

    /// Charges a node to the budget. What an anchor keeps and an alias copies is charged in full.
    fn charge(&mut self, node: &Node, in_full: bool, span: &Span) -> Result<(), SyntaxError> {
        let (nodes, text_bytes, depth) = match &node.value {
            Value::Scalar(scalar) => (1, scalar.text.len(), 1),
            _ if in_full => measure(node),
            _ => (1, 0, 1),
        };
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes > limits::NODES_MAX || self.text_bytes > limits::TEXT_BYTES_MAX {
            return Err(error_at(span, "too much content (are there aliases of aliases?)"));
        }
        if depth + self.open.len() > limits::DEPTH_MAX {
            return Err(error_at(span, "nested too deeply"));
        }
        Ok(())
    }

    /// Keeps a finished node under its anchor and puts it where it belongs.
    fn close(&mut self, node: Node, anchor: usize, span: &Span) -> Result<(), SyntaxError> {
        self.charge(&node, anchor != 0, span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, span)
    }

    fn place(&mut self, node: Node, span: &Span) -> Result<(), SyntaxError> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::Sequence(items) => items.push(node),
            OpenKind::Mapping { entries, merged, key } => match key.take() {
                None => *key = Some(node),
                Some(name) => {
                    add_entry(entries, merged, name, node, self.findings)
                        .map_err(|message| error_at(span, message))?;
                }
            },
        }
        Ok(())
    }

    fn finish(&mut self, open: Open) -> Node {
        match open.kind {
            OpenKind::Sequence(items) => {
                Node { value: Value::Sequence(items), origin: open.origin }
            }
            OpenKind::Mapping { mut entries, merged, .. } => {
                // What stands in the mapping itself wins over what is merged into it, and the
                // first of several merged mappings wins over the later ones.
                for entry in merged.into_iter().flat_map(|node| match node.value {
                    Value::Mapping(entries) => entries,
                    _ => Vec::new(),
                }) {
                    if !entries.iter().any(|present| present.key == entry.key) {
                        entries.push(entry);
                    }
                }
                Node::mapping(entries, open.origin)
            }
        }
    }
}

fn add_entry(
    entries: &mut Vec<Entry>,
    merged: &mut Vec<Node>,
    name: Node,
    node: Node,
    findings: &mut Findings,
) -> Result<(), &'static str> {
    let Value::Scalar(scalar) = name.value else {
        return Err("a key must be a plain word, not a list or a mapping");
    };
    if scalar.text == "<<" && !scalar.quoted {
        match node.value {
            Value::Mapping(_) => merged.push(node),
            Value::Sequence(items)
                if items.iter().all(|item| matches!(item.value, Value::Mapping(_))) =>
            {
                merged.extend(items);
            }
            _ => return Err("`<<` merges a mapping or a list of mappings"),
        }
        return Ok(());
    }
    if let Some(earlier) = entries.iter().position(|entry| entry.key == scalar.text) {
        let earlier = entries.remove(earlier);
        if let (Origin::File { line, .. }, Origin::File { line: last, .. }) =
            (&earlier.origin, &name.origin)
        {
            let message = format!(
                "the key stands twice, in line {line} and in line {last}; the last one is used"
            );
            findings.warning(&name.origin, &scalar.text, message);
        } else {
            findings.warning(
                &name.origin,
                &scalar.text,
                "the key stands twice; the last one is used",
            );
        }
    }
    entries.push(Entry { key: scalar.text, origin: name.origin, node });
    Ok(())
}

fn error_at(span: &Span, message: &str) -> SyntaxError {
    let (line, column) = (span.start.line(), span.start.col() + 1);
    SyntaxError { line, column, message: message.to_owned() }
}

/// Nodes, bytes of scalar text and depth of a tree, which [`limits::DEPTH_MAX`] bounds.
fn measure(node: &Node) -> (usize, usize, usize) {
    let add = |sum: (usize, usize, usize), child: &Node| {
        let (nodes, bytes, depth) = measure(child);
        (sum.0 + nodes, sum.1 + bytes, sum.2.max(depth + 1))
    };
    match &node.value {
        Value::Scalar(scalar) => (1, scalar.text.len(), 1),
        Value::Sequence(items) => items.iter().fold((1, 0, 1), add),
        Value::Mapping(entries) => entries.iter().fold((1, 0, 1), |sum, entry| {
            let (nodes, bytes, depth) = add(sum, &entry.node);
            (nodes, bytes + entry.key.len(), depth)
        }),
    }
}
