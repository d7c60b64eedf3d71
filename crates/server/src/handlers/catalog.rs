//! `/v2/_catalog`

use http::header;
use registry::Page;
use serde_json::json;

use crate::error::ApiError;
use crate::exchange::Call;
use crate::pagination;
use crate::response::{self, Response};

/// Lists repositories. Unlike with tags, an `n` above the limit is refused, as in Distribution.
pub(super) async fn list(call: &Call) -> Result<Response, ApiError> {
    let query = call.query();
    let options = &call.app.options;
    let n = pagination::requested(query)?.unwrap_or_else(|| options.catalog_page_default());
    if n > options.catalog_entries_max {
        return Err(pagination::number_invalid(json!({ "n": n })));
    }
    let last = pagination::last(query);
    let page = Page { limit: Some(n), last: last.as_deref() };
    let found = call.app.registry.list_repositories(page).await?;
    let body = found.rendered(|found| response::json_text(&json!({ "repositories": found.names })));
    let mut response = response::of_json(body);
    if found.more
        && let Some(last) = found.names.last()
    {
        let path = format!("{}/v2/_catalog", call.base().path());
        response.headers_mut().insert(header::LINK, pagination::link(&path, None, last, n));
    }
    Ok(response)
}
