//! What was found wrong or odd in a configuration, and where.

use std::{fmt, path::PathBuf};

use crate::limits;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do; worth a line at debug level.
    Note,
    /// The configuration works, but probably not as its writer meant.
    Warning,
    /// The configuration can't be used.
    Error,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A place in the configuration file. Lines and columns count from 1; 0 is the whole file.
    File {
        /// The file as it was named by the user.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable, by its full name.
    Variable(String),
    /// Nobody wrote it: a default.
    Builtin,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Builtin => f.write_str("built-in defaults"),
        }
    }
}

/// One finding. `Display` gives one line, ready for a terminal: place, key, message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub location: Location,
    /// The dotted key, such as `http.tls.certificate`; empty when the finding is about no key.
    pub key: String,
    /// What is wrong and what to change. Never holds a secret.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that keeps a configuration from being used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.to_lines())]
pub struct ConfigErrors {
    /// At least one finding of severity [`Severity::Error`].
    pub errors: Vec<Diagnostic>,
    /// What else was found on the way.
    pub warnings: Vec<Diagnostic>,
}

impl ConfigErrors {
    fn to_lines(&self) -> String {
        self.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// Where a node of the tree came from; the file's path is known only to [`Findings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Line and column in the file, from 1.
    File { line: usize, column: usize },
    /// An environment variable.
    Variable(std::sync::Arc<str>),
    /// A default.
    Builtin,
}

/// Collects findings, bounded by [`limits::DIAGNOSTICS_MAX`] for each severity.
#[derive(Debug)]
pub(crate) struct Findings {
    path: PathBuf,
    found: Vec<Diagnostic>,
    errors_dropped: usize,
}

impl Findings {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, found: Vec::new(), errors_dropped: 0 }
    }

    pub(crate) fn location(&self, origin: &Origin) -> Location {
        match origin {
            Origin::File { line, column } => {
                Location::File { path: self.path.clone(), line: *line, column: *column }
            }
            Origin::Variable(name) => Location::Variable(name.to_string()),
            Origin::Builtin => Location::Builtin,
        }
    }

    /// Whether there is no room for more of a severity, so that no work need go into a message.
    /// Each severity has its own room: many warnings must not hide an error.
    pub(crate) fn is_full(&self, severity: Severity) -> bool {
        let same = self.found.iter().filter(|finding| finding.severity == severity);
        same.count() >= limits::DIAGNOSTICS_MAX
    }

    fn push(&mut self, severity: Severity, origin: &Origin, key: &str, message: String) {
        if self.is_full(severity) {
            if severity == Severity::Error {
                self.errors_dropped += 1;
            }
            return;
        }
        let location = self.location(origin);
        self.found.push(Diagnostic { severity, location, key: key.to_owned(), message });
    }

    pub(crate) fn error(&mut self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.push(Severity::Error, origin, key, message.into());
    }

    pub(crate) fn warning(&mut self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.push(Severity::Warning, origin, key, message.into());
    }

    pub(crate) fn note(&mut self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.push(Severity::Note, origin, key, message.into());
    }

    /// Whether something is wrong with a key.
    pub(crate) fn has_error(&self, key: &str) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error && found.key == key)
    }

    /// All findings in the order they were made, and a last one for what did not fit.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.errors_dropped > 0 {
            self.found.push(Diagnostic {
                severity: Severity::Error,
                location: Location::File { path: self.path, line: 0, column: 0 },
                key: String::new(),
                message: format!("{} more errors are not shown", self.errors_dropped),
            });
        }
        self.found
    }
}
