//! The HTTP API of the registry: listeners, routing, and the translation between HTTP and the
//! domain.
//!
//! [`App`] is the API over a [`registry::Registry`]; [`serve`] runs it on a [`Listener`]. What the
//! API looks like from outside is in `docs/api.md`, where it differs from Distribution in
//! `docs/differences.md`.

mod accept;
mod access_log;
mod app;
mod authorize;
mod body;
mod client_address;
mod conditional;
mod content_range;
mod cors;
mod debug;
mod error;
mod events;
mod exchange;
mod finishing;
mod foreign;
mod forwarded;
mod free_space;
mod gate;
mod handlers;
mod head;
mod headers;
mod health;
pub mod limits;
mod listen;
mod locations;
mod metrics;
mod mirror_error;
mod namespace;
mod options;
mod pagination;
mod pushes;
mod query;
mod range;
mod rate_limit;
mod read_only;
mod request_log;
mod response;
mod route;
mod state_token;
mod trace;
mod write_gate;

pub use access_log::AccessLog;
pub use app::App;
pub use debug::{DebugOptions, RegistryVars};
pub use exchange::Peer;
pub use free_space::FreeSpaceMin;
pub use health::{Check, CheckError, Health, HttpCheck, Schedule};
pub use listen::{Drained, ListenAddress, ListenError, Listener, serve, serve_debug};
pub use metrics::{Metrics, StoreHealth};
pub use options::{
    Deletion, HostUrl, NotRedirected, OptionsError, PathPrefix, Secret, ServerOptions,
};
pub use pushes::PushWatcher;
pub use rate_limit::{RateLimit, RateLimitBy};
pub use read_only::ReadOnly;
pub use route::{Deleted, NoRoute, Route};
pub use trace::SPAN_TARGET;
pub use write_gate::WriteGate;

/// Entry points for fuzzing: what parses the text of strangers.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::content_range::parse_chunk_range;
    pub use crate::range::{Requested, parse_range};
    pub use crate::route::Route;
    pub use crate::state_token::StateToken;
}
