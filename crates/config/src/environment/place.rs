//! From the segments of a variable's name to a place in the tree.

use crate::{
    diagnostic::Origin,
    schema::{Kind, Section, anything},
    tree::{Node, Value},
};

/// One step down the tree.
pub(super) enum Step {
    /// A key of the schema.
    Key(&'static str),
    /// An element of a list.
    Index(usize),
    /// A name in a free map: an existing one in any case, else in lower case.
    Name(String),
    /// Either, where the schema doesn't know the shape.
    Free(String),
}

/// Why a name leads nowhere.
pub(super) enum Unresolved {
    Unknown,
    NotAnIndex(String),
}

pub(super) fn dotted(steps: &[Step]) -> String {
    let words: Vec<String> = steps
        .iter()
        .map(|step| match step {
            Step::Key(name) => (*name).to_owned(),
            Step::Index(index) => index.to_string(),
            Step::Name(name) | Step::Free(name) => name.to_ascii_lowercase(),
        })
        .collect();
    words.join(".")
}

/// Walks the segments down the schema; the kind of what they end at.
pub(super) fn resolve(
    segments: &[&str],
    kind: Kind,
    steps: &mut Vec<Step>,
) -> Result<Kind, Unresolved> {
    let Some((first, rest)) = segments.split_first() else { return Ok(kind) };
    match kind {
        Kind::Section(section) => resolve_key(segments, section, steps),
        Kind::List(section) => {
            steps.push(Step::Index(index(first)?));
            resolve(rest, Kind::Section(section), steps)
        }
        Kind::TextList(check) => {
            steps.push(Step::Index(index(first)?));
            resolve(rest, Kind::Text(check), steps)
        }
        // Names may hold `_`, so all that is left is one name.
        Kind::TextMap { .. } => {
            steps.push(Step::Name(segments.join("_")));
            Ok(Kind::Text(anything))
        }
        Kind::Headers { .. } => match segments.split_last() {
            Some((last, name)) if !name.is_empty() && index_of(last).is_some() => {
                steps.push(Step::Name(name.join("_")));
                steps.push(Step::Index(index(last)?));
                // Checked with the whole list; may hold a credential, so it isn't quoted there.
                Ok(Kind::Text(anything))
            }
            _ => {
                steps.push(Step::Name(segments.join("_")));
                Ok(Kind::TextList(anything))
            }
        },
        Kind::Any { .. } => {
            steps.extend(segments.iter().map(|segment| Step::Free((*segment).to_owned())));
            Ok(kind)
        }
        _ => Err(Unresolved::Unknown),
    }
}

fn index(segment: &str) -> Result<usize, Unresolved> {
    index_of(segment).ok_or_else(|| Unresolved::NotAnIndex(segment.to_owned()))
}

fn resolve_key(
    segments: &[&str],
    section: &'static Section,
    steps: &mut Vec<Step>,
) -> Result<Kind, Unresolved> {
    let mut failure = Unresolved::Unknown;
    for key in section.keys {
        for name in key.variable_names() {
            let Some(taken) = segments_taken(name, segments) else { continue };
            let depth = steps.len();
            steps.push(Step::Key(key.name));
            match resolve(&segments[taken..], key.kind, steps) {
                Ok(kind) => return Ok(kind),
                Err(error) => failure = error,
            }
            steps.truncate(depth);
        }
    }
    match segments.split_first() {
        Some((first, rest))
            if section.silent_segments.iter().any(|silent| first.eq_ignore_ascii_case(silent)) =>
        {
            resolve(rest, Kind::Section(section), steps)
        }
        _ => Err(failure),
    }
}

/// How many segments a key's name takes: `max_retries` is `MAX_RETRIES` or `MAXRETRIES`.
fn segments_taken(name: &str, segments: &[&str]) -> Option<usize> {
    if segments.first()?.eq_ignore_ascii_case(&name.replace('_', "")) {
        return Some(1);
    }
    let words: Vec<&str> = name.split('_').collect();
    let head = segments.get(..words.len())?;
    words.iter().zip(head).all(|(w, s)| w.eq_ignore_ascii_case(s)).then_some(words.len())
}

/// Puts a value at the end of the steps.
pub(super) fn set(
    root: &mut Node,
    steps: &[Step],
    new: Node,
    origin: &Origin,
) -> Result<(), String> {
    let mut node = root;
    for step in steps {
        node = match step {
            Step::Key(name) => node.child(name, origin),
            Step::Name(name) => named(node, name, origin),
            Step::Index(index) => element(node, *index, origin)?,
            Step::Free(segment) => match (&node.value, index_of(segment)) {
                (Value::Sequence(_), Some(index)) => element(node, index, origin)?,
                _ => named(node, segment, origin),
            },
        };
    }
    *node = new;
    Ok(())
}

fn named<'n>(node: &'n mut Node, name: &str, origin: &Origin) -> &'n mut Node {
    let existing = node.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(name));
    let key = existing.map_or_else(|| name.to_ascii_lowercase(), |entry| entry.key.clone());
    node.child(&key, origin)
}

fn element<'n>(node: &'n mut Node, index: usize, origin: &Origin) -> Result<&'n mut Node, String> {
    let items = node.make_sequence();
    if index > items.len() {
        return Err(format!(
            "undefined index {index}: the list has {} elements, so the next is {}",
            items.len(),
            items.len()
        ));
    }
    if index == items.len() {
        items.push(Node::null(origin.clone()));
    }
    Ok(&mut items[index])
}

/// The number that a segment is.
pub(super) fn index_of(segment: &str) -> Option<usize> {
    segment.bytes().all(|byte| byte.is_ascii_digit()).then(|| segment.parse().ok()).flatten()
}
