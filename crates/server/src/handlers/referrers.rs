//! `/v2/<name>/referrers/<digest>`

use std::borrow::Cow;

use bytes::Bytes;
use http::header;
use oci::{Digest, MediaType, RepositoryName};
use registry::Page;
use serde::Serialize;

use crate::error::ApiError;
use crate::exchange::Call;
use crate::limits::{PARAMETER_BYTES_MAX, REFERRERS_PAGE_MAX};
use crate::response::{self, Response};
use crate::{headers, pagination};

/// An image index, as far as a list of referrers needs it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a, D> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [D],
}

/// Lists the manifests that refer to a digest. Never a 404: what does not exist has no referrers
/// (distribution-spec, "Listing Referrers").
pub(super) async fn list(
    call: &Call,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response, ApiError> {
    let asked = Asked::by(call)?;
    let page = Page { limit: Some(asked.n), last: asked.last.as_deref() };
    let registry = &call.app.registry;
    let artifact_type = asked.artifact_type.as_deref();
    let found = registry.list_referrers(name, subject, artifact_type, page).await?;
    let body = found.rendered(|found| render(&found.manifests));
    Ok(respond(call, name, subject, &asked, found.next.as_deref(), body))
}

/// Which referrers are asked for.
pub(super) struct Asked<'a> {
    pub(super) n: usize,
    pub(super) last: Option<Cow<'a, str>>,
    pub(super) artifact_type: Option<Cow<'a, str>>,
}

impl<'a> Asked<'a> {
    /// By a request.
    pub(super) fn by(call: &'a Call) -> Result<Self, ApiError> {
        let query = call.query();
        let n = pagination::requested(query)?.unwrap_or(REFERRERS_PAGE_MAX).min(REFERRERS_PAGE_MAX);
        let artifact_type = query.get_filled("artifactType");
        if artifact_type.as_ref().is_some_and(|t| t.len() > PARAMETER_BYTES_MAX) {
            let reason = format!("artifactType has more than {PARAMETER_BYTES_MAX} bytes");
            return Err(ApiError::bad_request(oci::ErrorCode::Unsupported, reason));
        }
        Ok(Self { n, last: pagination::last(query), artifact_type })
    }
}

/// The body of a page with these descriptors.
pub(super) fn render<D: Serialize>(manifests: &[D]) -> Bytes {
    let media_type = MediaType::OciIndex.as_str();
    response::json_text(&Index { schema_version: 2, media_type, manifests })
}

/// A page with this body, and where to find the next one.
pub(super) fn respond(
    call: &Call,
    name: &RepositoryName,
    subject: &Digest,
    asked: &Asked<'_>,
    next: Option<&str>,
    body: Bytes,
) -> Response {
    let mut response = response::of_json(body);
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, headers::value(MediaType::OciIndex.as_str()));
    if asked.artifact_type.is_some() {
        map.insert(headers::FILTERS_APPLIED, headers::value("artifactType"));
    }
    if asked.n > 0
        && let Some(next) = next
    {
        let path = format!("{}/v2/{name}/referrers/{subject}", call.base().path());
        let filter = asked.artifact_type.as_deref().map(|value| ("artifactType", value));
        map.insert(header::LINK, pagination::link(&path, filter, next, asked.n));
    }
    response
}
