//! `REGISTRY_*` variables over the tree.
//!
//! The names are walked down the schema (never down the tree alone), so that a variable that
//! leads nowhere changes nothing. Both Go's field names and the YAML names are understood.

mod place;

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use crate::{
    canonical::canonical,
    diagnostic::{Findings, Origin, Severity},
    limits, locate,
    nearest::nearest,
    schema::{Kind, Section},
    sections::ROOT,
    tree::{Node, Value},
    yaml,
};

use place::{Unresolved, dotted, index_of, resolve, set};

const PREFIX: &str = "REGISTRY_";

/// The environment variables of the process, as far as they are wharf's.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    not_utf8: Vec<String>,
}

impl std::fmt::Debug for Environment {
    /// Names only: the values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        Self { variables, not_utf8: Vec::new() }
    }
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match value.into_string() {
                Ok(value) => {
                    environment.variables.insert(name.to_owned(), value);
                }
                Err(_) => environment.not_utf8.push(name.to_owned()),
            }
        }
        environment
    }

    /// The value of a `REGISTRY_*` variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Names and values, parents before children and list elements by number.
    fn sorted(&self) -> Vec<(&str, &str, Vec<&str>)> {
        let mut sorted: Vec<_> = self
            .variables
            .iter()
            .map(|(name, value)| {
                let segments = name[PREFIX.len()..].split('_').collect();
                (name.as_str(), value.as_str(), segments)
            })
            .collect();
        sorted.sort_by(|(_, _, left): &(_, _, Vec<&str>), (_, _, right)| {
            let pairs = left.iter().zip(right);
            let unequal = pairs.map(|(l, r)| compare(l, r)).find(|order| order.is_ne());
            unequal.unwrap_or(left.len().cmp(&right.len()))
        });
        sorted
    }
}

/// Bytewise, as Distribution sorts, but numbers by value: element 2 must come before element 10.
fn compare(left: &str, right: &str) -> Ordering {
    match (index_of(left), index_of(right)) {
        (Some(l), Some(r)) => l.cmp(&r),
        _ => left.cmp(right),
    }
}

/// Applies all variables to a canonical tree.
pub(crate) fn apply(root: &mut Node, environment: &Environment, findings: &mut Findings) {
    for name in &environment.not_utf8 {
        let origin = Origin::Variable(Arc::from(name.as_str()));
        findings.error(&origin, "", "the value is not UTF-8 text");
    }
    for (index, (name, value, segments)) in environment.sorted().into_iter().enumerate() {
        let origin = Origin::Variable(Arc::from(name));
        if index >= limits::VARIABLES_MAX {
            let message = format!("more than {} variables", limits::VARIABLES_MAX);
            findings.error(&origin, "", message);
            return;
        }
        if name == locate::PATH_VARIABLE {
            continue;
        }
        if name == "REGISTRY_VERSION" {
            findings.warning(&origin, "version", "a variable can't change the version; ignored");
            continue;
        }
        apply_one(root, &segments, value, &origin, findings);
    }
}

fn apply_one(
    root: &mut Node,
    segments: &[&str],
    value: &str,
    origin: &Origin,
    findings: &mut Findings,
) {
    let mut steps = Vec::new();
    let kind = match resolve(segments, Kind::Section(&ROOT), &mut steps) {
        Ok(kind) => kind,
        Err(_) if is_service_variable(segments) => {
            findings.note(origin, "", "set by Kubernetes or Docker for a service; passed over");
            return;
        }
        Err(Unresolved::NotAnIndex(segment)) => {
            let message =
                format!("`{segment}` is no index of the list; write 0 for its first element");
            findings.error(origin, "", message);
            return;
        }
        Err(Unresolved::Unknown) if findings.is_full(Severity::Warning) => return,
        Err(Unresolved::Unknown) => {
            let hint = match nearest_variable(segments) {
                Some(name) => format!("; did you mean {name}?"),
                None => String::new(),
            };
            findings.warning(origin, "", format!("unrecognized, ignored{hint}"));
            return;
        }
    };
    let path = dotted(&steps);
    if value.len() > limits::VARIABLE_SIZE_BYTES_MAX {
        let message = format!("the value is larger than {} bytes", limits::VARIABLE_SIZE_BYTES_MAX);
        findings.error(origin, &path, message);
        return;
    }
    let Some(new) = parse(value, kind, &path, origin, findings) else { return };
    if let Err(message) = set(root, &steps, new, origin) {
        findings.error(origin, &path, message);
    }
}

