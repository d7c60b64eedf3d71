//! `docs/configuration.md` holds one table row for each key of the schema. The tables are
//! generated from it, and this test fails when they differ; with `WHARF_UPDATE_DOCS=1` in the
//! environment it writes them instead.

use std::{fmt::Write, path::PathBuf};

use crate::{
    schema::{Key, Kind, Section},
    sections::ROOT,
    unsupported, validate,
};

const BEGIN: &str = "<!-- keys: generated from the schema, do not edit -->\n";
const END: &str = "<!-- keys: end -->\n";
const HEAD: &str = "| Key | Type | Default | Meaning | Status |\n|---|---|---|---|---|\n";

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md"))
}

fn type_of(key: &Key) -> String {
    match key.kind {
        Kind::Text(_) => "text".to_owned(),
        Kind::Secret => "secret text".to_owned(),
        Kind::Choice(words) => words.join(" \\| "),
        Kind::Bool => "boolean".to_owned(),
        Kind::Int { min: 0, max: i64::MAX } => "integer ≥ 0".to_owned(),
        Kind::Int { min: i64::MIN, .. } => "integer".to_owned(),
        Kind::Int { min, max } => format!("integer {min}…{max}"),
        Kind::Duration => "duration".to_owned(),
        Kind::Age => "duration, also in days (`30d`)".to_owned(),
        Kind::DurationOrOff => "duration, may be negative".to_owned(),
        Kind::TextList(_) => "list of texts".to_owned(),
        Kind::TextMap { .. } => "map of names to values".to_owned(),
        Kind::Headers { .. } => "map of names to lists".to_owned(),
        Kind::Section(_) => "section".to_owned(),
        Kind::List(_) => "list of sections".to_owned(),
        Kind::Any { .. } => "anything".to_owned(),
    }
}

fn status_of(path: &str) -> &'static str {
    let top = path.split('.').next().unwrap_or_default();
    match top {
        "compatibility" | "reporting" => "no effect",
        _ if matches!(path, "storage.s3.loglevel" | "storage.s3aws.loglevel") => "no effect",
        _ if unsupported::is_unbuilt(path) => "refused",
        _ if validate::is_without_effect(path) => "no effect",
        _ => "built",
    }
}

fn rows(
    section: &'static Section,
    prefix: &str,
    seen: &mut Vec<(*const Section, String)>,
    out: &mut String,
) {
    for key in section.keys {
        let path = format!("{prefix}{}", key.name);
        let (child, child_prefix) = match key.kind {
            Kind::Section(child) => (Some(child), format!("{path}.")),
            Kind::List(child) => (Some(child), format!("{path}[].")),
            _ => (None, String::new()),
        };
        let mut meaning = key.meaning.to_owned();
        for alias in key.aliases {
            write!(meaning, " Old name: `{alias}`.").unwrap();
        }
        if let Some(name) = key.variable {
            write!(meaning, " In variables also `{}`.", name.to_uppercase()).unwrap();
        }
        let again = child.and_then(|child| {
            let same = seen.iter().find(|(seen, _)| std::ptr::eq(*seen, child));
            same.filter(|_| !child.keys.is_empty())
        });
        if let Some((_, first)) = again {
            write!(meaning, " Its keys are those of `{first}`.").unwrap();
        }
        let again = again.is_some();
        let default = key.default.map_or("–".to_owned(), |text| format!("`{text}`"));
        let (kind, status) = (type_of(key), status_of(&path));
        writeln!(out, "| `{path}` | {kind} | {default} | {meaning} | {status} |").unwrap();
        if let Some(child) = child.filter(|_| !again) {
            seen.push((child, path));
            rows(child, &child_prefix, seen, out);
        }
    }
}

fn tables() -> String {
    let mut out = String::new();
    let mut seen = Vec::new();
    for key in ROOT.keys {
        let mut table = String::new();
        let only = Box::leak(Box::new(Section::new(std::slice::from_ref(key))));
        rows(only, "", &mut seen, &mut table);
        write!(out, "\n### `{}`\n\n{HEAD}{table}", key.name).unwrap();
    }
    out.push('\n');
    out
}

#[test]
fn the_page_has_every_key_of_the_schema_and_no_other() {
    let page = page();
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has the begin mark");
    let (found, after) = rest.split_once(END).expect("the page has the end mark");
    let expected = tables();
    if std::env::var_os("WHARF_UPDATE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    let differing = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert!(
        expected == found,
        "docs/configuration.md is not what the schema says; run the test with \
         WHARF_UPDATE_DOCS=1. First difference: {differing:?}"
    );
}

#[test]
fn every_key_has_a_meaning_in_one_line() {
    fn walk(section: &'static Section) {
        for key in section.keys {
            assert!(key.meaning.ends_with('.'), "{}", key.name);
            assert!(!key.meaning.contains(['\n', '|']), "{}", key.name);
            if let Kind::Section(child) | Kind::List(child) = key.kind {
                walk(child);
            }
        }
    }
    walk(&ROOT);
}
