//! `http`: the listener, TLS, the API's URLs and the debug server.

use std::{path::PathBuf, time::Duration};

use ipnet::IpNet;

use super::limits::{self, Limits, RateLimit};
use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::text(
        "addr",
        "`host:port` to listen on (`:5000`, `[::]:5000`, `localhost:5000`); a path with `net: unix`; empty is a random free port.",
    ),
    schema::choice("net", &["tcp", "unix"], "Kind of `addr`.").default("tcp"),
    schema::checked("host", check::public_url, "Absolute URL that Location headers start with."),
    schema::checked("prefix", check::prefix, "Path under which the whole API lies."),
    schema::secret(
        "secret",
        "Key of the upload state; must be the same on every replica. Random when unset.",
    ),
    schema::boolean("relativeurls", "Location headers without scheme and host.").default("false"),
    schema::duration(
        "draintimeout",
        "How long running requests may go on after SIGTERM; 0 ends them at once.",
    )
    .default("0s"),
    schema::count(
        "chunkminlength",
        "Sent as `OCI-Chunk-Min-Length`: the size in bytes below which clients shall not cut their chunks, for proxies in front that slow down many small ones. Smaller chunks are taken all the same. 0 sends nothing. Not in Distribution.",
    )
    .default("0"),
    schema::section("tls", &TLS, "HTTPS."),
    schema::section("limits", &limits::LIMITS, "Bounds on clients. Not in Distribution."),
    schema::section("ratelimit", &limits::RATE_LIMIT, "Requests per client. Not in Distribution."),
    schema::checked_texts(
        "trustedproxies",
        check::network,
        "Addresses and networks (`10.0.0.0/8`) of reverse proxies whose word about the client's address is taken for rate limits and failed logins. Not in Distribution.",
    ),
    schema::headers("headers", false, "Headers added to every routed response."),
    schema::section("debug", &DEBUG, "A second, plain listener for health and metrics."),
    schema::section("http2", &HTTP2, "HTTP/2 over TLS."),
    schema::section("h2c", &H2C, "HTTP/2 without TLS, by prior knowledge."),
]);

static TLS: Section = Section::new(&[
    schema::checked("certificate", check::path, "PEM file with the certificate and its chain."),
    schema::checked("key", check::path, "PEM file with the private key."),
    schema::checked_texts(
        "clientcas",
        check::path,
        "PEM files with the authorities of client certificates.",
    ),
    schema::choice("clientauth", CLIENT_AUTH, "What is asked of clients; only with `clientcas`.")
        .default("require-and-verify-client-cert")
        .only_with("clientcas"),
    schema::choice("minimumtls", MINIMUM_TLS, "Lowest version of TLS.").default("tls1.2"),
    schema::checked_texts(
        "ciphersuites",
        check::cipher_suite,
        "Cipher suites of TLS 1.2 by Go's names.",
    ),
    schema::section("letsencrypt", &LETS_ENCRYPT, "Certificates from Let's Encrypt."),
]);

const CLIENT_AUTH: &[&str] = &[
    "request-client-cert",
    "require-any-client-cert",
    "verify-client-cert-if-given",
    "require-and-verify-client-cert",
];

const MINIMUM_TLS: &[&str] = &["tls1.0", "tls1.1", "tls1.2", "tls1.3"];

static LETS_ENCRYPT: Section = Section::new(&[
    schema::checked("cachefile", check::path, "Directory of account and certificates."),
    schema::text("email", "Address of the account."),
    schema::texts("hosts", "Names that certificates are made for."),
    schema::checked("directoryurl", check::url, "Another ACME server."),
]);

static DEBUG: Section = Section::new(&[
    schema::text("addr", "`host:port` of the debug listener; empty is off."),
    schema::section("prometheus", &PROMETHEUS, "Metrics."),
]);

static PROMETHEUS: Section = Section::new(&[
    schema::boolean("enabled", "Serves metrics on the debug listener.").default("false"),
    schema::checked("path", check::absolute_path, "Path of the metrics.").default("/metrics"),
]);

static HTTP2: Section =
    Section::new(&[schema::boolean("disabled", "Turns HTTP/2 off.").default("false")]);

static H2C: Section =
    Section::new(&[schema::boolean("enabled", "Turns HTTP/2 without TLS on.").default("false")]);

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port. Port 0 is a random free one.
    Tcp {
        /// Host name or IP address without brackets; none is every address, IPv4 and IPv6.
        host: Option<String>,
        /// Port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Parses Go's `host:port` forms: `:5000`, `0.0.0.0:5000`, `[::]:5000`, `localhost:5000`,
    /// and the empty text for a random port.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse_tcp(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Tcp { host: None, port: 0 });
        }
        let advice = "write host:port such as :5000, localhost:5000 or [::1]:5000";
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("has no port; {advice}"))?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let inner = inner.strip_suffix(']').filter(|ip| is_ipv6(ip));
                inner.ok_or_else(|| format!("has no IPv6 address in its brackets; {advice}"))?
            }
            None if host.contains([':', '[', ']']) => {
                return Err(format!("an IPv6 address must stand in brackets; {advice}"));
            }
            None => host,
        };
        if host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(format!("has no host name or address before its port; {advice}"));
        }
        let port = match port {
            "http" => 80,
            "https" => 443,
            "" => 0,
            number => number
                .parse()
                .map_err(|_| format!("the port must be a number from 0 to 65535; {advice}"))?,
        };
        let host = Some(host.to_owned()).filter(|host| !host.is_empty());
        Ok(Self::Tcp { host, port })
    }
}

fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _zone)| address);
    address.parse::<std::net::Ipv6Addr>().is_ok()
}

/// `http`.
#[derive(Clone, Debug)]
pub struct Http {
    /// `addr` and `net`.
    pub listen: Listen,
    /// Absolute URL that Location headers start with.
    pub host: Option<String>,
    /// Path under which the API lies: empty, or with a leading and without a trailing slash.
    pub prefix: String,
    /// Key of the upload state; none means random.
    pub secret: Option<Secret>,
    /// Location headers without scheme and host.
    pub relative_urls: bool,
    /// How long running requests may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// `OCI-Chunk-Min-Length`, in bytes; none sends nothing.
    pub chunk_min_length_bytes: Option<u64>,
    /// HTTPS.
    pub tls: Tls,
    /// Bounds on clients.
    pub limits: Limits,
    /// Requests per client; none is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Reverse proxies whose word about the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Headers of every routed response, in the order and case of the file.
    pub headers: Vec<(String, Vec<String>)>,
    /// The debug listener; none when off.
    pub debug: Option<Listen>,
    /// Path of the metrics on the debug listener; none when off.
    pub prometheus_path: Option<String>,
    /// HTTP/2 over TLS.
    pub http2: bool,
    /// HTTP/2 without TLS.
    pub h2c: bool,
}

/// `http.tls`.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate and chain.
    pub certificate: Option<PathBuf>,
    /// Private key.
    pub key: Option<PathBuf>,
    /// Authorities of client certificates.
    pub client_cas: Vec<PathBuf>,
    /// What is asked of clients, in Distribution's words.
    pub client_auth: String,
    /// Lowest version: `tls1.0` to `tls1.3`.
    pub minimum_tls: String,
    /// Cipher suites by Go's names.
    pub cipher_suites: Vec<String>,
    /// Certificates from Let's Encrypt.
    pub lets_encrypt: LetsEncrypt,
}

/// `http.tls.letsencrypt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetsEncrypt {
    /// Directory of account and certificates; none when not configured.
    pub cache_directory: Option<PathBuf>,
    /// Address of the account.
    pub email: Option<String>,
    /// Names that certificates are made for.
    pub hosts: Vec<String>,
    /// Another ACME server.
    pub directory_url: Option<String>,
}

pub(crate) fn read(http: Reader<'_>) -> Http {
    let addr = http.text("addr");
    let listen = match http.text("net").as_str() {
        "unix" => Listen::Unix(addr.into()),
        _ => Listen::parse_tcp(&addr).unwrap_or(Listen::Tcp { host: None, port: 0 }),
    };
    let debug = http.section("debug");
    let prometheus = debug.section("prometheus");
    Http {
        listen,
        host: http.set_text("host"),
        prefix: normal_prefix(&http.text("prefix")),
        secret: http.secret("secret"),
        relative_urls: http.boolean("relativeurls"),
        drain_timeout: http.duration("draintimeout"),
        chunk_min_length_bytes: Some(http.count("chunkminlength")).filter(|n| *n > 0),
        tls: read_tls(http.section("tls")),
        limits: limits::read(http.section("limits")),
        rate_limit: limits::read_rate(http.section("ratelimit")),
        trusted_proxies: http
            .texts("trustedproxies")
            .iter()
            .filter_map(|text| check::parse_network(text))
            .collect(),
        headers: http.headers("headers"),
        debug: debug.set_text("addr").and_then(|addr| Listen::parse_tcp(&addr).ok()),
        prometheus_path: prometheus.set_text("path").filter(|_| prometheus.boolean("enabled")),
        http2: !http.section("http2").boolean("disabled"),
        h2c: http.section("h2c").boolean("enabled"),
    }
}

fn read_tls(tls: Reader<'_>) -> Tls {
    let lets_encrypt = tls.section("letsencrypt");
    Tls {
        certificate: tls.set_path("certificate"),
        key: tls.set_path("key"),
        client_cas: tls.texts("clientcas").into_iter().map(PathBuf::from).collect(),
        client_auth: tls.text("clientauth"),
        minimum_tls: tls.text("minimumtls"),
        cipher_suites: tls.texts("ciphersuites"),
        lets_encrypt: LetsEncrypt {
            cache_directory: lets_encrypt.set_path("cachefile"),
            email: lets_encrypt.set_text("email"),
            hosts: lets_encrypt.texts("hosts"),
            directory_url: lets_encrypt.set_text("directoryurl"),
        },
    }
}

/// A leading slash, no trailing one, no empty segments.
fn normal_prefix(text: &str) -> String {
    text.split('/')
        .filter(|segment| !segment.is_empty())
        .fold(String::new(), |path, segment| path + "/" + segment)
}
