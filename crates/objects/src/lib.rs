//! Storage drivers over object stores: S3 and what speaks its protocol, Azure Blob Storage, Google
//! Cloud Storage.
//!
//! The keys are those that Distribution's drivers write, so that a bucket changes hands as it is.
//! What is wharf's own are the records of unfinished uploads, beside their data.
//!
//! Every store is talked to by one library (`object_store`); this crate makes files and directories
//! of its objects, uploads that any replica can continue of its multipart uploads, and sees to it
//! that an outage stays one.

mod azure;
mod client;
mod cloudfront;
mod copying;
mod driver;
mod error;
mod failure;
#[cfg(test)]
mod fake;
mod gcs;
mod guard;
mod keys;
pub mod limits;
mod listing;
mod options;
mod probe;
mod reading;
mod s3;
mod staging;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use azure::{AzureCredentials, AzureOptions};
pub use cloudfront::{
    AmazonNetworks, CloudFront, CloudFrontError, CloudFrontOptions, NetworksError,
};
pub use driver::Objects;
pub use error::OpenError;
pub use gcs::{GcsCredentials, GcsOptions};
pub use guard::StoreHealth;
pub use options::{OpenOptions, Transport};
pub use probe::{Findings, ProbeError};
pub use s3::{Amazon, Endpoint, Keys, S3Options};
