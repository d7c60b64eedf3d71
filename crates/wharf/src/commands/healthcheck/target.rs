//! What to ask.

use std::fmt;
use std::path::PathBuf;

use config::{Http, Listen};

/// Whether the server can do its work: its checks pass and it is not stopping.
const PATH: &str = "/readyz";

/// A server, and what to ask it for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    /// The `Host` header.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) tls: Option<Tls>,
}

/// Where the server listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp {
        /// Name, or address without brackets.
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// That the server speaks TLS.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tls {
    /// The name that is asked for (SNI): a server with Let's Encrypt has certificates by name.
    pub(super) server_name: String,
    /// Whether the server turns away whoever has no certificate.
    pub(super) asks_for_certificate: bool,
}

impl Target {
    /// The server of a configuration, from the machine that it runs on.
    pub(super) fn of_config(http: &Http) -> Result<Self, String> {
        let endpoint = match &http.listen {
            Listen::Unix(path) => Endpoint::Unix(path.clone()),
            Listen::Tcp { port: 0, .. } => {
                return Err("http.addr asks for any free port, so that nobody can know which: \
                            set a port, or give the URL to ask"
                    .to_owned());
            }
            Listen::Tcp { host, port } => {
                Endpoint::Tcp { host: own_address(host.as_deref()), port: *port }
            }
        };
        let host = match &endpoint {
            Endpoint::Tcp { host, port } => authority(host, *port),
            Endpoint::Unix(_) => "localhost".to_owned(),
        };
        Ok(Self { endpoint, host, path: PATH.to_owned(), tls: tls_of(&http.tls) })
    }

    /// `http://HOST[:PORT][/PATH]` or https.
    pub(super) fn from_url(url: &str) -> Result<Self, String> {
        let bad = || "write a URL such as http://127.0.0.1:5000/readyz".to_owned();
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?;
        let (port, is_https) = match uri.scheme_str() {
            Some("http") => (80, false),
            Some("https") => (443, true),
            _ => return Err(bad()),
        };
        let port = uri.port_u16().unwrap_or(port);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
            None | Some("/") => PATH,
            Some(path) => path,
        };
        let tls = is_https.then(|| Tls { server_name: host.clone(), asks_for_certificate: false });
        let authority = authority(&host, port);
        let endpoint = Endpoint::Tcp { host, port };
        Ok(Self { endpoint, host: authority, path: path.to_owned(), tls })
    }
}

/// What reaches a server that listens on `host` from its own machine.
fn own_address(host: Option<&str>) -> String {
    match host {
        None | Some("" | "0.0.0.0") => "127.0.0.1".to_owned(),
        Some("::" | "[::]") => "::1".to_owned(),
        Some(host) => host.to_owned(),
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn tls_of(tls: &config::Tls) -> Option<Tls> {
    let encrypts = &tls.lets_encrypt;
    if tls.certificate.is_none() && encrypts.cache_directory.is_none() {
        return None;
    }
    let is_asked = matches!(
        tls.client_auth.as_str(),
        "require-any-client-cert" | "require-and-verify-client-cert"
    );
    Some(Tls {
        server_name: encrypts.hosts.first().cloned().unwrap_or_else(|| "localhost".to_owned()),
        asks_for_certificate: is_asked && !tls.client_cas.is_empty(),
    })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.endpoint {
            Endpoint::Tcp { .. } => write!(f, "{scheme}://{}{}", self.host, self.path),
            Endpoint::Unix(path) => write!(f, "{} {}", path.display(), self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use config::{Environment, Source};

    use super::*;

    fn configured(yaml: &str) -> Result<Target, String> {
        let text = format!("version: 0.1\nstorage: inmemory\n{yaml}");
        let source = Source::new("config.yml", text);
        Target::of_config(&config::load(&source, &Environment::default()).unwrap().config.http)
    }

    #[test]
    fn where_the_configuration_says() {
        for (http, expected) in [
            ("{addr: ':5000'}", "http://127.0.0.1:5000/readyz"),
            ("{addr: '0.0.0.0:80'}", "http://127.0.0.1:80/readyz"),
            ("{addr: '[::]:5000'}", "http://[::1]:5000/readyz"),
            ("{addr: '192.0.2.1:5000'}", "http://192.0.2.1:5000/readyz"),
            ("{addr: 'localhost:5000', prefix: /p/}", "http://localhost:5000/readyz"),
            ("{addr: /run/w.sock, net: unix}", "/run/w.sock /readyz"),
            ("{addr: ':5000', tls: {certificate: c, key: k}}", "https://127.0.0.1:5000/readyz"),
        ] {
            let target = configured(&format!("http: {http}")).unwrap();
            assert_eq!(target.to_string(), expected, "{http}");
        }
        assert!(configured("http: {addr: ''}").is_err());
    }

    #[test]
    fn only_a_server_that_turns_clients_away_may_answer_with_an_alert() {
        for (tls, asks) in [
            ("", false),
            ("clientcas: [ca]", true),
            ("clientcas: [ca], clientauth: require-any-client-cert", true),
            ("clientcas: [ca], clientauth: verify-client-cert-if-given", false),
            ("clientcas: [ca], clientauth: request-client-cert", false),
        ] {
            let http = format!("http: {{addr: ':1', tls: {{certificate: c, key: k, {tls}}}}}");
            let target = configured(&http).unwrap();
            assert_eq!(target.tls.unwrap().asks_for_certificate, asks, "{tls}");
        }
    }

    #[test]
    fn a_url_says_it_all() {
        for (url, shown) in [
            ("http://localhost:5001/debug/health", "http://localhost:5001/debug/health"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/readyz"),
            ("https://[::1]/", "https://[::1]:443/readyz"),
            ("http://a/?x=1", "http://a:80/?x=1"),
        ] {
            assert_eq!(Target::from_url(url).unwrap().to_string(), shown);
        }
        for bad in ["", "localhost:5000", "ftp://a/", "/readyz", "http://"] {
            assert!(Target::from_url(bad).is_err(), "{bad}");
        }
    }
}
