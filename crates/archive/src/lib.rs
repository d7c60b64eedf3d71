//! A registry outside of a registry: backups as OCI image layouts, and single images as files.
//!
//! [`Backup`] keeps snapshots of a whole registry in any storage driver, so in a directory or a
//! bucket, and puts them back into any other. [`image`] writes single images as OCI layouts and
//! docker archives and reads them.
//!
//! What is read here was written by others: every digest is checked, sizes are bounded, and nothing
//! is unpacked to where a path in a file leads.

pub mod backup;
mod content;
pub mod image;
mod layout;
pub mod limits;
mod meter;
mod oci_layout;
mod tar;

pub use backup::{Backup, BackupError};
pub use image::ImageError;
pub use meter::{Meter, Progress};
pub use tar::TarError;
