//! From what went wrong with an upstream to an answer: what it said, as it said it.

use http::StatusCode;
use http::header::{self, HeaderValue};
use oci::ErrorCode;
use proxy::{MirrorError, UpstreamError};

use crate::error::ApiError;

/// After how many seconds a client may ask again for what could not be asked for.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl ApiError {
    /// The answer to a request for what is mirrored. `unknown` is the code of what is not there.
    pub(crate) fn mirrored(error: &MirrorError, unknown: ErrorCode) -> Self {
        let not_found = || Self::new(StatusCode::NOT_FOUND, unknown).detail(error.to_string());
        match error {
            MirrorError::Registry(error) => Self::from(&**error),
            MirrorError::Offline { .. } | MirrorError::Absent { .. } => not_found(),
            MirrorError::Upstream(upstream) => match upstream {
                UpstreamError::Answered { status, retry_after, .. } => {
                    if *status == StatusCode::NOT_FOUND {
                        return not_found();
                    }
                    let answer = answered(*status).detail(error.to_string());
                    match retry_after {
                        Some(wait) => {
                            answer.header(header::RETRY_AFTER, wait.as_secs().max(1).into())
                        }
                        None => answer,
                    }
                }
                UpstreamError::NotAllowed { .. } => {
                    Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied).detail(error.to_string())
                }
                _ => Self::new(StatusCode::BAD_GATEWAY, ErrorCode::Unavailable)
                    .detail(error.to_string())
                    .header(header::RETRY_AFTER, RETRY_AFTER),
            },
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
                .detail(error.to_string())
                .header(header::RETRY_AFTER, RETRY_AFTER),
        }
    }

    /// A request in the namespace of a host that is not mirrored: the repository of the same name
    /// here is another one.
    pub(crate) fn not_mirrored(host: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown)
            .detail(format!("no upstream of this mirror has the ns {host:?}; see proxy.upstreams"))
    }
}

/// The upstream's status, where it is one that a client can do something with.
fn answered(status: StatusCode) -> ApiError {
    match status {
        StatusCode::UNAUTHORIZED => ApiError::new(status, ErrorCode::Unauthorized),
        StatusCode::FORBIDDEN => ApiError::new(status, ErrorCode::Denied),
        StatusCode::TOO_MANY_REQUESTS => ApiError::new(status, ErrorCode::TooManyRequests),
        _ if status.is_server_error() => ApiError::new(status, ErrorCode::Unavailable),
        // What else it says is about wharf's request and not about the client's.
        _ => ApiError::new(StatusCode::BAD_GATEWAY, ErrorCode::Unavailable),
    }
}
