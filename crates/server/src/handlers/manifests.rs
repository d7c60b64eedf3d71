//! `/v2/<name>/manifests/<tag-or-digest>`

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use oci::{
    Descriptor, Digest, ErrorCode, Manifest, ManifestKind, MediaType, Reference, RepositoryName,
    Tag,
};
use registry::limits::STORED_MANIFEST_BYTES_MAX;
use registry::{BodyError, ManifestPush, StoredManifest};

use crate::body::RequestBody;
use crate::error::{self, ApiError};
use crate::exchange::Call;
use crate::limits::TAG_PARAMETERS_MAX;
use crate::response::{self, Response, ResponseBody};
use crate::{accept, body, conditional, events, headers};

/// Serves a manifest, as it was pushed. For HEAD the same, of which the body is dropped later: a
/// manifest is in memory anyway. Who asks by HEAD for a digest may be about to name it in an index.
pub(super) async fn get(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, ApiError> {
    let stored = match reference {
        Reference::Digest(digest) if call.parts.method == Method::HEAD => {
            call.app.registry.promise_manifest(name, digest).await?
        }
        _ => call.app.registry.get_manifest(name, reference).await?,
    };
    // HEAD as well: whoever looks whether his image is still the latest one uses it.
    call.app.registry.note_pull(name, reference);
    let stored = negotiate(call, name, reference, stored).await?;
    Ok(respond(call, name, reference, stored))
}

/// Serves a manifest that was chosen.
pub(super) fn respond(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
    stored: StoredManifest,
) -> Response {
    let digest = stored.digest.to_string();
    let not_modified = conditional::none_match_fails(call.headers(), &digest);
    if !not_modified {
        let served = (&stored.digest, stored.media_type, &*stored.content);
        events::manifest_pulled(call, name, tag_of(reference), served);
    }
    let mut response = if not_modified {
        response::empty(StatusCode::NOT_MODIFIED)
    } else {
        Response::new(ResponseBody::full(stored.content))
    };
    let map = response.headers_mut();
    if !not_modified {
        let media_type = HeaderValue::from_static(stored.media_type.as_str());
        map.insert(header::CONTENT_TYPE, media_type);
    }
    describe(map, &digest);
    response
}

/// Headers of every answer that finds a manifest.
pub(super) fn describe(map: &mut HeaderMap, digest: &str) {
    map.insert(headers::CONTENT_DIGEST, headers::value(digest));
    map.insert(header::ETAG, headers::value(&format!("\"{digest}\"")));
}

/// The tag, where there is one.
fn tag_of(reference: &Reference) -> Option<&Tag> {
    match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    }
}

/// What to do with a client that can't read what is stored. Only a Docker manifest list that was
/// asked for by tag has a stand-in: its image for linux/amd64, which is what clients from before
/// there were lists expect. An OCI manifest is refused with Distribution's words. Everything else
/// is served nevertheless, as Distribution 3 does.
async fn negotiate(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
    stored: StoredManifest,
) -> Result<StoredManifest, ApiError> {
    let get =
        async |child| Ok(call.app.registry.get_manifest(name, &Reference::Digest(child)).await?);
    negotiate_by(call, reference, stored, get).await
}

/// [`negotiate`], with the children of a list from wherever they are.
pub(super) async fn negotiate_by(
    call: &Call,
    reference: &Reference,
    stored: StoredManifest,
    get: impl AsyncFnOnce(Digest) -> Result<StoredManifest, ApiError>,
) -> Result<StoredManifest, ApiError> {
    if !accept::excludes(call.headers(), stored.media_type) {
        return Ok(stored);
    }
    match (stored.media_type, reference) {
        (MediaType::OciManifest, _) => {
            let message = "OCI manifest found, but accept header does not support OCI manifests";
            Err(ApiError::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown).message(message))
        }
        (MediaType::DockerManifestList, Reference::Tag(_)) => {
            let Some(child) = linux_amd64(&stored) else {
                return Err(ApiError::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
                    .detail("the manifest list has no image for linux/amd64"));
            };
            let child = get(child).await?;
            let unreadable = child.media_type == MediaType::DockerManifest
                && accept::excludes(call.headers(), child.media_type);
            if unreadable {
                let reason = "Schema 2 manifest not supported by client";
                return Err(ApiError::bad_request(ErrorCode::ManifestInvalid, reason));
            }
            Ok(child)
        }
        _ => Ok(stored),
    }
}

