//! Why one item could not be copied.

use std::time::Duration;

use http::StatusCode;
use proxy::UpstreamError;

use crate::limits::{ERROR_CHARS_MAX, REST_MIN};

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why something could not be looked at or copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The remote.
    #[error("{0}")]
    Remote(#[from] UpstreamError),
    /// This registry.
    #[error("{0}")]
    Here(Box<registry::Error>),
    /// It may not be; trying again is of no use.
    #[error("{0}")]
    Refused(String),
    /// It can't be just now.
    #[error("{0}")]
    NotNow(String),
    /// What it refers to is not at the target yet.
    #[error("{0}, which it refers to, is not at the target yet")]
    Early(oci::Digest),
}

impl From<registry::Error> for Fault {
    fn from(error: registry::Error) -> Self {
        Self::Here(Box::new(error))
    }
}

impl Fault {
    /// Whether trying again later makes no difference.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            // What is refused for what it is. Rights may be given, and repositories made.
            Self::Remote(UpstreamError::Answered { status, .. }) => {
                matches!(status.as_u16(), 400 | 405 | 413 | 415 | 422)
            }
            Self::Here(error) => {
                matches!(**error, registry::Error::ManifestInvalid(_) | registry::Error::Denied(_))
            }
            _ => false,
        }
    }

    /// How long the remote wants to be left alone, when it says that it is asked too much. Some say
    /// none at all, or a time that has passed, which is not taken at its word.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Remote(UpstreamError::Answered { status, retry_after, .. })
                if is_too_much(*status) =>
            {
                retry_after.map(|wait| wait.max(REST_MIN))
            }
            _ => None,
        }
    }

    /// Whether it says that a side does not work at all, whatever it is asked for.
    pub(crate) fn is_of_all(&self) -> bool {
        match self {
            Self::Remote(UpstreamError::Unreachable { .. } | UpstreamError::Credentials { .. }) => {
                true
            }
            Self::Remote(UpstreamError::Answered { status, .. }) => {
                status.is_server_error() || is_too_much(*status)
            }
            Self::Here(error) => matches!(**error, registry::Error::Storage(_)),
            Self::NotNow(_) => true,
            _ => false,
        }
    }

    /// Whether a manifest is not here, or so damaged that it may as well not be.
    pub(crate) fn is_unknown_here(&self) -> bool {
        use registry::Error::{Corrupt, ManifestUnknown};
        matches!(self, Self::Here(error) if matches!(**error, ManifestUnknown { .. } | Corrupt { .. }))
    }

    /// Whether it says nothing of what was tried, even if other things work: there is no room for it
    /// just now, or the remote is asked too much.
    pub(crate) fn is_not_of_item(&self) -> bool {
        match self {
            Self::NotNow(_) => true,
            Self::Remote(UpstreamError::Answered { status, .. }) => {
                *status == StatusCode::TOO_MANY_REQUESTS || self.wait().is_some()
            }
            _ => false,
        }
    }

    /// What it says, on one line and not a long one.
    pub(crate) fn text(&self) -> String {
        let line = |c: char| if c.is_control() { ' ' } else { c };
        self.to_string().chars().take(ERROR_CHARS_MAX).map(line).collect()
    }
}

/// Whether a status says that a remote is asked too much.
pub(crate) fn is_too_much(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}
