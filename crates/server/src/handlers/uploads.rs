//! `/v2/<name>/blobs/uploads/` and `/v2/<name>/blobs/uploads/<id>`

use http::StatusCode;
use http::header::{self, HeaderMap};
use oci::{Algorithm, Digest, ErrorCode, RepositoryName};
use registry::{Chunk, UploadId, UploadStatus};

use crate::body::RequestBody;
use crate::content_range::parse_chunk_range;
use crate::error::ApiError;
use crate::exchange::Call;
use crate::response::{self, Response};
use crate::state_token::StateToken;
use crate::{authorize, body, events, headers};

/// `POST`: a mount, a whole blob, or a new session, by what the query says.
pub(super) async fn start(
    call: &Call,
    name: &RepositoryName,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let query = call.query();
    if let Some(mount) = query.get_filled("mount") {
        if let Some(response) = try_mount(call, name, &mount).await? {
            return Ok(response);
        }
    } else if let Some(text) = query.get_filled("digest") {
        let digest = Digest::parse(&text)?;
        let chunk = Chunk { range: None, offset_bytes: None, ..chunk(call, body)? };
        let stat = call.app.registry.put_blob(name, &digest, chunk).await?;
        events::blob_pushed(call, name, &digest, stat.size_bytes).await;
        return Ok(created(call, name, &digest));
    }
    let algorithm = match query.get_filled("digest-algorithm") {
        None => None,
        Some(text) => Some(Algorithm::from_name(&text).ok_or_else(|| {
            let shown: String = text.chars().take(32).collect();
            let reason =
                format!("digest algorithm \"{shown}\" is not supported; use sha256 or sha512");
            ApiError::digest_invalid(reason)
        })?),
    };
    let status = call.app.registry.start_upload(name, algorithm).await?;
    let mut response = session(call, name, &status, StatusCode::ACCEPTED);
    if let Some(size_bytes) = call.app.options.chunk_min_length_bytes {
        response.headers_mut().insert(headers::CHUNK_MIN_LENGTH, size_bytes.into());
    }
    Ok(response)
}

/// A mount is an offer to save work: whatever stands in its way, the client gets a session and
/// uploads (distribution-spec, "Mounting a blob from another repository"). Only a failing storage
/// is an error.
async fn try_mount(
    call: &Call,
    name: &RepositoryName,
    mount: &str,
) -> Result<Option<Response>, ApiError> {
    let Ok(digest) = Digest::parse(mount) else { return Ok(None) };
    let from = match call.query().get_filled("from") {
        // Whose rights differ from repository to repository must not learn what the others hold.
        None if authorize::differs_by_repository(call) => return Ok(None),
        None => None,
        Some(text) => match RepositoryName::parse(&text) {
            Ok(from) => Some(from),
            Err(_) => return Ok(None),
        },
    };
    let mounted = call.app.registry.mount_blob(name, &digest, from.as_ref()).await?;
    if mounted.is_none() {
        return Ok(None);
    }
    events::blob_mounted(call, name, &digest, from.as_ref()).await;
    Ok(Some(created(call, name, &digest)))
}

/// The id of the session, unless `_state` says that the request was meant for another one. A token
/// that is missing or not readable means nothing.
pub(super) fn checked_id<'a>(
    call: &Call,
    name: &RepositoryName,
    id: Option<&'a UploadId>,
) -> Result<&'a UploadId, ApiError> {
    let not_found = |code, reason: &str| ApiError::new(StatusCode::NOT_FOUND, code).detail(reason);
    let id =
        id.ok_or_else(|| not_found(ErrorCode::BlobUploadUnknown, "this is not an upload's id"))?;
    let token = call.query().get_filled("_state").and_then(|text| StateToken::decode(&text));
    if token.is_some_and(|token| token.contradicts(name, id)) {
        let reason = "_state belongs to another upload: use the Location of the last response";
        return Err(not_found(ErrorCode::BlobUploadInvalid, reason));
    }
    Ok(id)
}

