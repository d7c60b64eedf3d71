//! Requests from web pages of another origin (WHATWG Fetch, "CORS protocol").
//!
//! There is no setting of its own: whoever wants this sets `Access-Control-Allow-Origin` in
//! `http.headers`, as for Distribution. wharf makes that work: a preflight is answered before any
//! credential is asked for, with the headers that were not configured filled in.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::headers;

/// Adds `http.headers` to a response. Of several allowed origins only the one that asks is named,
/// because a browser refuses a list.
pub(crate) fn add_configured(configured: &HeaderMap, parts: &Parts, response: &mut HeaderMap) {
    for (name, value) in configured {
        if *name == header::ACCESS_CONTROL_ALLOW_ORIGIN {
            continue;
        }
        response.append(name.clone(), value.clone());
    }
    let mut origins = configured.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => {}
        (Some(only), None) => {
            response.append(header::ACCESS_CONTROL_ALLOW_ORIGIN, only.clone());
        }
        (Some(_), Some(_)) => {
            response.append(header::VARY, HeaderValue::from_static("Origin"));
            let asking = parts.headers.get(header::ORIGIN);
            let mut origins = configured.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter();
            if let Some(origin) = origins.find(|origin| Some(*origin) == asking) {
                response.append(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
        }
    }
}

/// Completes the answer to a preflight with what a browser needs to let the request through. Does
/// nothing unless an origin is allowed.
pub(crate) fn complete_preflight(parts: &Parts, allow: &HeaderValue, response: &mut HeaderMap) {
    let is_preflight = parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight || !response.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    let mut fill = |name: HeaderName, value: HeaderValue| {
        if !response.contains_key(&name) {
            response.insert(name, value);
        }
    };
    fill(header::ACCESS_CONTROL_ALLOW_METHODS, allow.clone());
    if let Some(wanted) = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        fill(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    fill(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

/// Lets a web page read the headers of the API, unless `http.headers` says which it may read.
pub(crate) fn expose(response: &mut HeaderMap) {
    let allowed = response.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if allowed && !response.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS) {
        let names = [
            headers::API_VERSION,
            headers::CONTENT_DIGEST,
            headers::UPLOAD_UUID,
            headers::FILTERS_APPLIED,
            headers::SUBJECT,
            headers::TAG,
            header::LINK,
            header::LOCATION,
            header::RANGE,
            header::WWW_AUTHENTICATE,
        ];
        let names = names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, headers::value(&names));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(origins: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for origin in origins {
            map.append(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.parse().unwrap());
        }
        map
    }

    fn preflight(origin: &str) -> Parts {
        let request = http::Request::options("/v2/")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization");
        request.body(()).unwrap().into_parts().0
    }

    fn answer(configured: &HeaderMap, origin: &str) -> HeaderMap {
        let mut response = HeaderMap::new();
        let parts = preflight(origin);
        add_configured(configured, &parts, &mut response);
        complete_preflight(&parts, &HeaderValue::from_static("GET, HEAD"), &mut response);
        response
    }

    #[test]
    fn nothing_is_allowed_unless_configured() {
        assert!(answer(&HeaderMap::new(), "http://ui").is_empty());
    }

    #[test]
    fn a_preflight_is_completed() {
        let response = answer(&configured(&["*"]), "http://ui");
        assert_eq!(response[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(response[header::ACCESS_CONTROL_ALLOW_METHODS], "GET, HEAD");
        assert_eq!(response[header::ACCESS_CONTROL_ALLOW_HEADERS], "authorization");
        let mut own = configured(&["*"]);
        own.insert(header::ACCESS_CONTROL_ALLOW_METHODS, "GET".parse().unwrap());
        let response = answer(&own, "http://ui");
        let methods = response.get_all(header::ACCESS_CONTROL_ALLOW_METHODS);
        assert_eq!(methods.iter().collect::<Vec<_>>(), ["GET"]);
    }

    #[test]
    fn of_several_origins_the_asking_one_is_named() {
        let both = configured(&["http://a", "http://b"]);
        assert_eq!(answer(&both, "http://b")[header::ACCESS_CONTROL_ALLOW_ORIGIN], "http://b");
        assert_eq!(answer(&both, "http://b")[header::VARY], "Origin");
        assert!(!answer(&both, "http://c").contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
