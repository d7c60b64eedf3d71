//! Backups, exports and imports.
#![allow(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod backup;
mod faults;
mod hostile;
mod images;
mod live;
mod support;
