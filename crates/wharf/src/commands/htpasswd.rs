//! `wharf htpasswd`.

use std::path::Path;
use std::process::ExitCode;

use super::refuse;

/// Adds a user.
pub(crate) fn add(_file: &Path, _user: &str, _cost: u32) -> ExitCode {
    refuse("htpasswd is not built yet")
}

/// Removes a user.
pub(crate) fn remove(_file: &Path, _user: &str) -> ExitCode {
    refuse("htpasswd is not built yet")
}

/// Lists the users.
pub(crate) fn list(_file: &Path) -> ExitCode {
    refuse("htpasswd is not built yet")
}

/// Checks a password.
pub(crate) fn verify(_file: &Path, _user: &str) -> ExitCode {
    refuse("htpasswd is not built yet")
}
