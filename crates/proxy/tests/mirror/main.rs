//! The mirror, between a registry that does what it is told and the storages there are: one that
//! shows what is being written, one in memory, and one that shows nothing before it is complete.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

#[path = "../support/fake.rs"]
mod fake;
mod support;

mod ahead;
mod blobs;
mod damaged;
mod failing;
mod indexes;
mod last_byte;
mod leaving;
mod lists;
mod many;
mod resuming;
mod room;
mod stale;
mod tags;
