//! `/v2/<name>/tags/list`

use http::header;
use oci::RepositoryName;
use registry::Page;
use serde_json::json;

use crate::error::ApiError;
use crate::exchange::Call;
use crate::pagination;
use crate::response::{self, Response};

/// Lists tags: all of them unless the client asks for a number, as in Distribution.
pub(super) async fn list(call: &Call, name: &RepositoryName) -> Result<Response, ApiError> {
    let query = call.query();
    let n = pagination::requested(query)?.map(|n| n.min(call.app.options.tags_max));
    let last = pagination::last(query);
    let page = Page { limit: n, last: last.as_deref() };
    let found = call.app.registry.list_tags(name, page).await?;
    let body = found.rendered(|found| {
        response::json_text(&json!({ "name": name.as_str(), "tags": found.names }))
    });
    let mut response = response::of_json(body);
    if found.more
        && let (Some(last), Some(n)) = (found.names.last(), n)
    {
        let path = format!("{}/v2/{name}/tags/list", call.base().path());
        response.headers_mut().insert(header::LINK, pagination::link(&path, None, last, n));
    }
    Ok(response)
}
