//! `WWW-Authenticate` for tokens.

use http::HeaderValue;

use super::fault::Kind;
use crate::access::{Access, scopes};

/// The challenge in Distribution's form: `Bearer realm="…",service="…"`, then `scope` and `error`
/// where there is something to say.
pub(crate) fn challenge(realm: &str, service: &str, wanted: &[Access], kind: Kind) -> HeaderValue {
    let (realm, service) = (escaped(realm), escaped(service));
    let mut text = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
    if !wanted.is_empty() {
        text.push_str(&format!(",scope=\"{}\"", escaped(&scopes(wanted))));
    }
    if let Some(error) = kind.error() {
        text.push_str(&format!(",error=\"{error}\""));
    }
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// The inside of a quoted string (RFC 9110, section 5.6.4).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
