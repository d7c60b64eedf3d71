//! What can go wrong with an upstream.

use std::time::Duration;

use http::StatusCode;

/// Why an upstream did not give what it was asked for. Never shows a credential or a URL's query.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// It answered, and it was no: the status as it is, be it 401, 403, 404, 429 or 5xx.
    #[error("upstream {upstream} answered {}: {message}", status.as_u16())]
    Answered {
        /// The upstream's name.
        upstream: String,
        /// Its status.
        status: StatusCode,
        /// The code of its first error, as `MANIFEST_UNKNOWN`.
        code: Option<String>,
        /// What it says, shortened.
        message: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    #[error("upstream {upstream} can't be reached: {reason}")]
    Unreachable {
        /// The upstream's name.
        upstream: String,
        /// What happened.
        reason: String,
    },
    /// There was an answer that can't be right.
    #[error("the answer of upstream {upstream} is not valid: {reason}")]
    Invalid {
        /// The upstream's name.
        upstream: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not asked for this repository.
    #[error("upstream {upstream} is not asked for repository {name:?}")]
    NotAllowed {
        /// The upstream's name.
        upstream: String,
        /// The repository's name there.
        name: String,
    },
    /// There are no credentials for it, though there should be.
    #[error("no credentials for upstream {upstream}: {reason}")]
    Credentials {
        /// The upstream's name.
        upstream: String,
        /// Why.
        reason: String,
    },
    /// A body ended before its end.
    #[error("the body from upstream {upstream} ended after {at_bytes} bytes: {reason}")]
    Cut {
        /// The upstream's name.
        upstream: String,
        /// How many bytes of the content there were, those before the offset included.
        at_bytes: u64,
        /// What happened.
        reason: String,
    },
}

impl UpstreamError {
    /// The status that the upstream answered with.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the upstream said that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }
}

/// Why an upstream can't be used as it is configured.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamSetupError {
    /// There is no URL to ask.
    #[error("upstream {upstream} has no URL")]
    NoEndpoint {
        /// The upstream's name.
        upstream: String,
    },
    /// A URL can't be asked.
    #[error("the URL of upstream {upstream} can't be used: {reason}")]
    Url {
        /// The upstream's name.
        upstream: String,
        /// Why.
        reason: String,
    },
    /// A file can't be read or is not what it should be.
    #[error("{path} of upstream {upstream} can't be used: {reason}")]
    File {
        /// The upstream's name.
        upstream: String,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The credentials can't be had in the way that is configured.
    #[error("the credentials of upstream {upstream} can't be used: {reason}")]
    Credentials {
        /// The upstream's name.
        upstream: String,
        /// Why.
        reason: String,
    },
    /// Names can't be rewritten in this way.
    #[error("upstream {upstream} can't rewrite {from:?} to {to:?}: write path components")]
    Rewrite {
        /// The upstream's name.
        upstream: String,
        /// What is replaced.
        from: String,
        /// What it is replaced with.
        to: String,
    },
    /// There is no HTTP client.
    #[error("there is no HTTP client for upstream {upstream}: {reason}")]
    Client {
        /// The upstream's name.
        upstream: String,
        /// What the library says.
        reason: String,
    },
}
