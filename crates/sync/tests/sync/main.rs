//! Jobs, between a registry in memory and a real server, and one that does what it is told.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

#[path = "../../../proxy/tests/support/fake.rs"]
mod fake;

mod faults;
mod images;
mod pushes;
mod referrers;
mod running;
mod selected;
mod support;
