//! The registry's domain over a storage [`Driver`](storage::Driver): blobs, uploads, manifests,
//! tags, referrers and the catalog.
//!
//! It knows the storage layout of Distribution and keeps to it byte for byte, and it knows nothing
//! of HTTP or of users. What lies on the storage is the only truth: everything kept in memory is
//! derived from it, bounded, and checked against it before it is believed.

mod answers;
mod blobs;
mod body;
mod catalog;
pub mod check;
mod claims;
pub mod collection;
pub mod descriptors;
mod error;
pub mod eviction;
mod inventory;
pub mod layout;
mod lease;
pub mod limits;
mod link;
mod listings;
mod manifests;
mod pace;
mod page;
mod pattern;
mod policy;
mod pulls;
mod purge;
mod read_only;
mod redirects;
mod referrers;
mod registry;
mod repositories;
pub mod retention;
mod scrub;
mod tags;
mod trail;
pub mod transfer;
mod uploads;

pub use answers::Answer;
pub use blobs::{Blob, BlobStat};
pub use body::{Body, Chunk, ChunkRange};
pub use check::{Check, CheckError, CheckOptions};
pub use collection::{Collection, CollectionError, CollectionOptions};
pub use error::{BodyError, Error, ReferenceFault, Result};
pub use eviction::{Eviction, EvictionOptions};
pub use inventory::Inventory;
pub use lease::Lease;
pub use manifests::{CacheStats, ManifestPush, PushedManifest, StoredManifest};
pub use pace::Pace;
pub use page::{Names, Page};
pub use pattern::{PatternError, RepositoryPattern, TagPattern, TagPatternError};
pub use policy::{IndexPlatforms, MissingReferences, UrlRules, Validation};
pub use purge::PurgeReport;
pub use read_only::ReadOnlyNote;
pub use redirects::{RedirectRule, Redirects, UrlSigner};
pub use referrers::{ReferrerDescriptor, Referrers};
pub use registry::{Options, Registry};
pub use repositories::DeletedRepository;
pub use retention::RetentionRules;
pub use scrub::{Scrub, ScrubOptions, ScrubStatus};
pub use transfer::{Transfer, TransferError, TransferOptions};
pub use uploads::{Progress, UploadId, UploadStatus, Written};
