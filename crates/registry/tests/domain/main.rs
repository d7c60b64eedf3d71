//! The domain over the in-memory driver: one module for each family of operations.

mod blobs;
mod catalog;
mod manifests;
mod purge;
mod referrers;
mod support;
mod tags;
mod uploads;
