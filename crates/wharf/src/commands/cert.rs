//! `wharf cert new`.

use std::path::Path;
use std::process::ExitCode;

use super::refuse;

/// Makes a server certificate, and a local authority that signs it.
pub(crate) fn new(_hosts: &[String], _out: &Path, _days: u32) -> ExitCode {
    refuse("cert new is not built yet")
}
