//! Finds the configuration file.

use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// Where the official images of Distribution 3 and 2 keep their configuration, in the order in
/// which they are tried.
pub const DEFAULT_PATHS: [&str; 2] =
    ["/etc/distribution/config.yml", "/etc/docker/registry/config.yml"];

/// The variable that names the file, as in Distribution.
pub(crate) const PATH_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

/// Which configuration to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// This file; whether it can be read shows when it is.
    File(PathBuf),
    /// There is no file: [`crate::Source::zero_config`].
    None,
}

/// The file named on the command line, or by `REGISTRY_CONFIGURATION_PATH`, or one of
/// [`DEFAULT_PATHS`] that exists.
pub fn locate(positional: Option<&Path>, environment: &Environment) -> Located {
    locate_among(positional, environment, &DEFAULT_PATHS.map(Path::new))
}

fn locate_among(
    positional: Option<&Path>,
    environment: &Environment,
    defaults: &[&Path],
) -> Located {
    if let Some(path) = positional {
        return Located::File(path.to_owned());
    }
    if let Some(path) = environment.get(PATH_VARIABLE).filter(|path| !path.is_empty()) {
        return Located::File(path.into());
    }
    // A path that can't be looked at counts as present, so that the reason comes to light.
    let is_there = |path: &Path| path.try_exists().unwrap_or(true);
    match defaults.iter().find(|path| is_there(path)) {
        Some(path) => Located::File((*path).to_owned()),
        None => Located::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positional_then_variable_then_defaults_then_none() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first.yml"), dir.path().join("second.yml"));
        let defaults = [first.as_path(), second.as_path()];
        let environment = Environment::from_iter([(PATH_VARIABLE, "/from/variable.yml")]);
        let none = Environment::default();
        let file = |path: &str| Located::File(path.into());

        let given = Path::new("given.yml");
        assert_eq!(locate_among(Some(given), &environment, &defaults), file("given.yml"));
        assert_eq!(locate_among(None, &environment, &defaults), file("/from/variable.yml"));
        assert_eq!(locate_among(None, &none, &defaults), Located::None);
        std::fs::write(&second, "").unwrap();
        assert_eq!(locate_among(None, &none, &defaults), Located::File(second.clone()));
        std::fs::write(&first, "").unwrap();
        assert_eq!(locate_among(None, &none, &defaults), Located::File(first.clone()));
    }
}
