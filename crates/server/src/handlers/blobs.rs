//! `/v2/<name>/blobs/<digest>`

use std::ops::Range;
use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use oci::{Digest, RepositoryName};
use registry::{Blob, BlobStat};
use storage::Object;
use tracing::warn;

use super::multipart;
use crate::error::ApiError;
use crate::exchange::Call;
use crate::range::{self, Requested};
use crate::response::{self, Response, ResponseBody};
use crate::{conditional, events, headers};

/// What a digest names never changes: a year, as in Distribution.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Headers of every answer that finds the blob. The digest is the one that was asked for, not the
/// one under which it is stored: it must fit the client's own sum (distribution-spec, "Pulling
/// blobs").
fn describe(map: &mut HeaderMap, digest: &str) {
    map.insert(header::CONTENT_TYPE, headers::OCTET_STREAM);
    map.insert(header::ETAG, headers::value(&format!("\"{digest}\"")));
    map.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    map.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    map.insert(headers::CONTENT_DIGEST, headers::value(digest));
}

fn not_modified(digest: &str) -> Response {
    let mut response = response::empty(StatusCode::NOT_MODIFIED);
    describe(response.headers_mut(), digest);
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// `HEAD`: as `GET` without `Range`, which means something for `GET` alone (RFC 9110, section
/// 14.2). The blob is not opened.
pub(super) async fn head(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    let stat = call.app.registry.promise_blob(name, digest).await?;
    Ok(respond_head(call, name, digest, stat))
}

/// The answer to `HEAD` for a blob that was found.
pub(super) fn respond_head(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
    stat: BlobStat,
) -> Response {
    let digest = digest.to_string();
    events::blob_pulled(call, name, &digest, stat.size_bytes);
    if conditional::none_match_fails(call.headers(), &digest) {
        return not_modified(&digest);
    }
    // Never polled: the body of an answer to HEAD is taken out once its size has been said.
    let unread = Box::pin(futures_util::stream::empty());
    let mut response = Response::new(ResponseBody::stream(unread, stat.size_bytes));
    describe(response.headers_mut(), &digest);
    response
}

/// `GET`: the blob is opened before anything is promised, so that a blob whose data is gone is a
/// 404 and never an empty 200.
pub(super) async fn get(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    if let Some(response) = redirected(call, name, digest).await? {
        return Ok(response);
    }
    let blob = call.app.registry.open_blob(name, digest).await?;
    respond(call, name, digest, blob)
}

/// The answer to `GET` with a blob that is open.
pub(super) fn respond(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
    blob: Blob,
) -> Result<Response, ApiError> {
    let digest = digest.to_string();
    let size_bytes = blob.object.size_bytes();
    if conditional::none_match_fails(call.headers(), &digest) {
        // As with Distribution, and unlike with a manifest, this counts as a pull.
        events::blob_pulled(call, name, &digest, size_bytes);
        return Ok(not_modified(&digest));
    }
    let mut response = match requested(call, &digest, size_bytes) {
        Requested::Whole => whole(blob.object),
        Requested::One(part) => one_part(blob.object, part),
        Requested::Many(parts) => multipart::response(&blob.object, &parts),
        Requested::Unsatisfiable => return Err(unsatisfiable(size_bytes)),
    };
    events::blob_pulled(call, name, &digest, size_bytes);
    let content_type = response.headers_mut().remove(header::CONTENT_TYPE);
    describe(response.headers_mut(), &digest);
    if let Some(multipart) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, multipart);
    }
    Ok(response)
}

/// The answer that sends the client to where the bytes are, if it is to be sent there. The URL is
/// good for some minutes, so that the answer must not be kept as one with the bytes may.
pub(super) async fn redirected(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Response>, ApiError> {
    let registry = &call.app.registry;
    let user_agent = || call.header(&header::USER_AGENT);
    if !registry.redirects()
        || call.app.options.not_redirected.includes(call.client_ip(), user_agent())
    {
        return Ok(None);
    }
    let stat = registry.stat_blob(name, digest).await?;
    let url = match registry.blob_redirect(&stat.digest, call.client_ip()).await {
        Ok(Some(url)) => url,
        Ok(None) => return Ok(None),
        Err(error) => {
            warn!(repository = %name, %digest, %error, "the client can't be sent to the store: the blob is served from here");
            return Ok(None);
        }
    };
    let digest = digest.to_string();
    events::blob_pulled(call, name, &digest, stat.size_bytes);
    if conditional::none_match_fails(call.headers(), &digest) {
        return Ok(Some(not_modified(&digest)));
    }
    let mut response = response::empty(StatusCode::TEMPORARY_REDIRECT);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, headers::value(&url));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(headers::CONTENT_DIGEST, headers::value(&digest));
    Ok(Some(response))
}

fn requested(call: &Call, digest: &str, size_bytes: u64) -> Requested {
    let Some(text) = call.header(&header::RANGE) else { return Requested::Whole };
    let condition = call.header(&header::IF_RANGE);
    if condition.is_some_and(|tag| !range::if_range_matches(tag, &format!("\"{digest}\""))) {
        return Requested::Whole;
    }
    range::parse_range(text, size_bytes)
}

fn whole(object: Arc<dyn Object>) -> Response {
    let size_bytes = object.size_bytes();
    Response::new(ResponseBody::stream(object.stream(0..size_bytes), size_bytes))
}

fn one_part(object: Arc<dyn Object>, part: Range<u64>) -> Response {
    let content_range = format!("bytes {}-{}/{}", part.start, part.end - 1, object.size_bytes());
    let size_bytes = part.end - part.start;
    let mut response = Response::new(ResponseBody::stream(object.stream(part), size_bytes));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    response.headers_mut().insert(header::CONTENT_RANGE, headers::value(&content_range));
    response
}

fn unsatisfiable(size_bytes: u64) -> ApiError {
    let content_range = headers::value(&format!("bytes */{size_bytes}"));
    ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, oci::ErrorCode::RangeInvalid)
        .message("invalid range")
        .detail(format!("the blob has {size_bytes} bytes"))
        .header(header::CONTENT_RANGE, content_range)
}

/// Takes a blob out of the repository.
pub(super) async fn delete(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    call.app.registry.delete_blob(name, digest).await?;
    events::content_deleted(call, name, digest).await;
    Ok(response::empty(StatusCode::ACCEPTED))
}
