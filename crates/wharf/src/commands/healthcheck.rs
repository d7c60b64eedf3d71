//! `wharf healthcheck`.

use std::process::ExitCode;

use super::refuse;

/// Asks the running server whether it is well.
pub(crate) fn run(_url: Option<&str>) -> ExitCode {
    refuse("healthcheck is not built yet")
}
