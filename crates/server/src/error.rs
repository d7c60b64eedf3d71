//! Errors as clients get them, and the one place that maps the domain's errors to them.

use std::time::Duration;

use auth::{Access, Refusal};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use oci::{DigestError, ErrorCode, NameError, ReferenceError};
use registry::{BodyError, Error, ReferenceFault};
use serde_json::{Value, json};
use storage::StorageError;

use crate::free_space;
use crate::headers;
use crate::limits::ERROR_DETAIL_CHARS_MAX;
use crate::response::{Response, ResponseBody};

/// An error response: a status and one or more entries of the specification's error format.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The first entry, which decides what is logged.
    pub(crate) code: ErrorCode,
    /// For a person; [`ErrorCode::message`] unless Distribution has another text for the case.
    pub(crate) message: &'static str,
    /// What exactly is wrong.
    pub(crate) detail: Option<Box<Value>>,
    /// Further entries: a code and its detail.
    more: Vec<(ErrorCode, Value)>,
    /// Headers to send along.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the log has in place of the detail, for what a client is not told.
    logged: Option<String>,
}

impl ApiError {
    /// An error with the code's own message and nothing else.
    pub(crate) fn new(status: StatusCode, code: ErrorCode) -> Self {
        Self {
            status,
            code,
            message: code.message(),
            detail: None,
            more: Vec::new(),
            headers: Vec::new(),
            logged: None,
        }
    }

    /// Adds the detail; a long text is cut.
    pub(crate) fn detail(mut self, detail: impl Into<Value>) -> Self {
        self.detail = Some(Box::new(match detail.into() {
            Value::String(text) if text.len() > ERROR_DETAIL_CHARS_MAX => {
                text.chars().take(ERROR_DETAIL_CHARS_MAX).collect::<String>().into()
            }
            detail => detail,
        }));
        self
    }

    /// Replaces the message.
    pub(crate) fn message(mut self, message: &'static str) -> Self {
        self.message = message;
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 400 with the reason.
    pub(crate) fn bad_request(code: ErrorCode, reason: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code).detail(reason.to_string())
    }

    /// A digest that is missing, malformed or of an unsupported algorithm.
    pub(crate) fn digest_invalid(reason: impl ToString) -> Self {
        Self::bad_request(ErrorCode::DigestInvalid, reason)
    }

    /// A name that no repository can have.
    pub(crate) fn name_invalid(reason: &NameError) -> Self {
        Self::bad_request(ErrorCode::NameInvalid, reason)
    }