/// The first child for the platform that everything was for when there was but one.
fn linux_amd64(list: &StoredManifest) -> Option<Digest> {
    let fits = |child: &&Descriptor| {
        child.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == "amd64")
    };
    match Manifest::parse_stored(&list.content).ok()?.kind {
        ManifestKind::Index { manifests } => manifests.iter().find(fits)?.parsed_digest().ok(),
        ManifestKind::Image { .. } | ManifestKind::Schema1 { .. } => None,
    }
}

/// Takes a manifest.
pub(super) async fn put(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let content_type = call.header(&header::CONTENT_TYPE).unwrap_or_default();
    let media_type = MediaType::from_content_type(content_type).ok_or_else(|| {
        let reason =
            format!("unsupported manifest media type and no default available: {content_type}");
        ApiError::bad_request(ErrorCode::ManifestInvalid, reason)
    })?;
    let tags = tag_parameters(call, reference)?;
    // What is larger could not be read back.
    let limit_bytes = call.app.options.manifest_size_bytes_max.min(STORED_MANIFEST_BYTES_MAX);
    let invalid = |e: BodyError| error::from_body(&e, ErrorCode::ManifestInvalid);
    if body.size_bytes().is_some_and(|size_bytes| size_bytes > limit_bytes) {
        return Err(invalid(BodyError::TooLarge { limit_bytes }));
    }
    let body = body::incoming(body, call.app.options.body_idle_timeout);
    let content = body::collect(body, limit_bytes).await.map_err(invalid)?;
    let kept = content.clone();
    let push = ManifestPush { reference: reference.clone(), tags, media_type, content };
    let pushed = call.app.registry.put_manifest(name, push).await?;
    let told = (&pushed.digest, media_type, &*kept);
    let notified = events::manifest_pushed(call, name, &pushed.tags, told);
    let watched = async {
        if let Some(watcher) = &call.app.push_watcher {
            watcher.pushed(name, &pushed.tags, &pushed.digest).await;
        }
    };
    futures_util::future::join(notified, watched).await;

    let mut response = response::empty(StatusCode::CREATED);
    let map = response.headers_mut();
    let location = call.base().manifest(name, &pushed.digest);
    map.insert(header::LOCATION, headers::value(&location));
    map.insert(headers::CONTENT_DIGEST, headers::value(&pushed.digest.to_string()));
    if let Some(subject) = pushed.subject {
        map.insert(headers::SUBJECT, headers::value(&subject.to_string()));
    }
    // A push by tag names that tag in the path; the header is about the parameters.
    if matches!(reference, Reference::Digest(_)) {
        for tag in &pushed.tags {
            map.append(headers::TAG, headers::value(tag.as_str()));
        }
    }
    Ok(response)
}

/// The `tag` parameters of a push by digest (distribution-spec, end-7b). They mean nothing in a
/// push by tag, and the response then names none of them.
fn tag_parameters(call: &Call, reference: &Reference) -> Result<Vec<Tag>, ApiError> {
    if matches!(reference, Reference::Tag(_)) {
        return Ok(Vec::new());
    }
    let mut tags = Vec::new();
    for text in call.query().all("tag") {
        if tags.len() == TAG_PARAMETERS_MAX {
            let reason = format!("at most {TAG_PARAMETERS_MAX} tag parameters are taken");
            return Err(
                ApiError::new(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported).detail(reason)
            );
        }
        let tag = Tag::parse(&text)
            .map_err(|reason| ApiError::bad_request(ErrorCode::ManifestInvalid, reason))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Deletes a manifest and the tags that name it, or a tag alone.
pub(super) async fn delete(
    call: &Call,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, ApiError> {
    let registry = &call.app.registry;
    match reference {
        Reference::Tag(tag) => {
            registry.delete_tag(name, tag).await?;
            events::tags_deleted(call, name, std::slice::from_ref(tag)).await;
        }
        Reference::Digest(digest) => {
            let tags = registry.delete_manifest(name, digest).await?;
            events::content_deleted(call, name, digest).await;
            events::tags_deleted(call, name, &tags).await;
        }
    }
    Ok(response::empty(StatusCode::ACCEPTED))
}
