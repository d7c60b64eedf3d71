//! `/v2/<name>/tags/list`

use std::borrow::Cow;

use bytes::Bytes;
use http::header;
use oci::RepositoryName;
use registry::{Names, Page};
use serde_json::json;

use crate::error::ApiError;
use crate::exchange::Call;
use crate::pagination;
use crate::response::{self, Response};

/// Lists tags: all of them unless the client asks for a number, as in Distribution.
pub(super) async fn list(call: &Call, name: &RepositoryName) -> Result<Response, ApiError> {
    let (n, last) = requested(call)?;
    let page = Page { limit: n, last: last.as_deref() };
    let found = call.app.registry.list_tags(name, page).await?;
    let body = found.rendered(|found| render(name, found));
    Ok(respond(call, name, n, &found, body))
}

/// How many tags are asked for, and behind which.
pub(super) fn requested(call: &Call) -> Result<(Option<usize>, Option<Cow<'_, str>>), ApiError> {
    let query = call.query();
    let n = pagination::requested(query)?.map(|n| n.min(call.app.options.tags_max));
    Ok((n, pagination::last(query)))
}

/// The body of a page.
pub(super) fn render(name: &RepositoryName, found: &Names) -> Bytes {
    response::json_text(&json!({ "name": name.as_str(), "tags": found.names }))
}

/// A page with this body, and where to find the next one.
pub(super) fn respond(
    call: &Call,
    name: &RepositoryName,
    n: Option<usize>,
    found: &Names,
    body: Bytes,
) -> Response {
    let mut response = response::of_json(body);
    if found.more
        && let (Some(last), Some(n)) = (found.names.last(), n)
    {
        let path = format!("{}/v2/{name}/tags/list", call.base().path());
        response.headers_mut().insert(header::LINK, pagination::link(&path, None, last, n));
    }
    response
}
