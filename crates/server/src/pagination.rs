//! `n`, `last` and `Link` of the listings (distribution-spec, "Listing Tags").

use http::HeaderValue;
use oci::ErrorCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::error::ApiError;
use crate::limits::PARAMETER_BYTES_MAX;
use crate::query::Query;

/// What stays as it is in a parameter: RFC 3986's unreserved characters, as Go's encoder has it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The number of entries asked for; `None` when the client did not say.
///
/// # Errors
/// `PAGINATION_NUMBER_INVALID` when it is not a number, or negative.
pub(crate) fn requested(query: Query<'_>) -> Result<Option<usize>, ApiError> {
    let Some(text) = query.get_filled("n") else { return Ok(None) };
    if let Ok(n) = text.parse() {
        return Ok(Some(n));
    }
    let detail = match text.parse::<i64>() {
        Ok(n) => json!({ "n": n }),
        Err(_) => json!({ "n": text.chars().take(64).collect::<String>() }),
    };
    Err(number_invalid(detail))
}

/// The error for a number that is not one, or too large.
pub(crate) fn number_invalid(detail: serde_json::Value) -> ApiError {
    ApiError::new(http::StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid).detail(detail)
}

/// The marker behind which the page begins. One that is longer than any name is cut: what sorts
/// behind it is the same.
pub(crate) fn last<'a>(query: Query<'a>) -> Option<std::borrow::Cow<'a, str>> {
    let last = query.get_filled("last")?;
    if last.len() <= PARAMETER_BYTES_MAX {
        return Some(last);
    }
    let end = last.floor_char_boundary(PARAMETER_BYTES_MAX);
    Some(last[..end].to_owned().into())
}

/// `Link` to the next page. `path` is that of the request as the client sees it; parameters come
/// sorted, with those of the request that matter (`extra`) in front.
pub(crate) fn link(path: &str, extra: Option<(&str, &str)>, last: &str, n: usize) -> HeaderValue {
    let escape = |text| utf8_percent_encode(text, ESCAPED).to_string();
    let extra = extra.map(|(key, value)| format!("{key}={}&", escape(value))).unwrap_or_default();
    crate::headers::value(&format!("<{path}?{extra}last={}&n={n}>; rel=\"next\"", escape(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(query: &str) -> Result<Option<usize>, serde_json::Value> {
        let uri = format!("/?{query}").parse().unwrap();
        requested(Query::of(&uri)).map_err(|e| e.to_json()["errors"][0]["detail"].clone())
    }

    #[test]
    fn numbers() {
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("n="), Ok(None));
        assert_eq!(number("n=0"), Ok(Some(0)));
        assert_eq!(number("n=17"), Ok(Some(17)));
        assert_eq!(number("n=-1"), Err(json!({ "n": -1 })));
        assert_eq!(number("n=x"), Err(json!({ "n": "x" })));
        assert_eq!(
            number("n=99999999999999999999999"),
            Err(json!({ "n": "99999999999999999999999" }))
        );
    }

    #[test]
    fn links() {
        assert_eq!(
            link("/v2/_catalog", None, "a/b", 2),
            "</v2/_catalog?last=a%2Fb&n=2>; rel=\"next\""
        );
        let extra = Some(("artifactType", "application/x+y"));
        assert_eq!(
            link("/v2/a/referrers/d", extra, "sha256:1", 10),
            "</v2/a/referrers/d?artifactType=application%2Fx%2By&last=sha256%3A1&n=10>; rel=\"next\""
        );
    }

    #[test]
    fn an_endless_marker_is_cut_between_characters() {
        let uri = format!("/?last={}", "%C3%A4".repeat(2000)).parse().unwrap();
        let last = last(Query::of(&uri)).unwrap();
        assert_eq!((last.len(), last.chars().next()), (PARAMETER_BYTES_MAX, Some('ä')));
    }
}
