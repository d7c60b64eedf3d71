//! `wharf config`.

use std::path::Path;
use std::process::ExitCode;

use config::{Environment, Severity};

use super::{find, load, report, say};

/// `wharf config check`: everything that is wrong or odd, a line each.
pub(crate) fn check(file: Option<&Path>, files: bool) -> ExitCode {
    let environment = Environment::of_process();
    let (source, name) = match find(file, &environment) {
        Ok(found) => found,
        Err(errors) => return report(&errors.errors),
    };
    let mut findings = config::check(&source, &environment);
    if files && let Ok(loaded) = config::load(&source, &environment) {
        findings.extend(loaded.config.check_files());
    }
    let mut usable = true;
    for finding in findings.iter().filter(|f| f.severity > Severity::Note) {
        usable &= finding.severity < Severity::Error;
        let kind = if finding.severity == Severity::Error { "error" } else { "warning" };
        say(&format!("{kind}: {finding}\n"));
    }
    if !usable {
        return ExitCode::FAILURE;
    }
    say(&format!("{name}: good\n"));
    ExitCode::SUCCESS
}

/// `wharf config print`: the effective configuration as YAML.
pub(crate) fn print(file: Option<&Path>) -> ExitCode {
    let environment = Environment::of_process();
    let loaded = match find(file, &environment) {
        Ok((source, _)) => load(&source, &environment),
        Err(errors) => Err(errors.errors),
    };
    match loaded {
        Ok(loaded) => {
            say(&loaded.config.print());
            ExitCode::SUCCESS
        }
        Err(errors) => report(&errors),
    }
}