/// The value as YAML, as Distribution reads it; `None` when an error has been reported.
fn parse(
    value: &str,
    kind: Kind,
    path: &str,
    origin: &Origin,
    findings: &mut Findings,
) -> Option<Node> {
    let is_scalar = !matches!(
        kind,
        Kind::Section(_)
            | Kind::List(_)
            | Kind::TextList(_)
            | Kind::TextMap { .. }
            | Kind::Headers { .. }
            | Kind::Any { .. }
    );
    if !is_scalar {
        return match yaml::parse(value, Some(origin), findings) {
            Ok(node) => Some(canonical(node, kind, path, findings)),
            Err(error) => {
                findings.error(origin, path, format!("the value is not valid YAML ({error})"));
                None
            }
        };
    }
    // What YAML takes for something else than a single value (a password that starts with `*`,
    // or holds `: `) is an error in Distribution; here the text is simply taken as it is.
    let mut unheard = Findings::new(Default::default());
    match yaml::parse(value, Some(origin), &mut unheard) {
        Ok(node) if matches!(node.value, Value::Scalar(_)) => {
            if value.contains(" #") && node.as_text().is_some_and(|text| !text.contains(" #")) {
                let message = "what follows ` #` is a comment in YAML; quote the value to keep it";
                findings.warning(origin, path, message);
            }
            Some(node)
        }
        _ => Some(Node::scalar(value, true, origin.clone())),
    }
}

/// Variables that Kubernetes and Docker set for a service or a link called `registry` or
/// `registry-…`, such as `REGISTRY_PORT_5000_TCP_ADDR` and `REGISTRY_SERVICE_HOST`.
fn is_service_variable(segments: &[&str]) -> bool {
    (0..segments.len()).any(|start| match &segments[start..] {
        ["PORT"] | ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => true,
        ["PORT", number, "TCP" | "UDP" | "SCTP", rest @ ..] => {
            index_of(number).is_some() && matches!(rest, [] | ["ADDR" | "PORT" | "PROTO"])
        }
        ["NAME"] | ["ENV", ..] => start == 0,
        _ => false,
    })
}

/// The known variable that a name was probably meant to be.
fn nearest_variable(segments: &[&str]) -> Option<String> {
    let mut names = Vec::new();
    variable_names(&ROOT, "", &mut names);
    let unknown = segments.join("_");
    let name = nearest(&unknown, names.iter().map(String::as_str))?;
    Some(format!("{PREFIX}{name}"))
}

fn variable_names(section: &'static Section, prefix: &str, names: &mut Vec<String>) {
    for key in section.keys {
        for name in key.variable_names() {
            let name = format!("{prefix}{}", name.to_ascii_uppercase());
            match key.kind {
                Kind::Section(section) => variable_names(section, &format!("{name}_"), names),
                Kind::List(section) => variable_names(section, &format!("{name}_0_"), names),
                _ => {}
            }
            names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_utf8_is_an_error_that_names_the_variable() {
        let mut environment = Environment::default();
        environment.not_utf8.push("REGISTRY_HTTP_SECRET".to_owned());
        let mut findings = Findings::new("config.yml".into());
        apply(&mut Node::mapping(vec![], Origin::Builtin), &environment, &mut findings);
        let lines: Vec<String> = findings.finish().iter().map(ToString::to_string).collect();
        let expected = "environment variable REGISTRY_HTTP_SECRET: the value is not UTF-8 text";
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn the_process_has_only_our_variables() {
        // Cargo sets CARGO_MANIFEST_DIR for tests, which is none of ours.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let environment = Environment::of_process();
        assert!(environment.variables.keys().all(|name| name.starts_with(PREFIX)));
        assert_eq!(environment.get("CARGO_MANIFEST_DIR"), None);
    }
}
