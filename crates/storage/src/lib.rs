//! Bytes by path: the [`Driver`] trait, the drivers behind it, and the conformance suite that
//! every driver passes.
//!
//! A driver is addressed by [`StoragePath`]s like those of Distribution, so that the layout on a
//! volume or in a bucket stays the same. It knows nothing of blobs, tags or repositories.

pub mod conformance;
mod driver;
mod error;
pub mod faulty;
pub mod filesystem;
pub mod limits;
pub mod memory;
pub mod observed;
mod pages;
mod path;
pub mod watch;

pub use driver::{
    Appender, ByteStream, Change, Driver, Entry, EntryKind, Feed, Listing, ListingVersion, Object,
    Space, Stat, delete_remains,
};
pub use error::{Result, StorageError, found};
pub use observed::{Observed, Observer};
pub use pages::Pages;
pub use path::{PathError, StoragePath, is_temporary_file};
