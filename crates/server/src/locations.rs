//! Where clients are sent: the `Location` header, and the path of `Link`.

use http::request::Parts;
use oci::{Digest, RepositoryName};
use registry::UploadStatus;

use crate::exchange::Secured;
use crate::forwarded::{self, Forwarded};
use crate::options::ServerOptions;
use crate::state_token;

/// What every URL of a response begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// `scheme://host[:port]`, or nothing when locations are relative.
    origin: String,
    /// The path in front of `/v2/`.
    path: String,
}

impl Base {
    /// Works out the base from the configuration and, where that leaves it open, the request.
    ///
    /// `http.host` decides alone. Otherwise it is what the client used to reach the outermost
    /// proxy that says so, else to reach this server. `http.relativeurls` leaves out scheme and
    /// host, but not the path that a proxy cut off.
    pub(crate) fn of(options: &ServerOptions, parts: &Parts) -> Self {
        if let Some(host) = &options.host {
            let path = if host.path().is_empty() { options.prefix.as_str() } else { host.path() };
            return Self { origin: host.origin().to_owned(), path: path.to_owned() };
        }
        let forwarded = Forwarded::of(&parts.headers);
        let path =
            format!("{}{}", forwarded.prefix.as_deref().unwrap_or(""), options.prefix.as_str());
        let origin = if options.relative_urls { None } else { origin(&forwarded, parts) };
        Self { origin: origin.unwrap_or_default(), path }
    }

    /// As [`Base::of`], but never relative: for URLs that go elsewhere than into a `Location`.
    pub(crate) fn absolute(options: &ServerOptions, parts: &Parts) -> Self {
        match options.relative_urls {
            true => Self::of(&ServerOptions { relative_urls: false, ..options.clone() }, parts),
            false => Self::of(options, parts),
        }
    }

    /// Scheme, host, and the path in front of `/v2/`.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// Scheme and host.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The URL of a blob.
    pub(crate) fn blob(&self, name: &RepositoryName, digest: &Digest) -> String {
        format!("{}{}/v2/{name}/blobs/{digest}", self.origin, self.path)
    }

    /// The URL of a manifest.
    pub(crate) fn manifest(&self, name: &RepositoryName, digest: &Digest) -> String {
        format!("{}{}/v2/{name}/manifests/{digest}", self.origin, self.path)
    }

    /// The URL of an upload session.
    pub(crate) fn upload(
        &self,
        options: &ServerOptions,
        name: &RepositoryName,
        status: &UploadStatus,
    ) -> String {
        let state = state_token::encode(&options.secret, name, status);
        // Base64url's only character with a meaning in a query is the padding.
        let state = state.replace('=', "%3D");
        let id = &status.id;
        format!("{}{}/v2/{name}/blobs/uploads/{id}?_state={state}", self.origin, self.path)
    }

    /// The path of the API, for a `Link`, which is relative to the request anyway.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Scheme and host as the client sees them; `None` when nobody said a host, as HTTP/1.0 allows.
fn origin(forwarded: &Forwarded, parts: &Parts) -> Option<String> {
    let own = if parts.extensions.get::<Secured>().is_some() { "https" } else { "http" };
    let scheme = forwarded.proto.as_deref().unwrap_or(own);
    let host = match &forwarded.host {
        Some(host) => host.clone(),
        None => forwarded::host(request_host(parts)?)?,
    };
    let default = match scheme {
        "https" => 443,
        _ => 80,
    };
    let has_port = host.rsplit_once(']').map_or(host.as_str(), |(_, rest)| rest).contains(':');
    match forwarded.port {
        // A chain of proxies often reports the port of its inner leg: the plain port with https,
        // or the other way round, is never where the client was.
        Some(port) if !has_port && port != default && port != 80 && port != 443 => {
            Some(format!("{scheme}://{host}:{port}"))
        }
        _ => Some(format!("{scheme}://{host}")),
    }
}

/// The host that the request itself names: `:authority` of HTTP/2, or the `Host` header. A user and
/// a password before it are not allowed there (RFC 9110, section 4.2.4), so they are left out: this
/// is what is logged.
pub(crate) fn request_host(parts: &Parts) -> Option<&str> {
    let header = || parts.headers.get(http::header::HOST)?.to_str().ok();
    let host = parts.uri.authority().map(http::uri::Authority::as_str).or_else(header)?;
    Some(host.rsplit_once('@').map_or(host, |(_, bare)| bare))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{HostUrl, PathPrefix};

    fn base(options: &ServerOptions, headers: &[(&str, &str)]) -> String {
        let mut request = http::Request::get("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let base = Base::of(options, &parts);
        format!("{}{}", base.origin, base.path)
    }

    #[test]
    fn from_the_request() {
        let options = ServerOptions::default();
        for (headers, expected) in [
            (&[("host", "r:5000")][..], "http://r:5000"),
            (&[("host", "[::1]:5000")], "http://[::1]:5000"),
            (&[("host", "u:p@ss@r:5000")], "http://r:5000"),
            (&[], ""),
            (&[("host", "r"), ("x-forwarded-proto", "https")], "https://r"),
            (&[("host", "in:5000"), ("x-forwarded-host", "out")], "http://out"),
            (
                &[("host", "in"), ("x-forwarded-port", "8443"), ("x-forwarded-proto", "https")],
                "https://in:8443",
            ),
            (&[("host", "in:1"), ("x-forwarded-port", "8443")], "http://in:1"),
            (&[("host", "[::1]"), ("x-forwarded-port", "81")], "http://[::1]:81"),
            (
                &[("host", "in"), ("x-forwarded-port", "80"), ("x-forwarded-proto", "https")],
                "https://in",
            ),
            (
                &[("host", "in"), ("x-forwarded-port", "443"), ("x-forwarded-proto", "https")],
                "https://in",
            ),
            (&[("host", "in"), ("forwarded", "proto=https;host=out:8443")], "https://out:8443"),
            (&[("host", "in"), ("x-forwarded-prefix", "/sub")], "http://in/sub"),
        ] {
            assert_eq!(base(&options, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn from_the_configuration() {
        let forwarded =
            [("host", "in"), ("x-forwarded-proto", "https"), ("x-forwarded-prefix", "/sub")];
        let prefix = PathPrefix::parse("/registry/").unwrap();
        let relative = ServerOptions { relative_urls: true, prefix, ..Default::default() };
        assert_eq!(base(&relative, &forwarded), "/sub/registry");
        let host = |text| Some(HostUrl::parse(text).unwrap());
        let fixed = ServerOptions { host: host("https://r.example.com"), ..relative };
        assert_eq!(base(&fixed, &forwarded), "https://r.example.com/registry");
        let with_path = ServerOptions { host: host("https://r.example.com/hub/"), ..fixed };
        assert_eq!(base(&with_path, &forwarded), "https://r.example.com/hub");
    }
}
