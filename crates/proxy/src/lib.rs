//! The pull-through mirror: other registries, asked on behalf of clients.
//!
//! [`upstream`] is the client of one other registry. It knows nothing of what is cached. [`Mirror`]
//! knows which upstream covers which repository, and keeps what it gave in the registry.

mod ahead;
mod coverage;
mod error;
mod fetch;
mod flights;
mod last_error;
pub mod limits;
mod mirror;
pub mod upstream;

pub use ahead::{Prefetch, PrefetchCounts};
pub use coverage::{Coverage, Covering, Namespace, Policy, SetupError};
pub use error::{MirrorError, Wanted};
pub use fetch::{FetchCounts, FreeSpace};
pub use last_error::LastError;
pub use mirror::{Head, KindCounts, Mirror, MirrorCounts, Mirrored, Served};
pub use outbound::Secret;
pub use upstream::{
    Asking, Begun, BlobBody, Break, Credentials, Fetched, NameRules, Outgoing, PendingUpload,
    PutManifest, RateLimit, RequestCounts, Resolved, TlsOptions, Upstream, UpstreamBlob,
    UpstreamError, UpstreamHealth, UpstreamOptions, UpstreamSetupError, rewritten,
};
