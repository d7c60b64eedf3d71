//! From text and environment to a checked [`Config`].

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    canonical::canonical,
    complete,
    config::Config,
    diagnostic::{ConfigErrors, Diagnostic, Findings, Location, Origin, Severity},
    environment::{self, Environment},
    limits,
    schema::Kind,
    sections::ROOT,
    tree::Node,
    validate, yaml,
};

/// What `wharf serve` runs with when no file is found.
const ZERO_CONFIG: &str = "\
version: 0.1
storage:
  filesystem:
    rootdirectory: ./wharf-data
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
http:
  addr: :5000
health:
  storagedriver:
    enabled: true
    threshold: 3
";

/// The text of a configuration, and what to call it.
#[derive(Clone)]
pub struct Source {
    path: PathBuf,
    text: String,
    builtin: bool,
}

impl std::fmt::Debug for Source {
    /// The name only: the text may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.path.display())
    }
}

impl Source {
    /// The text of the file at `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), builtin: false }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// The file can't be read, is too large or no UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let text = read(path).map_err(|message| {
            let location = Location::File { path: path.to_owned(), line: 0, column: 0 };
            let (severity, key) = (Severity::Error, String::new());
            let errors = vec![Diagnostic { severity, location, key, message }];
            ConfigErrors { errors, warnings: Vec::new() }
        })?;
        Ok(Self::new(path, text))
    }

    /// The configuration that stands in when there is no file; variables apply to it too.
    pub fn zero_config() -> Self {
        let path = PathBuf::from("built-in defaults");
        Self { path, text: ZERO_CONFIG.to_owned(), builtin: true }
    }
}

/// A configuration that can be used, and what was noticed about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Worth a line at warning level each: unknown keys, unknown variables, keys without effect.
    pub warnings: Vec<Diagnostic>,
    /// Worth a line at debug level each: variables that were passed over.
    pub notes: Vec<Diagnostic>,
}

/// Loads a configuration. Features that aren't built yet are no error here; see
/// [`Config::unsupported`].
///
/// # Errors
/// Everything that is wrong, not just the first thing.
pub fn load(source: &Source, environment: &Environment) -> Result<Loaded, ConfigErrors> {
    let (config, findings) = build(source, environment);
    let mut loaded = Loaded { config, warnings: Vec::new(), notes: Vec::new() };
    let mut errors = Vec::new();
    for finding in findings {
        match finding.severity {
            Severity::Error => errors.push(finding),
            Severity::Warning => loaded.warnings.push(finding),
            Severity::Note => loaded.notes.push(finding),
        }
    }
    if errors.is_empty() {
        return Ok(loaded);
    }
    Err(ConfigErrors { errors, warnings: loaded.warnings })
}

/// Reads a file and loads it.
///
/// # Errors
/// The file can't be read, is too large or no UTF-8; else as [`load()`].
pub fn load_file(path: &Path, environment: &Environment) -> Result<Loaded, ConfigErrors> {
    load(&Source::read(path)?, environment)
}

/// All findings about a configuration, refused features included as errors, the gravest first
/// and otherwise in the order of the file. Empty means that it is fine.
pub fn check(source: &Source, environment: &Environment) -> Vec<Diagnostic> {
    let (config, mut findings) = build(source, environment);
    findings.extend(config.unsupported().into_iter().map(Diagnostic::from));
    let line_of = |finding: &Diagnostic| match &finding.location {
        Location::File { line, column, .. } => (*line, *column),
        _ => (usize::MAX, 0),
    };
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), line_of(finding)));
    findings
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("can't be read: {error}");
    let mut bytes = Vec::new();
    let size_max = limits::FILE_SIZE_BYTES_MAX as u64 + 1;
    File::open(path).map_err(failed)?.take(size_max).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limits::FILE_SIZE_BYTES_MAX {
        return Err(format!("is larger than {} bytes", limits::FILE_SIZE_BYTES_MAX));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        format!("is not UTF-8 text (line {})", line + 1)
    })
}

pub(crate) fn zero_config() -> Config {
    build(&Source::zero_config(), &Environment::default()).0
}

/// Total: whatever the input is, there is a configuration, which counts only without errors.
pub(crate) fn build(source: &Source, environment: &Environment) -> (Config, Vec<Diagnostic>) {
    let mut findings = Findings::new(source.path.clone());
    let origin = source.builtin.then_some(Origin::Builtin);
    let mut root = match yaml::parse(&source.text, origin.as_ref(), &mut findings) {
        Ok(root) => canonical(root, Kind::Section(&ROOT), "", &mut findings),
        Err(error) => {
            let origin = Origin::File { line: error.line, column: error.column };
            findings.error(&origin, "", format!("not valid YAML: {}", error.message));
            let root = Node::mapping(Vec::new(), Origin::Builtin);
            // Nothing more can be said about a file that isn't understood.
            return (Config::read(root, source.path.clone()), findings.finish());
        }
    };
    validate::version(&root, &mut findings);
    environment::apply(&mut root, environment, &mut findings);
    validate::replace_old_keys(&mut root, &mut findings);
    complete::complete_section(&mut root, &ROOT, "", &mut findings);
    validate::whole(&root, &mut findings);
    (Config::read(root, source.path.clone()), findings.finish())
}
