//! Checks every value of a canonical tree against its type, brings it into one notation and puts
//! in the defaults. What is wrong is reported and replaced by its default, so that all errors of
//! a file come out at once.

use std::time::Duration;

use crate::{
    canonical::join,
    check,
    diagnostic::{Findings, Origin},
    limits, scalar,
    schema::{Check, Key, Kind, Section},
    secret,
    tree::{Entry, Node, Value},
};

/// Completes a section: its keys in the order of the schema, defaults included.
pub(crate) fn complete_section(
    node: &mut Node,
    section: &'static Section,
    path: &str,
    findings: &mut Findings,
) {
    let mut entries = Vec::with_capacity(section.keys.len());
    for key in section.keys {
        let child = join(path, key.name);
        let written = node.remove(key.name).and_then(|mut entry| {
            complete(&mut entry.node, key.kind, &child, findings).then_some(entry)
        });
        entries.extend(written.or_else(|| default_of(key, &child, findings)));
    }
    node.value = Value::Mapping(entries);
}

fn default_of(key: &'static Key, path: &str, findings: &mut Findings) -> Option<Entry> {
    let mut node = match (key.default, key.kind) {
        (Some(text), _) => Node::scalar(text, false, Origin::Builtin),
        (None, Kind::Section(_)) if !key.optional => Node::mapping(Vec::new(), Origin::Builtin),
        _ => return None,
    };
    complete(&mut node, key.kind, path, findings);
    Some(Entry { key: key.name.to_owned(), origin: Origin::Builtin, node })
}

/// Completes one value; `false` when there is nothing to keep, so that the default applies.
fn complete(node: &mut Node, kind: Kind, path: &str, findings: &mut Findings) -> bool {
    match kind {
        Kind::Section(section) => {
            complete_section(node, section, path, findings);
            true
        }
        Kind::List(section) => {
            for (index, item) in items_of(node).iter_mut().enumerate() {
                complete_section(item, section, &join(path, &index.to_string()), findings);
            }
            true
        }
        Kind::TextList(check) => {
            let check = &|text: &str| check(text).map_err(|error| quoted(text, &error));
            complete_texts(node, check, path, findings);
            true
        }
        Kind::Headers { .. } => {
            for entry in node.make_mapping() {
                let path = join(path, &entry.key);
                if let Err(error) = check::header_name(&entry.key) {
                    findings.error(&entry.origin, &path, error);
                }
                complete_texts(&mut entry.node, &check::header_value, &path, findings);
            }
            true
        }
        Kind::TextMap { .. } | Kind::Any { .. } => true,
        _ if node.is_null() => false,
        _ => complete_scalar(node, kind, path, findings),
    }
}

fn items_of(node: &mut Node) -> &mut [Node] {
    match &mut node.value {
        Value::Sequence(items) => items,
        _ => &mut [],
    }
}

fn complete_texts(
    node: &mut Node,
    check: &dyn Fn(&str) -> Result<(), String>,
    path: &str,
    findings: &mut Findings,
) {
    for (index, item) in items_of(node).iter_mut().enumerate() {
        if let Err(error) = check(item.as_text().unwrap_or_default()) {
            findings.error(&item.origin, &join(path, &index.to_string()), error);
        }
    }
}

fn complete_scalar(node: &mut Node, kind: Kind, path: &str, findings: &mut Findings) -> bool {
    let Value::Scalar(value) = &mut node.value else { return false };
    let typed = match kind {
        Kind::Text(check) => checked(&value.text, check),
        Kind::Choice(words) => one_of(&value.text, words),
        Kind::Bool if value.text.is_empty() => return false,
        Kind::Bool => match scalar::boolean(&value.text) {
            Some(truth) => Ok(truth.to_string()),
            None => Err(quoted(&value.text, "is no boolean; write true or false")),
        },
        Kind::Int { .. } | Kind::Duration | Kind::Age | Kind::DurationOrOff
            if value.text.is_empty() =>
        {
            return false;
        }
        Kind::Int { min, max } => integer(&value.text, min, max),
        Kind::Duration => duration(&value.text, 0),
        Kind::Age => age(&value.text),
        Kind::DurationOrOff => duration(&value.text, i64::MIN),
        _ => return true,
    };
    let is_number_of_nanoseconds = matches!(kind, Kind::Duration | Kind::DurationOrOff)
        && matches!(scalar::integer(&value.text), Some(1..1_000_000));
    match typed {
        Ok(text) => {
            if is_number_of_nanoseconds {
                let message = format!(
                    "`{0}` without a unit is {0} nanoseconds; write a unit, such as {0}s",
                    value.text
                );
                findings.warning(&node.origin, path, message);
            }
            value.text = text;
            !(value.text.is_empty() && matches!(kind, Kind::Choice(_)))
        }
        Err(error) => {
            findings.error(&node.origin, path, error);
            false
        }
    }
}

fn checked(text: &str, check: Check) -> Result<String, String> {
    check(text).map(|()| text.to_owned()).map_err(|error| quoted(text, &error))
}

fn one_of(text: &str, words: &[&str]) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() || words.contains(&lower.as_str()) {
        return Ok(lower);
    }
    Err(quoted(text, &format!("must be one of [{}]", words.join(", "))))
}

fn integer(text: &str, min: i64, max: i64) -> Result<String, String> {
    let number = scalar::integer(text).ok_or_else(|| quoted(text, "is no integer"))?;
    if number < min {
        return Err(quoted(text, &format!("must be {min} or more")));
    }
    if number > max {
        return Err(quoted(text, &format!("must be {max} or less")));
    }
    Ok(number.to_string())
}

fn age(text: &str) -> Result<String, String> {
    let advice = "is no time; write one with its unit, such as 30d, 2w or 12h";
    // Nobody means nanoseconds, and what is too short by that may be deleted.
    let nanoseconds = match scalar::integer(text) {
        Some(_) => None,
        None => scalar::nanoseconds_with_days(text),
    };
    match nanoseconds.map(u64::try_from) {
        Some(Ok(1..)) => {}
        Some(_) => return Err(quoted(text, "must be more than nothing")),
        None => return Err(quoted(text, advice)),
    }
    let nanoseconds = nanoseconds.unwrap_or_default().unsigned_abs();
    Ok(scalar::format_duration(Duration::from_nanos(nanoseconds)))
}

fn duration(text: &str, min: i64) -> Result<String, String> {
    let nanoseconds = scalar::nanoseconds(text)
        .ok_or_else(|| quoted(text, "is no duration; write one such as 10s, 1h30m or 168h"))?;
    if nanoseconds < min {
        return Err(quoted(text, "must not be negative"));
    }
    let written = scalar::format_duration(Duration::from_nanos(nanoseconds.unsigned_abs()));
    Ok(if nanoseconds < 0 { format!("-{written}") } else { written })
}

/// A value at the head of a message: shortened, without control characters or passwords.
pub(crate) fn quoted(text: &str, message: &str) -> String {
    let masked = secret::mask_wrong(text);
    let mut shown: String =
        masked.chars().take(limits::SHOWN_VALUE_CHARS_MAX).flat_map(char::escape_debug).collect();
    if masked.chars().count() > limits::SHOWN_VALUE_CHARS_MAX {
        shown.push('…');
    }
    format!("`{shown}` {message}")
}