/// `GET` and `HEAD`: how far the session is.
pub(super) async fn status(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, ApiError> {
    let status = call.app.registry.upload_status(name, id).await?;
    Ok(session(call, name, &status, StatusCode::NO_CONTENT))
}

/// `PATCH`: a chunk, or a stream of any length.
pub(super) async fn append(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let outcome = match chunk(call, body) {
        Ok(chunk) => call.app.registry.append_upload(name, id, chunk).await.map_err(ApiError::from),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(status) => Ok(session(call, name, &status, StatusCode::ACCEPTED)),
        Err(error) => Err(with_progress(call, name, id, error).await),
    }
}

/// `PUT`: the end of the session, possibly with the last chunk.
pub(super) async fn commit(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let text = call.query().get_filled("digest");
    let text = text.ok_or_else(|| ApiError::digest_invalid("digest missing"))?;
    let digest = Digest::parse(&text)
        .map_err(|reason| ApiError::digest_invalid(format!("digest parsing failed: {reason}")))?;
    let outcome = match chunk(call, body) {
        Ok(chunk) => {
            let commit = call.app.registry.commit_upload(name, id, &digest, chunk);
            commit.await.map_err(ApiError::from)
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(stat) => {
            events::blob_pushed(call, name, &digest, stat.size_bytes).await;
            Ok(created(call, name, &digest))
        }
        Err(error) => Err(with_progress(call, name, id, error).await),
    }
}

/// `DELETE`: gives the session up.
pub(super) async fn cancel(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, ApiError> {
    call.app.registry.cancel_upload(name, id).await?;
    let mut response = response::empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(headers::UPLOAD_UUID, headers::value(id.as_str()));
    Ok(response)
}

/// The body and what its headers say. Its `Content-Type` says nothing: curl's default would be a
/// form, and it is a blob all the same.
fn chunk(call: &Call, body: RequestBody) -> Result<Chunk, ApiError> {
    let content_length = body.size_bytes();
    // An empty body covers no range, and none can be written for it.
    let header = call.header(&header::CONTENT_RANGE).filter(|_| content_length != Some(0));
    let range = match header {
        None => None,
        Some(text) => Some(parse_chunk_range(text).ok_or_else(|| {
            ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid)
                .detail("Content-Range is not of the form \"<first byte>-<last byte>\"")
        })?),
    };
    let body = body::incoming(body, call.app.options.body_idle_timeout);
    let body = call.app.free_space.watched(body);
    Ok(Chunk { range, offset_bytes: stated_offset(call, content_length), content_length, body })
}

/// Where the session stood when the client was given its `Location`. Without it, a request that was
/// held up on the way would be appended a second time after its client has given it up and resumed;
/// Distribution refuses such a request too. It is not looked at when there is nothing to append.
fn stated_offset(call: &Call, content_length: Option<u64>) -> Option<u64> {
    if content_length == Some(0) {
        return None;
    }
    let token = StateToken::decode(&call.query().get_filled("_state")?)?;
    u64::try_from(token.offset).ok()
}

/// A refused chunk leaves the session as it was; the client is told where to go on.
async fn with_progress(
    call: &Call,
    name: &RepositoryName,
    id: &UploadId,
    error: ApiError,
) -> ApiError {
    if error.status != StatusCode::RANGE_NOT_SATISFIABLE {
        return error;
    }
    match call.app.registry.upload_status(name, id).await {
        Ok(status) => {
            let mut map = HeaderMap::new();
            describe(&mut map, call, name, &status);
            map.into_iter()
                .filter_map(|(key, value)| Some((key?, value)))
                .fold(error, |error, (key, value)| error.header(key, value))
        }
        Err(other) => other.into(),
    }
}

/// A response about a session.
fn session(
    call: &Call,
    name: &RepositoryName,
    status: &UploadStatus,
    code: StatusCode,
) -> Response {
    let mut response = response::empty(code);
    describe(response.headers_mut(), call, name, status);
    response
}

/// Where a session is and how far. `Range` can't say "nothing", so that an empty session looks as
/// if it had a byte; every registry and client does it like that.
fn describe(map: &mut HeaderMap, call: &Call, name: &RepositoryName, status: &UploadStatus) {
    let location = call.base().upload(&call.app.options, name, status);
    let end = status.size_bytes.saturating_sub(1);
    map.insert(header::LOCATION, headers::value(&location));
    map.insert(header::RANGE, headers::value(&format!("0-{end}")));
    map.insert(headers::UPLOAD_UUID, headers::value(status.id.as_str()));
}

/// A blob is there now.
fn created(call: &Call, name: &RepositoryName, digest: &Digest) -> Response {
    let mut response = response::empty(StatusCode::CREATED);
    let map = response.headers_mut();
    map.insert(header::LOCATION, headers::value(&call.base().blob(name, digest)));
    map.insert(headers::CONTENT_DIGEST, headers::value(&digest.to_string()));
    response
}
