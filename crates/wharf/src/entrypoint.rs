//! The command line as the entry point of Distribution's images takes it.

use std::ffi::OsString;

/// The arguments as the command line understands them.
pub(crate) fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    given.collect()
}
