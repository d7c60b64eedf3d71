//! The pull-through mirror: other registries, asked on behalf of clients.
//!
//! [`upstream`] is the client of one other registry. It knows nothing of what is cached.

pub mod limits;
mod secret;
pub mod upstream;

pub use secret::Secret;
pub use upstream::{
    Asking, BlobBody, Credentials, Fetched, NameRules, RateLimit, RequestCounts, Resolved,
    TlsOptions, Upstream, UpstreamError, UpstreamHealth, UpstreamOptions, UpstreamSetupError,
};
