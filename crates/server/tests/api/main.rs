//! The HTTP API as clients see it: a real listener on a free port, over the in-memory driver.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

#[path = "../../../proxy/tests/support/fake.rs"]
mod fake;

mod authentication;
mod base;
mod blobs;
mod catalog;
mod connections;
mod cors;
mod debug;
mod errors;
mod events;
mod gate;
mod health;
mod limits;
mod locations;
mod logs;
mod maintenance;
mod manifests;
mod mirror;
mod pulls;
mod pushes;
mod redirects;
mod referrers;
mod repositories;
mod support;
mod tags;
mod tls;
mod trap;
mod uploads;
