//! `If-None-Match` (RFC 9110, section 13.1.2).

use http::{HeaderMap, header};

use crate::limits::LIST_ELEMENTS_MAX;

/// Whether the client already has what is there: one of the entity tags it lists is the digest.
/// The comparison is the weak one, `*` stands for anything that exists, and a digest without
/// quotes counts too, because Distribution's clients send it that way.
pub(crate) fn none_match_fails(headers: &HeaderMap, digest: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .take(LIST_ELEMENTS_MAX)
        .any(|element| {
            let element = element.trim();
            let tag = element.strip_prefix("W/").unwrap_or(element);
            let opaque = tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tag);
            element == "*" || opaque == digest
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_weak_tags_and_bare_digests() {
        for (values, expected) in [
            (vec![], false),
            (vec!["\"sha256:a\""], true),
            (vec!["sha256:a"], true),
            (vec!["W/\"sha256:a\""], true),
            (vec!["*"], true),
            (vec!["\"x\", \"sha256:a\""], true),
            (vec!["\"x\"", "\"sha256:a\""], true),
            (vec!["\"x\""], false),
            (vec!["\"sha256:ab\""], false),
            (vec!["\"sha256:a"], false),
            (vec![""], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
            }
            assert_eq!(none_match_fails(&headers, "sha256:a"), expected, "{values:?}");
        }
    }
}
