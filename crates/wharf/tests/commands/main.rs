//! The binary as a person or a script runs it: one module for each verb.
#![allow(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod backup;
mod check;
mod cli;
mod deleting;
mod garbage_collect;
mod htpasswd;
mod mirror;
mod storage_copy;
mod support;
mod sync;
