//! Tests of the crate as a whole, by area.

mod bounds;
mod files;
mod images;
mod keys;
mod middleware;
mod printed;
mod proxy;
mod random;
mod refused;
mod retention;
mod secrets;
mod sync;
mod variables;
mod yaml_rules;

use crate::*;

/// Loads a text under the name `config.yml` with variables.
fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let environment = variables.iter().copied().collect();
    load(&Source::new("config.yml", text), &environment)
}

/// A configuration around the given lines, which stand from line 4 on.
fn with(lines: &str) -> String {
    format!("version: 0.1\nstorage:\n  inmemory:\n{lines}\n")
}

/// The configuration without complaints of any kind.
#[track_caller]
fn clean(text: &str, variables: &[(&str, &str)]) -> Config {
    match load_with(text, variables) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings, vec![], "of {text}\n{variables:?}");
            loaded.config
        }
        Err(errors) => panic!("{errors}\nof {text}\n{variables:?}"),
    }
}

/// The warnings as lines.
#[track_caller]
fn warnings(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load_with(text, variables) {
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
        Err(errors) => panic!("{errors}\nof {text}\n{variables:?}"),
    }
}

/// The errors as lines.
#[track_caller]
fn errors(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load_with(text, variables) {
        Ok(_) => panic!("no error\nof {text}\n{variables:?}"),
        Err(errors) => errors.errors.iter().map(ToString::to_string).collect(),
    }
}
