//! What can be set about the server, as plain typed values. The binary fills them from the
//! configuration file.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use ipnet::IpNet;
use regex::Regex;

use crate::free_space::FreeSpaceMin;
use crate::limits;
use crate::rate_limit::RateLimit;

/// Settings of the HTTP API. [`ServerOptions::default`] is Distribution's behaviour with an empty
/// `http` section.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `http.host`: the base of every `Location`. Takes precedence over everything a request says.
    pub host: Option<HostUrl>,
    /// `http.prefix`: all routes lie below it, `/livez` and `/readyz` excepted.
    pub prefix: PathPrefix,
    /// `http.relativeurls`: `Location` is a path instead of a URL.
    pub relative_urls: bool,
    /// `http.headers`: added to every response of a routed request.
    pub headers: HeaderMap,
    /// `http.secret`: key of the `_state` parameter, of use only to a Distribution on the same
    /// volume.
    pub secret: Secret,
    /// `storage.maintenance.readonly.enabled`: every request that would change something gets a
    /// 405.
    pub read_only: bool,
    /// `storage.delete`: deleting anything else gets a 405.
    pub deletion: Deletion,
    /// `storage.maintenance.freespace.min`: pushes get a 507 once less than this is free.
    pub free_space_min: FreeSpaceMin,
    /// `catalog.maxentries`: the largest `n` of a catalog request.
    pub catalog_entries_max: usize,
    /// `tags.maxtags`: a larger `n` of a tags request is reduced to this.
    pub tags_max: usize,
    /// `OCI-Chunk-Min-Length` of upload sessions, in bytes; none is sent when unset, as wharf takes
    /// chunks of any size.
    pub chunk_min_length_bytes: Option<u64>,
    /// `http.h2c.enabled`: HTTP/2 without TLS, by prior knowledge.
    pub h2c_enabled: bool,
    /// `http.http2.disabled`: HTTP/1 only, whatever else is set.
    pub http2_disabled: bool,
    /// `http.limits.connections`: connections at a time; further ones wait in the listener's
    /// backlog.
    pub connections_max: usize,
    /// `http.limits.connectionsperaddress`: connections at a time from one address (with IPv6, one
    /// /64); further ones are closed. Trusted proxies may have any number. 0 for no limit.
    pub connections_per_address_max: usize,
    /// `http.limits.handshaketimeout`: how long a TLS handshake may take. For this time and those
    /// below, zero means "no limit" and is a day.
    pub handshake_timeout: Duration,
    /// `http.limits.headertimeout`: how long a request's head may take once its first byte has come
    /// (HTTP/1).
    pub header_timeout: Duration,
    /// `http.limits.idletimeout`: how long a connection is kept that has no request under way.
    pub idle_timeout: Duration,
    /// `http.limits.bodytimeout`: how long a request's body may keep the server waiting before
    /// another [`limits::BODY_PROGRESS_BYTES_MIN`] of it have come. Then the request is given up.
    pub body_idle_timeout: Duration,
    /// `http.limits.writetimeout`: how long a client may go without taking another
    /// [`limits::WRITE_PROGRESS_BYTES_MIN`] of what waits for it. Then its connection is closed.
    pub write_timeout: Duration,
    /// `http.limits.manifestsize`: the largest manifest that may be pushed, in bytes. At most
    /// [`registry::limits::STORED_MANIFEST_BYTES_MAX`] counts, as more is not read back.
    pub manifest_size_bytes_max: u64,
    /// `http.ratelimit`: how many requests a client may make; any number when unset.
    pub rate_limit: Option<RateLimit>,
    /// `http.trustedproxies`: who is believed when they say where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// `storage.redirect.except`: who gets blobs from here though others are sent elsewhere.
    pub not_redirected: NotRedirected,
    /// `http.draintimeout`: how long requests in flight may go on after a shutdown was asked for.
    /// Zero closes every connection at once.
    pub drain_timeout: Duration,
}

/// What may be deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Tags.
    pub tags: bool,
    /// Manifests, with the tags that name them.
    pub manifests: bool,
    /// Blobs.
    pub blobs: bool,
    /// Whole repositories.
    pub repositories: bool,
}

impl Deletion {
    /// Everything.
    pub const ALL: Self = Self { tags: true, manifests: true, blobs: true, repositories: true };
}

/// Clients that can't reach the store, or don't follow redirects.
#[derive(Debug, Clone, Default)]
pub struct NotRedirected {
    /// Their addresses.
    pub networks: Vec<IpNet>,
    /// What their `User-Agent` matches.
    pub user_agents: Vec<Regex>,
}

