//! What reverse proxies say about the request they were sent.

use http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// What the outermost proxy says about how the client reached it. Everything in here has been
/// checked to be fit for a URL; what is not is treated as absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    /// `http` or `https`.
    pub(crate) proto: Option<String>,
    /// Host, with its port if that was said.
    pub(crate) host: Option<String>,
    /// Port, said apart from the host.
    pub(crate) port: Option<u16>,
    /// What the proxy cut off the front of the path; no slash at its end.
    pub(crate) prefix: Option<String>,
}

impl Forwarded {
    /// Reads the headers. Where there is a `Forwarded` header (RFC 7239), its first element is what
    /// counts and the `X-Forwarded-Proto`, `-Host` and `-Port` headers don't, as with Distribution.
    /// It knows no prefix, so that header is read in either case.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = match first(headers, &header::FORWARDED) {
            Some(element) => Self::from_element(element),
            None => Self {
                proto: first(headers, &X_FORWARDED_PROTO).and_then(scheme),
                host: first(headers, &X_FORWARDED_HOST).and_then(host),
                port: first(headers, &X_FORWARDED_PORT).and_then(|port| port.parse().ok()),
                prefix: None,
            },
        };
        found.prefix = first(headers, &X_FORWARDED_PREFIX).and_then(prefix);
        found
    }

    /// One element of a `Forwarded` header: `name=value` pairs with `;` between them, a value
    /// possibly in quotes.
    fn from_element(element: &str) -> Self {
        let mut found = Self::default();
        for pair in element.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "proto" => found.proto = scheme(value),
                "host" => found.host = host(value),
                _ => {}
            }
        }
        found
    }
}

/// The client's address as the proxy in front has it, for the request log and for nothing else:
/// anyone can claim any address here. [`crate::client_address`] knows whom to believe.
pub(crate) fn client_address(headers: &HeaderMap) -> Option<&str> {
    first(headers, &X_FORWARDED_FOR).or_else(|| first(headers, &X_REAL_IP))
}

/// The first element of a comma-separated header, if it is not empty.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let element = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    (!element.is_empty()).then_some(element)
}

fn scheme(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    matches!(text.as_str(), "http" | "https").then_some(text)
}

/// Host and port by their characters, so that nothing else of a URL can be smuggled in.
pub(crate) fn host(text: &str) -> Option<String> {
    let good = !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    good.then(|| text.to_owned())
}

/// A path of plain segments. `//evil.example` would make a relative `Location` lead elsewhere.
fn prefix(text: &str) -> Option<String> {
    let inner = text.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return None;
    }
    let good = text.len() <= 255
        && inner.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b))
        });
    good.then(|| format!("/{inner}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Forwarded {
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Forwarded::of(&map)
    }

    #[test]
    fn the_x_headers() {
        let found = read(&[
            ("x-forwarded-proto", "HTTPS, http"),
            ("x-forwarded-host", "r.example.com, inner"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-prefix", "/sub/"),
        ]);
        assert_eq!(found.proto.as_deref(), Some("https"));
        assert_eq!(found.host.as_deref(), Some("r.example.com"));
        assert_eq!(found.port, Some(8443));
        assert_eq!(found.prefix.as_deref(), Some("/sub"));
    }

    #[test]
    fn forwarded_wins() {
        let found = read(&[
            (
                "forwarded",
                "for=1.2.3.4; Proto=https;host=\"r.example.com:8443\", proto=http;host=x",
            ),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "other"),
            ("x-forwarded-port", "1"),
        ]);
        let expected = Forwarded {
            proto: Some("https".into()),
            host: Some("r.example.com:8443".into()),
            ..Forwarded::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_does_not_belong_into_a_url_is_ignored() {
        for headers in [
            [("x-forwarded-proto", "javascript")],
            [("x-forwarded-host", "a/b")],
            [("x-forwarded-host", "user@evil")],
            [("x-forwarded-host", "")],
            [("x-forwarded-port", "99999")],
            [("x-forwarded-prefix", "//evil.example")],
            [("x-forwarded-prefix", "/a/../b")],
            [("x-forwarded-prefix", "a")],
            [("x-forwarded-prefix", "/")],
            [("forwarded", "proto=gopher;host=a b")],
        ] {
            assert_eq!(read(&headers), Forwarded::default(), "{headers:?}");
        }
    }
}
