//! One module for each verb.

pub(crate) mod backup;
pub(crate) mod cert;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod evict;
pub(crate) mod garbage_collect;
pub(crate) mod healthcheck;
pub(crate) mod htpasswd;
pub(crate) mod images;
mod job;
pub(crate) mod mirror;
mod on_storage;
mod progress;
pub(crate) mod readonly;
pub(crate) mod repo;
pub(crate) mod serve;
pub(crate) mod storage_copy;
pub(crate) mod sync;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use ::config::{Config, ConfigErrors, Diagnostic, Environment, Loaded, Located, Source};
use anyhow::Context as _;

/// Says on standard error why the command can't be done, and how to go on.
pub(crate) fn refuse(message: impl std::fmt::Display) -> ExitCode {
    say_error(message);
    ExitCode::FAILURE
}

/// An error and its causes, without those that the message quotes already.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Writes a line to standard error.
fn say_error(message: impl std::fmt::Display) {
    // Nowhere to report that standard error is closed.
    let _ = writeln!(std::io::stderr(), "wharf: {message}");
}

/// Writes text to standard output.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The configuration that the command line, the environment and the default paths lead to, and
/// what it is called.
fn find(
    positional: Option<&Path>,
    environment: &Environment,
) -> Result<(Source, String), ConfigErrors> {
    match ::config::locate(positional, environment) {
        Located::File(path) => {
            let name = path.display().to_string();
            Ok((Source::read(&path)?, name))
        }
        Located::None => Ok((Source::zero_config(), "built-in defaults".into())),
    }
}

/// Loads a configuration, and refuses it if it asks for what is not built.
fn load(source: &Source, environment: &Environment) -> Result<Loaded, Vec<Diagnostic>> {
    let loaded = ::config::load(source, environment).map_err(|e| e.errors)?;
    let unsupported: Vec<_> =
        loaded.config.unsupported().into_iter().map(Diagnostic::from).collect();
    if unsupported.is_empty() { Ok(loaded) } else { Err(unsupported) }
}

/// The configuration that `serve` would use, for a command that does without the server; what is not
/// built does not matter to it. Errors and warnings are said.
fn configuration(file: Option<&Path>) -> Option<Config> {
    let environment = Environment::of_process();
    let loaded =
        find(file, &environment).and_then(|(source, _)| ::config::load(&source, &environment));
    let loaded = loaded.map_err(|errors| report(&errors.errors)).ok()?;
    say_warnings(&loaded);
    Some(loaded.config)
}

fn say_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        say_error(format_args!("warning: {warning}"));
    }
}

/// Runs a command's work to its end.
///
/// # Errors
/// When there can be no runtime.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime could not be started")?;
    let done = runtime.block_on(work);
    // An operation of a storage that hangs shall not keep it.
    runtime.shutdown_background();
    Ok(done)
}

/// The configuration of a registry whose storage a command works on, with the REGISTRY_* variables
/// that are set.
///
/// # Errors
/// When it can't be used, or its storage holds nothing beyond the process that serves it.
fn registry_of(file: &Path) -> anyhow::Result<Config> {
    let config =
        Source::read(file).and_then(|source| ::config::load(&source, &Environment::of_process()));
    let config = loaded(file, config)?;
    anyhow::ensure!(
        !matches!(config.storage.driver, ::config::Driver::InMemory),
        "{}: storage driver inmemory holds nothing beyond the process that serves it",
        file.display()
    );
    Ok(config)
}

/// What was loaded; warnings are said.
fn loaded(file: &Path, loaded: Result<Loaded, ConfigErrors>) -> anyhow::Result<Config> {
    let loaded = loaded.map_err(|errors| {
        let texts: Vec<_> = errors.errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}: configuration error: {}", file.display(), texts.join("; "))
    })?;
    say_warnings(&loaded);
    Ok(loaded.config)
}

/// Reports everything that is wrong with a configuration.
fn report(errors: &[Diagnostic]) -> ExitCode {
    for error in errors {
        say_error(format_args!("configuration error: {error}"));
    }
    ExitCode::FAILURE
}

/// The driver of a configuration, as a person would say it.
pub(crate) fn data_location(config: &Config) -> String {
    match &config.storage.driver {
        ::config::Driver::Filesystem(filesystem) => {
            let path = &filesystem.root_directory;
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        }
        other => format!("{} (gone when wharf stops)", other.name()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn causes_are_said_once() {
        let address = server::ListenAddress::Unix("/nowhere/at/all".into());
        let source = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let bare = anyhow::Error::from(source()).context("no socket");
        assert_eq!(with_causes(&bare), format!("no socket: {}", source()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listening = runtime.block_on(server::Listener::bind(&address));
        let error = listening.context("no listener").unwrap_err();
        let text = with_causes(&error);
        assert!(text.starts_with("no listener: could not listen on /nowhere/at/all: "), "{text}");
        assert_eq!(text.matches("No such file").count(), 1, "{text}");
    }
}