impl NotRedirected {
    /// Whether this client is one of them.
    pub(crate) fn includes(&self, address: Option<IpAddr>, user_agent: Option<&str>) -> bool {
        let address = address.map(|address| address.to_canonical());
        self.networks.iter().any(|net| address.is_some_and(|address| net.contains(&address)))
            || self.user_agents.iter().any(|agent| agent.is_match(user_agent.unwrap_or_default()))
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: None,
            prefix: PathPrefix::default(),
            relative_urls: false,
            headers: HeaderMap::new(),
            secret: Secret::default(),
            read_only: false,
            deletion: Deletion::default(),
            free_space_min: FreeSpaceMin::default(),
            catalog_entries_max: 1000,
            tags_max: 1000,
            chunk_min_length_bytes: None,
            h2c_enabled: false,
            http2_disabled: false,
            connections_max: limits::CONNECTIONS_MAX,
            connections_per_address_max: 0,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            header_timeout: limits::HEADER_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            body_idle_timeout: limits::BODY_IDLE_TIMEOUT,
            write_timeout: limits::WRITE_TIMEOUT,
            manifest_size_bytes_max: limits::MANIFEST_SIZE_BYTES_MAX,
            rate_limit: None,
            trusted_proxies: Vec::new(),
            not_redirected: NotRedirected::default(),
            drain_timeout: Duration::ZERO,
        }
    }
}

impl ServerOptions {
    /// Whether plain connections may speak HTTP/2.
    #[must_use]
    pub const fn plain_http2(&self) -> bool {
        self.h2c_enabled && !self.http2_disabled
    }

    /// The page size of a catalog request without `n`.
    pub(crate) fn catalog_page_default(&self) -> usize {
        self.catalog_entries_max.min(limits::CATALOG_PAGE_DEFAULT)
    }
}

/// An absolute base URL such as `https://registry.example.com` or `https://example.com/registry/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostUrl {
    origin: String,
    path: String,
}

impl HostUrl {
    /// Parses `http.host`.
    ///
    /// # Errors
    /// [`OptionsError::Host`] unless it is an `http` or `https` URL with a host.
    pub fn parse(text: &str) -> Result<Self, OptionsError> {
        let bad = || OptionsError::Host(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| bad())?;
        let scheme = uri.scheme_str().filter(|s| matches!(*s, "http" | "https")).ok_or_else(bad)?;
        let authority = uri.authority().filter(|a| !a.host().is_empty()).ok_or_else(bad)?;
        if authority.as_str().contains('@') {
            return Err(bad());
        }
        Ok(Self {
            origin: format!("{scheme}://{authority}"),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// `scheme://host[:port]`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path in front of `/v2/`, empty when the URL has none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The path in front of `/v2/`: empty, or `/registry` without a slash at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// Parses `http.prefix`; slashes at either end may be missing.
    ///
    /// # Errors
    /// [`OptionsError::Prefix`] when it has an empty, `.` or `..` segment, or a character that does
    /// not belong into a URL's path.
    pub fn parse(text: &str) -> Result<Self, OptionsError> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self::default());
        }
        let good = inner.split('/').all(is_plain_segment);
        if good { Ok(Self(format!("/{inner}"))) } else { Err(OptionsError::Prefix(text.into())) }
    }

    /// The prefix, without a slash at its end; empty when there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// A key that shows up in no log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps a key.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Why a setting can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// `http.host`.
    #[error(
        "http.host: \"{0}\" is not of the form \"https://registry.example.com[:port][/path/]\""
    )]
    Host(String),
    /// `http.prefix`.
    #[error("http.prefix: \"{0}\" is not of the form \"/some/path/\"")]
    Prefix(String),
    /// `http.addr`.
    #[error("http.addr: \"{0}\" is not of the form \"host:port\" or \":port\"")]
    Address(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_urls() {
        let url = HostUrl::parse("https://registry.example.com:8443/sub/").unwrap();
        assert_eq!((url.origin(), url.path()), ("https://registry.example.com:8443", "/sub"));
        assert_eq!(HostUrl::parse("http://a").unwrap().path(), "");
        for bad in ["", "a", "localhost:5000", "ftp://a", "https://", "https://u:p@a", "/x"] {
            assert_eq!(HostUrl::parse(bad), Err(OptionsError::Host(bad.into())), "{bad}");
        }
    }

    #[test]
    fn prefixes() {
        for (text, expected) in [
            ("", ""),
            ("/", ""),
            ("/a/", "/a"),
            ("a", "/a"),
            ("/a/b", "/a/b"),
            ("/a.b~c/", "/a.b~c"),
        ] {
            assert_eq!(PathPrefix::parse(text).unwrap().as_str(), expected, "{text}");
        }
        for bad in ["/a//b/", "/../", "/a/./", "/a b/", "/a?b", "/ä/"] {
            assert!(PathPrefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let options = ServerOptions { secret: Secret::new("hunter2"), ..Default::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
