//! Events of the registry: what they say (the envelope of CNCF Distribution's notifications), the
//! outbox that keeps them until they are delivered, and their delivery to webhooks.
//!
//! ```text
//! accept ──┐                        ┌─ cursor ─ deliverer ─ POST ─> endpoint "a"
//!          ├─> writer ─> outbox ────┤
//! offer  ──┘   (one sync for many)  └─ cursor ─ deliverer ─ POST ─> endpoint "b"
//! ```
//!
//! What [`Notifier::accept`] has taken is on stable storage, and is delivered after a `kill -9` as
//! well. An endpoint that hangs or fails holds up neither a request nor another endpoint. All that
//! is kept is bounded ([`limits`]); what is lost to a bound is counted.

mod delivery;
mod descriptor;
mod envelope;
mod error;
mod event;
pub mod limits;
mod metrics;
mod notifier;
mod options;
mod outbox;
mod post;
mod record;
mod writer;

pub use descriptor::{Descriptor, Platform, references};
pub use envelope::MEDIA_TYPE;
pub use error::{NotifyError, OutboxError};
pub use event::{Action, Actor, Event, RequestRecord, Source, Target};
pub use notifier::Notifier;
pub use options::{EndpointOptions, Options, OutboxBounds};
pub use outbound::Secret;
