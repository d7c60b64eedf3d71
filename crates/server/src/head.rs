//! What of a request's head is too large to be looked at.

use http::StatusCode;
use http::request::Parts;
use oci::ErrorCode;

use crate::error::ApiError;
use crate::limits::{HEADER_BYTES_MAX, REQUEST_TARGET_BYTES_MAX};

/// Refuses a request whose target (414) or whose header fields (431; RFC 6585, section 5) are too
/// large. The specification has no code for either; the nearest says that the registry does not do
/// this.
pub(crate) fn check(parts: &Parts) -> Result<(), ApiError> {
    if parts.uri.path_and_query().is_some_and(|p| p.as_str().len() > REQUEST_TARGET_BYTES_MAX) {
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported)
            .detail(format!("the request target has more than {REQUEST_TARGET_BYTES_MAX} bytes")));
    }
    let fields = parts.headers.iter();
    let size_bytes: usize = fields.map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size_bytes > HEADER_BYTES_MAX {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(ApiError::new(status, ErrorCode::Unsupported)
            .detail(format!("the header fields have more than {HEADER_BYTES_MAX} bytes")));
    }
    Ok(())
}
