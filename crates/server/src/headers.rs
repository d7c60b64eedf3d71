//! Names of the header fields that registries add to HTTP, and their constant values.

use http::header::{HeaderName, HeaderValue};

/// Sent with every response, so that old Docker clients recognise a registry.
pub(crate) const API_VERSION: HeaderName =
    HeaderName::from_static("docker-distribution-api-version");
/// The only value of [`API_VERSION`].
pub(crate) const API_VERSION_VALUE: HeaderValue = HeaderValue::from_static("registry/2.0");
/// Digest of the content (distribution-spec, "Pulling manifests").
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Id of an upload session.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// Smallest chunk of an upload session, in bytes.
pub(crate) const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// Which filters were applied to a list of referrers.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Digest of the manifest that a pushed manifest refers to.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The namespace in which a mirror looked a repository up.
pub(crate) const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
/// Tags that were set by a push by digest.
pub(crate) const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// `application/json`, without a charset: JSON has but one (RFC 8259, section 8.1).
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// [`http::header::WARNING`] of what may be out of date, as it could not be asked for
/// (RFC 7234, section 5.5.1).
pub(crate) const STALE: HeaderValue = HeaderValue::from_static("110 wharf \"Response is Stale\"");
/// The type of every blob.
pub(crate) const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Makes a header value of text that is known to be visible ASCII, such as a digest or a tag.
/// Anything else yields an empty value rather than a panic.
pub(crate) fn value(text: &str) -> HeaderValue {
    debug_assert!(HeaderValue::from_str(text).is_ok(), "{text:?}");
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
