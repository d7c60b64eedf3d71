//! Single images as files: OCI image layouts, as directories and as archives, and docker archives,
//! as `docker save` writes them.
//!
//! What is imported goes through the registry's own operations, so that everything that holds for a
//! push holds for it. What is exported is compared with its digests on the way.

mod docker;
mod error;
mod export;
mod files;
mod import;
mod merge;
mod platform;
mod sink;
mod spool;

pub use error::ImageError;
pub use export::{ExportOptions, ExportReport, Format, export};
pub use files::Source;
pub use import::{ImportOptions, ImportReport, import};
pub use platform::PlatformSelector;
pub use sink::Destination;
