//! What a notifier is made from.

use std::path::PathBuf;
use std::time::Duration;

use outbound::Secret;

use crate::event::{Action, Source};
use crate::limits;

/// Settings of a [`crate::Notifier`].
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who is told. Those with `disabled: true` are left out by the caller. Endpoints are known by
    /// their names across restarts; of several with one name, by their order.
    pub endpoints: Vec<EndpointOptions>,
    /// The directory of the outbox, which is created. `None` keeps the events in memory only, and
    /// loses at the end of the process what was not delivered, as Distribution does.
    pub outbox: Option<PathBuf>,
    /// How much the outbox keeps.
    pub bounds: OutboxBounds,
    /// What events say about this registry.
    pub source: Source,
    /// Whether events about manifests list what the manifest refers to
    /// (`notifications.events.includereferences`).
    pub include_references: bool,
}

/// How much an outbox keeps, for all endpoints together. When there is more, the oldest events are
/// dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxBounds {
    /// Most events. Zero is [`limits::OUTBOX_EVENTS_DEFAULT`].
    pub events_max: u64,
    /// Most bytes. Zero is [`limits::OUTBOX_BYTES_DEFAULT`], and anything else at least
    /// [`limits::OUTBOX_BYTES_MIN`].
    pub bytes_max: u64,
}

impl OutboxBounds {
    pub(crate) fn with_defaults(self) -> Self {
        let default = Self::default();
        let events_max = if self.events_max == 0 { default.events_max } else { self.events_max };
        let bytes_max = match self.bytes_max {
            0 => default.bytes_max,
            bytes => bytes.max(limits::OUTBOX_BYTES_MIN),
        };
        Self { events_max, bytes_max }
    }
}

impl Default for OutboxBounds {
    fn default() -> Self {
        Self { events_max: limits::OUTBOX_EVENTS_DEFAULT, bytes_max: limits::OUTBOX_BYTES_DEFAULT }
    }
}

/// One endpoint of `notifications.endpoints`.
#[derive(Debug, Clone, Default)]
pub struct EndpointOptions {
    /// Its name: in logs, labels of metrics, and what its place in the outbox is found by.
    pub name: String,
    /// An http or https URL. It may hold user information, which is sent as Basic credentials
    /// (RFC 7617) and never shown.
    pub url: Secret,
    /// Header fields sent with each POST, verbatim; a name may occur several times.
    pub headers: Vec<(String, Secret)>,
    /// Timeout of one POST, from the connection to the answer's end. Zero is 1 s.
    pub timeout: Duration,
    /// Failures in a row after which `backoff` is waited between tries. Zero is 10.
    pub threshold: u32,
    /// How long to wait between tries then. Zero is 1 s.
    pub backoff: Duration,
    /// Media types of targets whose events are not sent (`ignoredmediatypes` and
    /// `ignore.mediatypes` together).
    pub ignored_media_types: Vec<String>,
    /// Actions whose events are not sent (`ignore.actions`). What is no action matches nothing, as
    /// in Distribution.
    pub ignored_actions: Vec<String>,
    /// The key of the HMAC-SHA256 (RFC 2104) over the body that is sent as
    /// `X-Wharf-Signature-256: sha256=<hex>`; without it there is no such header.
    pub secret: Option<Secret>,
}

impl EndpointOptions {
    /// Whether events of this kind are sent to the endpoint.
    pub(crate) fn wants(&self, action: Action, media_type: &str) -> bool {
        self.wants_action(action) && !self.ignored_media_types.iter().any(|m| m == media_type)
    }

    /// Whether any events of this action are sent to the endpoint.
    pub(crate) fn wants_action(&self, action: Action) -> bool {
        !self.ignored_actions.iter().any(|ignored| ignored == action.as_str())
    }

    /// The same with Distribution's defaults for what is zero.
    pub(crate) fn with_defaults(mut self) -> Self {
        if self.timeout.is_zero() {
            self.timeout = limits::TIMEOUT_DEFAULT;
        }
        if self.threshold == 0 {
            self.threshold = limits::THRESHOLD_DEFAULT;
        }
        if self.backoff.is_zero() {
            self.backoff = limits::BACKOFF_DEFAULT;
        }
        self
    }
}
