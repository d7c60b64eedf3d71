//! `/v2/<name>/referrers/<digest>`

use std::sync::Arc;

use http::header;
use oci::{Digest, MediaType, RepositoryName};
use registry::{Page, ReferrerDescriptor};
use serde::Serialize;

use crate::error::ApiError;
use crate::exchange::Call;
use crate::limits::{PARAMETER_BYTES_MAX, REFERRERS_PAGE_MAX};
use crate::response::{self, Response};
use crate::{headers, pagination};

/// An image index, as far as a list of referrers needs it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Arc<ReferrerDescriptor>],
}

/// Lists the manifests that refer to a digest. Never a 404: what does not exist has no referrers
/// (distribution-spec, "Listing Referrers").
pub(super) async fn list(
    call: &Call,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response, ApiError> {
    let query = call.query();
    let n = pagination::requested(query)?.unwrap_or(REFERRERS_PAGE_MAX).min(REFERRERS_PAGE_MAX);
    let last = pagination::last(query);
    let artifact_type = query.get_filled("artifactType");
    if artifact_type.as_ref().is_some_and(|t| t.len() > PARAMETER_BYTES_MAX) {
        let reason = format!("artifactType has more than {PARAMETER_BYTES_MAX} bytes");
        return Err(ApiError::bad_request(oci::ErrorCode::Unsupported, reason));
    }
    let page = Page { limit: Some(n), last: last.as_deref() };
    let registry = &call.app.registry;
    let found = registry.list_referrers(name, subject, artifact_type.as_deref(), page).await?;
    let media_type = MediaType::OciIndex.as_str();
    let body = found.rendered(|found| {
        let manifests = &found.manifests;
        response::json_text(&Index { schema_version: 2, media_type, manifests })
    });
    let mut response = response::of_json(body);
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, headers::value(media_type));
    if artifact_type.is_some() {
        map.insert(headers::FILTERS_APPLIED, headers::value("artifactType"));
    }
    if n > 0
        && let Some(next) = &found.next
    {
        let path = format!("{}/v2/{name}/referrers/{subject}", call.base().path());
        let filter = artifact_type.as_deref().map(|value| ("artifactType", value));
        map.insert(header::LINK, pagination::link(&path, filter, next, n));
    }
    Ok(response)
}
