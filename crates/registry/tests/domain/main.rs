//! The domain over the in-memory driver: one module for each family of operations.
#![allow(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod blobs;
mod catalog;
mod check;
mod collection;
mod deletions;
mod descriptors;
mod eviction;
mod faults;
mod inventory;
mod manifests;
mod purge;
mod read_only;
mod referrers;
mod remembered;
mod remote;
mod repositories;
mod retention;
mod scrub;
mod support;
mod tags;
mod transfer;
mod uploads;
