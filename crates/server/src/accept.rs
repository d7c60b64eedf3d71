//! `Accept` of a manifest request.

use http::{HeaderMap, header};
use oci::MediaType;

use crate::limits::LIST_ELEMENTS_MAX;

/// Whether a client rules out a manifest type.
///
/// Stored bytes are what a digest names, so they are served as they are unless the client plainly
/// can't read them: it must have listed manifest types, and not the one at hand. An absent header,
/// a wildcard, or a header that names no manifest type at all (`text/html`, `application/json`)
/// rules out nothing; RFC 9110, section 12.5.1, leaves that to the server.
pub(crate) fn excludes(headers: &HeaderMap, media_type: MediaType) -> bool {
    let elements = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .take(LIST_ELEMENTS_MAX);
    let (mut others_named, mut wildcard, mut refused) = (false, false, false);
    for element in elements {
        let mut parts = element.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        let is_it = named.eq_ignore_ascii_case(media_type.as_str());
        match (is_it, parts.any(is_zero_quality)) {
            (true, false) => return false,
            (true, true) => refused = true,
            (false, true) => {}
            (false, false) if matches!(named, "*/*" | "application/*") => wildcard = true,
            (false, false) => others_named |= is_manifest_type(named),
        }
    }
    refused || (others_named && !wildcard)
}

/// `q=0`, `q=0.0`, …: not acceptable (RFC 9110, section 12.4.2).
fn is_zero_quality(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q")
        && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
}

fn is_manifest_type(media_type: &str) -> bool {
    ["application/vnd.docker.distribution.manifest.", "application/vnd.oci.image."].iter().any(
        |family| {
            media_type.get(..family.len()).is_some_and(|head| head.eq_ignore_ascii_case(family))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

    fn excluded(values: &[&str], media_type: MediaType) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        excludes(&headers, media_type)
    }

    #[test]
    fn only_what_is_plainly_ruled_out_is() {
        use MediaType::{DockerManifest, DockerManifestList, OciIndex, OciManifest};
        for (values, media_type, expected) in [
            (vec![], OciManifest, false),
            (vec!["*/*"], OciManifest, false),
            (vec!["application/*"], OciIndex, false),
            (vec!["application/json"], OciManifest, false),
            (vec!["text/html,application/xhtml+xml"], OciManifest, false),
            (vec![DOCKER], OciManifest, true),
            (vec![DOCKER], DockerManifestList, true),
            (vec![DOCKER], DockerManifest, false),
            (vec![DOCKER, OCI], OciManifest, false),
            (vec!["application/vnd.docker.distribution.manifest.v2+json, */*"], OciManifest, false),
            (vec!["application/vnd.oci.image.manifest.v1+json;q=0, */*"], OciManifest, true),
            (vec!["application/vnd.oci.image.manifest.v1+json; q=0.5"], OciManifest, false),
            (vec!["APPLICATION/vnd.oci.image.manifest.v1+json"], OciManifest, false),
            (vec![LIST], OciIndex, true),
            (vec!["application/vnd.docker.distribution.manifest.v1+prettyjws"], OciManifest, true),
        ] {
            assert_eq!(excluded(&values, media_type), expected, "{values:?} {media_type:?}");
        }
    }
}
