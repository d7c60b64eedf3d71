//! Why a request may not go on.

use std::time::Duration;

use http::HeaderValue;

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 401 with a challenge.
    #[error("{0}")]
    Unauthorized(Box<Unauthorized>),
    /// 429: too many failed logins from this address.
    #[error("too many failed logins from this address; try again in {} s", .retry_after.as_secs())]
    TooManyFailures {
        /// When to try again.
        retry_after: Duration,
    },
    /// 503: it can't be found out who is asking, such as with an unreadable htpasswd file.
    #[error("{0}")]
    Unavailable(String),
}

/// A request without the credentials it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unauthorized {
    /// `WWW-Authenticate` (RFC 9110, section 11.6.1).
    pub challenge: HeaderValue,
    /// Which kind of failure it was, for metrics: a word of a fixed set, such as `missing`,
    /// `password`, `expired`, `scope`.
    pub kind: &'static str,
    /// What was wrong, for the log and for the client. Names no credential.
    pub reason: String,
}

impl Refusal {
    /// A 401.
    pub fn unauthorized(
        challenge: HeaderValue,
        kind: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        Self::Unauthorized(Box::new(Unauthorized { challenge, kind, reason: reason.into() }))
    }
}