    /// A path that is not one of the API's. The specification has no code for that; the nearest
    /// says that the registry does not do this.
    pub(crate) fn no_such_endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported)
            .detail("no such endpoint: see the OCI distribution specification for those there are")
    }

    /// 405, with what is allowed and why the rest is not.
    pub(crate) fn method_not_allowed(allowed: HeaderValue, reason: impl ToString) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported)
            .detail(reason.to_string())
            .header(header::ALLOW, allowed)
    }

    /// What every path but the probes answers while the health check fails.
    pub(crate) fn unhealthy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
            .detail("health check failed: please see /debug/health")
    }

    /// A manifest that can't be there because no reference reads like this.
    pub(crate) fn impossible_reference(error: &ReferenceError, method: &Method) -> Self {
        match (error, method) {
            (ReferenceError::Digest(reason), _) => Self::digest_invalid(reason),
            (_, &Method::PUT) => Self::bad_request(ErrorCode::ManifestInvalid, error),
            _ => Self::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
                .detail(error.to_string()),
        }
    }

    /// A request that may not go on. `wanted` is what it would have needed.
    pub(crate) fn refused(refusal: Refusal, wanted: &[Access]) -> Self {
        match refusal {
            Refusal::Unauthorized(refused) => {
                let auth::Unauthorized { challenge, reason, .. } = *refused;
                Self {
                    logged: Some(reason),
                    ..Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized)
                        .detail(access_records(wanted))
                        .header(header::WWW_AUTHENTICATE, challenge)
                }
            }
            Refusal::TooManyFailures { retry_after } => {
                Self::too_many_requests(retry_after, refusal.to_string())
            }
            refusal => Self {
                logged: Some(refusal.to_string()),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
                    .detail("credentials can't be checked at present; the server's log says why")
            },
        }
    }

    /// 429, and when to come back (RFC 6585, section 4; RFC 9110, section 10.2.3).
    pub(crate) fn too_many_requests(retry_after: Duration, reason: String) -> Self {
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
            .detail(reason)
            .header(header::RETRY_AFTER, seconds.max(1).into())
    }

    /// The body as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let mut first = json!({ "code": self.code.as_str(), "message": self.message });
        if let Some(detail) = &self.detail {
            first["detail"] = Value::clone(detail);
        }
        let more = self.more.iter().map(|(code, detail)| {
            json!({ "code": code.as_str(), "message": code.message(), "detail": detail })
        });
        json!({ "errors": std::iter::once(first).chain(more).collect::<Vec<_>>() })
    }

    /// The response. The error itself goes along as an extension, for the log.
    pub(crate) fn into_response(self) -> Response {
        let mut body = self.to_json().to_string();
        body.push('\n');
        let mut response = Response::new(ResponseBody::full(body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
        response.extensions_mut().insert(LoggedError {
            code: self.code,
            message: self.message,
            detail: match self.logged {
                Some(reason) => Some(Box::new(reason.into())),
                None => self.detail,
            },
        });
        response
    }
}

/// What a client would have had to be allowed, as Distribution writes it into the detail; `null`
/// when it would only have had to say who it is.
fn access_records(wanted: &[Access]) -> Value {
    if wanted.is_empty() {
        return Value::Null;
    }
    let records = wanted.iter().map(|Access { resource, action }| {
        json!({
            "Type": resource.kind(),
            "Class": "",
            "Name": resource.name(),
            "Action": action.as_str(),
        })
    });
    records.collect()
}

/// What the log says about an error response.
#[derive(Debug, Clone)]
pub(crate) struct LoggedError {
    pub(crate) code: ErrorCode,
    pub(crate) message: &'static str,
    pub(crate) detail: Option<Box<Value>>,
}

/// nginx's status for a client that went away; it is logged and never read by anyone.
pub(crate) fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for ApiError {
    /// The one mapping of the domain's errors to statuses and codes.
    fn from(error: &Error) -> Self {
        use ErrorCode as C;
        let text = error.to_string();
        let api = |status, code| Self::new(status, code).detail(text.as_str());
        match error {
            Error::NameUnknown { name } => Self::new(StatusCode::NOT_FOUND, C::NameUnknown)
                .detail(json!({ "name": name.as_str() })),
            Error::ManifestUnknown { .. } => api(StatusCode::NOT_FOUND, C::ManifestUnknown),
            Error::BlobUnknown { digest, .. } => {
                Self::new(StatusCode::NOT_FOUND, C::BlobUnknown).detail(digest.to_string())
            }
            Error::UploadUnknown { .. } => api(StatusCode::NOT_FOUND, C::BlobUploadUnknown),
            Error::UploadBusy { .. } => api(StatusCode::CONFLICT, C::BlobUploadInvalid),
            Error::DigestMismatch { .. } => api(StatusCode::BAD_REQUEST, C::DigestInvalid),
            Error::RangeInvalid { .. } => api(StatusCode::RANGE_NOT_SATISFIABLE, C::RangeInvalid),
            Error::SizeInvalid { .. } => api(StatusCode::BAD_REQUEST, C::SizeInvalid),
            Error::ManifestInvalid(_) => api(StatusCode::BAD_REQUEST, C::ManifestInvalid),
            Error::ManifestReferences(faults) => from_faults(faults),
            Error::Denied(_) => api(StatusCode::FORBIDDEN, C::Denied),
            Error::Body(error) => from_body(error, C::BlobUploadInvalid),
            Error::Corrupt { .. } => api(StatusCode::INTERNAL_SERVER_ERROR, C::Unknown),
            Error::Storage(error) => from_storage(error),
            // The enum is open for later additions; what is not known here is no fault of the
            // client's.
            _ => api(StatusCode::INTERNAL_SERVER_ERROR, C::Unknown),
        }
    }
}

/// One entry for each unacceptable reference. 400 as Distribution has it, although the
/// specification's table of endpoints would allow a 404: to a client that reads the status alone,
/// 404 says that the repository is not there.
fn from_faults(faults: &[ReferenceFault]) -> ApiError {
    let mut entries = faults.iter().map(|fault| {
        let code =
            if fault.missing { ErrorCode::ManifestBlobUnknown } else { ErrorCode::ManifestInvalid };
        (code, json!({ "digest": fault.digest, "reason": fault.reason }))
    });
    let (code, detail) = entries.next().unwrap_or((ErrorCode::ManifestInvalid, Value::Null));
    let mut error = ApiError::new(StatusCode::BAD_REQUEST, code).detail(detail);
    error.more = entries.collect();
    error
}

/// A body that ended early. `code` is that of the endpoint.
pub(crate) fn from_body(error: &BodyError, code: ErrorCode) -> ApiError {
    let status = match error {
        BodyError::Disconnected(_) => client_closed_request(),
        BodyError::Idle(_) => StatusCode::REQUEST_TIMEOUT,
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Refused(reason) => return free_space::insufficient(reason.clone()),
        _ => StatusCode::BAD_REQUEST,
    };
    ApiError::new(status, code).detail(error.to_string())
}

/// After how many seconds a client may ask again when the storage is not available. A storage that
/// failed is tried again within that time.
const STORAGE_RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// A storage that fails says nothing about what is stored, so this is never a 4xx.
fn from_storage(error: &StorageError) -> ApiError {
    use StatusCode as S;
    if let StorageError::Unavailable { .. } = error {
        return ApiError::new(S::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
            .detail(error.to_string())
            .header(header::RETRY_AFTER, STORAGE_RETRY_AFTER);
    }
    let (status, code) = match error {
        StorageError::NoSpace { .. } => (S::INSUFFICIENT_STORAGE, ErrorCode::Unavailable),
        StorageError::Busy { .. } => (S::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        _ => (S::INTERNAL_SERVER_ERROR, ErrorCode::Unknown),
    };
    ApiError::new(status, code).detail(error.to_string())
}

impl From<DigestError> for ApiError {
    fn from(error: DigestError) -> Self {
        Self::digest_invalid(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
    use registry::UploadId;
    use std::io;
    use storage::StoragePath;

    fn fault(digest: &str, missing: bool) -> ReferenceFault {
        ReferenceFault { digest: digest.into(), missing, reason: "why".into() }
    }

    #[test]
    fn every_domain_error_has_its_status_and_code() {
        let name = RepositoryName::parse("a").unwrap();
        let digest = Digest::of(Algorithm::Sha256, b"");
        let id = UploadId::parse("u").unwrap();
        let path = StoragePath::root();
        let io = || io::Error::other("boom");
        let reference = Reference::Tag(Tag::parse("t").unwrap());
        for (error, status, code) in [
            (Error::NameUnknown { name: name.clone() }, 404, "NAME_UNKNOWN"),
            (Error::ManifestUnknown { name: name.clone(), reference }, 404, "MANIFEST_UNKNOWN"),
            (Error::BlobUnknown { name: name.clone(), digest }, 404, "BLOB_UNKNOWN"),
            (Error::UploadUnknown { name, id: id.clone() }, 404, "BLOB_UPLOAD_UNKNOWN"),
            (Error::UploadBusy { id }, 409, "BLOB_UPLOAD_INVALID"),
            (Error::DigestMismatch { expected: digest, actual: digest }, 400, "DIGEST_INVALID"),
            (Error::RangeInvalid { start: 1, size_bytes: 0 }, 416, "RANGE_INVALID"),
            (Error::SizeInvalid { expected_bytes: 1, actual_bytes: 2 }, 400, "SIZE_INVALID"),
            (Error::ManifestReferences(vec![fault("d", true)]), 400, "MANIFEST_BLOB_UNKNOWN"),
            (Error::ManifestReferences(vec![fault("d", false)]), 400, "MANIFEST_INVALID"),
            (Error::Denied("no".into()), 403, "DENIED"),
            (Error::Corrupt { digest, actual: digest }, 500, "UNKNOWN"),
            (Error::Body(BodyError::Idle(5)), 408, "BLOB_UPLOAD_INVALID"),
            (Error::Body(BodyError::Disconnected("x".into())), 499, "BLOB_UPLOAD_INVALID"),
            (Error::Body(BodyError::Refused("full".into())), 507, "UNAVAILABLE"),
            (Error::Body(BodyError::TooLarge { limit_bytes: 1 }), 413, "BLOB_UPLOAD_INVALID"),
            (StorageError::NotFound { path: path.clone() }.into(), 500, "UNKNOWN"),
            (StorageError::NoSpace { path: path.clone() }.into(), 507, "UNAVAILABLE"),
            (StorageError::Busy { path: path.clone() }.into(), 503, "UNAVAILABLE"),
            (
                StorageError::Denied { operation: "read", path: path.clone(), source: io() }.into(),
                500,
                "UNKNOWN",
            ),
            (
                StorageError::Unavailable { operation: "read", path: path.clone(), source: io() }
                    .into(),
                503,
                "UNAVAILABLE",
            ),
            (StorageError::Io { operation: "read", path, source: io() }.into(), 500, "UNKNOWN"),
        ] {
            let text = format!("{error:?}");
            let api = ApiError::from(error);
            assert_eq!((api.status.as_u16(), api.code.as_str()), (status, code), "{text}");
            assert!(api.detail.is_some(), "{text}");
        }
    }

    #[test]
    fn the_body_is_the_specification_s() {
        let faults = vec![fault("sha256:1", true), fault("sha256:2", false)];
        let json = ApiError::from(Error::ManifestReferences(faults)).to_json();
        assert_eq!(
            json,
            json!({ "errors": [
                {
                    "code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry",
                    "detail": { "digest": "sha256:1", "reason": "why" },
                },
                {
                    "code": "MANIFEST_INVALID", "message": "manifest invalid",
                    "detail": { "digest": "sha256:2", "reason": "why" },
                },
            ] })
        );
        let bare = ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown).to_json();
        assert_eq!(bare["errors"][0].get("detail"), None);
    }

    #[test]
    fn a_long_detail_is_cut() {
        let error = ApiError::digest_invalid("ä".repeat(5000));
        let length = error.detail.unwrap().as_str().unwrap().chars().count();
        assert_eq!(length, ERROR_DETAIL_CHARS_MAX);
    }
}
