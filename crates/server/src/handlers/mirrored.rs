//! What of a repository that is mirrored is pulled: the same endpoints, with content from wherever
//! it is.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use oci::{Digest, ErrorCode, Reference, RepositoryName};
use proxy::{Head, MirrorError, Mirrored};
use registry::Page;

use super::{blobs, manifests, referrers, tags};
use crate::error::ApiError;
use crate::exchange::Call;
use crate::response::{self, Response, ResponseBody};
use crate::{conditional, headers};

/// An error about manifests.
fn no_manifest(error: MirrorError) -> ApiError {
    ApiError::mirrored(&error, ErrorCode::ManifestUnknown)
}

/// An error about blobs.
fn no_blob(error: MirrorError) -> ApiError {
    ApiError::mirrored(&error, ErrorCode::BlobUnknown)
}

/// An error about lists.
fn no_list(error: MirrorError) -> ApiError {
    ApiError::mirrored(&error, ErrorCode::NameUnknown)
}

/// Says of an answer that it may be out of date, if it may.
fn marked(mut response: Response, stale: Option<&String>) -> Response {
    if stale.is_some() {
        response.headers_mut().insert(header::WARNING, headers::STALE);
    }
    response
}

/// Notes that something is used, as eviction goes by that. Only for what is known to exist: a note
/// becomes a file, and whoever asks for what there is not must not leave one behind.
fn note_pull(call: &Call, name: &RepositoryName, reference: &Reference) {
    call.app.registry.note_pull(name, reference);
}

/// `GET` and `HEAD` of a manifest. It is not fetched because of a `HEAD`.
pub(super) async fn manifest(
    call: &Call,
    mirrored: &Mirrored<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, ApiError> {
    if call.parts.method == Method::HEAD {
        let served = mirrored.head_manifest(reference).await.map_err(no_manifest)?;
        note_pull(call, name, reference);
        return Ok(marked(head_of(call, &served.content), served.stale.as_ref()));
    }
    let served = mirrored.manifest(reference).await.map_err(no_manifest)?;
    note_pull(call, name, reference);
    let get = async |child| {
        let child = Reference::Digest(child);
        Ok(mirrored.manifest(&child).await.map_err(no_manifest)?.content)
    };
    let stored = manifests::negotiate_by(call, reference, served.content, get).await?;
    Ok(marked(manifests::respond(call, name, reference, stored), served.stale.as_ref()))
}

/// The answer to `HEAD` of a manifest that may not be here. It counts as no pull, as nothing was.
fn head_of(call: &Call, head: &Head) -> Response {
    let digest = head.digest.to_string();
    let mut response = match conditional::none_match_fails(call.headers(), &digest) {
        true => response::empty(StatusCode::NOT_MODIFIED),
        false => {
            // Never polled: the body of an answer to HEAD is taken out once its size has been said.
            let unread = Box::pin(futures_util::stream::empty());
            let mut response = Response::new(ResponseBody::stream(unread, head.size_bytes));
            let media_type = HeaderValue::from_static(head.media_type.as_str());
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            response
        }
    };
    manifests::describe(response.headers_mut(), &digest);
    response
}

/// `HEAD` of a blob, which is not fetched because of it.
pub(super) async fn blob_head(
    call: &Call,
    mirrored: &Mirrored<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    let stat = mirrored.stat_blob(digest).await.map_err(no_blob)?;
    Ok(blobs::respond_head(call, name, digest, stat))
}

/// `GET` of a blob: from here, or as it comes.
pub(super) async fn blob(
    call: &Call,
    mirrored: &Mirrored<'_>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    let pulled = Reference::Digest(*digest);
    if call.app.registry.redirects()
        && mirrored.has_blob(digest).await.map_err(no_blob)?
        && let Some(response) = blobs::redirected(call, name, digest).await?
    {
        note_pull(call, name, &pulled);
        return Ok(response);
    }
    let blob = mirrored.open_blob(digest).await.map_err(no_blob)?;
    note_pull(call, name, &pulled);
    blobs::respond(call, name, digest, blob)
}

/// The tags.
pub(super) async fn list_tags(
    call: &Call,
    mirrored: &Mirrored<'_>,
    name: &RepositoryName,
) -> Result<Response, ApiError> {
    let (n, last) = tags::requested(call)?;
    let page = Page { limit: n, last: last.as_deref() };
    let served = mirrored.list_tags(page).await.map_err(no_list)?;
    let body = tags::render(name, &served.content);
    let response = tags::respond(call, name, n, &served.content, body);
    Ok(marked(response, served.stale.as_ref()))
}

/// The referrers of a manifest.
pub(super) async fn list_referrers(
    call: &Call,
    mirrored: &Mirrored<'_>,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response, ApiError> {
    let asked = referrers::Asked::by(call)?;
    let artifact_type = asked.artifact_type.as_deref();
    let served = mirrored.list_referrers(subject, artifact_type).await.map_err(no_list)?;
    let is_behind = |digest: &String| asked.last.as_deref().is_none_or(|last| &**digest > last);
    let mut behind = served.content.iter().filter(|(digest, _)| is_behind(digest));
    let page: Vec<_> = behind.by_ref().take(asked.n).collect();
    let next = behind.next().and(page.last()).map(|(digest, _)| digest.as_str());
    let descriptors: Vec<_> = page.iter().map(|(_, descriptor)| *descriptor).collect();
    let body = referrers::render(&descriptors);
    let response = referrers::respond(call, name, subject, &asked, next, body);
    Ok(marked(response, served.stale.as_ref()))
}
