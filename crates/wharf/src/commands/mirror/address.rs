//! Where clients reach the mirror.

use std::fmt;
use std::str::FromStr;

use config::{Http, Listen};

/// Where clients reach the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MirrorAddress {
    is_https: bool,
    /// Host and, unless it is the scheme's own, port.
    pub(super) authority: String,
    /// Path under which the API lies: empty, or with a slash in front and none at the end.
    pub(super) path: String,
}

impl MirrorAddress {
    /// The address that a configuration tells: `http.host`, or else the port it listens on and the
    /// name that the certificates of Let's Encrypt are for, the address it listens on, or the name
    /// of the machine.
    pub(super) fn of_config(http: &Http) -> Result<Self, String> {
        if let Some(host) = &http.host {
            let mut address: Self = host.parse()?;
            // As in the Location headers.
            if address.path.is_empty() {
                address.path.clone_from(&http.prefix);
            }
            return Ok(address);
        }
        let (host, port) = match &http.listen {
            Listen::Unix(_) | Listen::Tcp { port: 0, .. } => {
                return Err("http.addr does not tell where clients reach this registry: set \
                            http.host, or give --address"
                    .to_owned());
            }
            Listen::Tcp { host, port } => (host.as_deref(), *port),
        };
        let encrypts = &http.tls.lets_encrypt;
        let is_https = http.tls.certificate.is_some() || encrypts.cache_directory.is_some();
        let certified = encrypts.hosts.first().map(String::as_str);
        let own = host.filter(|host| !matches!(*host, "" | "0.0.0.0" | "::"));
        let host = match certified.or(own) {
            Some(host) => host.to_owned(),
            None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        let authority = authority(&host, port, is_https);
        Ok(Self { is_https, authority, path: http.prefix.clone() })
    }

    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }
}

/// Host and port, as names of images have them: without the port that the scheme has.
fn authority(host: &str, port: u16, is_https: bool) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match (port, is_https) {
        (443, true) | (80, false) => host,
        _ => format!("{host}:{port}"),
    }
}

impl FromStr for MirrorAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no address; write a URL such as https://nas.lan:5000");
        let uri: http::Uri = text.parse().map_err(|_| bad())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if uri.query().is_some() || has_user || !uri.path().chars().all(is_plain) {
            return Err(bad());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { is_https, authority: authority(host, port, is_https), path })
    }
}

impl fmt::Display for MirrorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use config::{Environment, Source};

    use super::*;

    fn configured(http: &str) -> Result<String, String> {
        let text = format!("version: 0.1\nstorage: inmemory\nhttp: {http}");
        let source = Source::new("config.yml", text);
        let config = config::load(&source, &Environment::default()).unwrap().config;
        MirrorAddress::of_config(&config.http).map(|address| address.to_string())
    }

    #[test]
    fn where_the_configuration_says() {
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for (http, expected) in [
            ("{addr: ':5000'}", format!("http://{own}:5000")),
            ("{addr: '[::]:80'}", format!("http://{own}")),
            ("{addr: '0.0.0.0:443', tls: {certificate: c, key: k}}", format!("https://{own}")),
            ("{addr: 'localhost:5000', prefix: /p/}", "http://localhost:5000/p".to_owned()),
            ("{addr: '[fd00::10]:5000'}", "http://[fd00::10]:5000".to_owned()),
            (
                "{addr: ':443', tls: {letsencrypt: {cachefile: d, hosts: [r.example]}}}",
                "https://r.example".to_owned(),
            ),
            (
                "{addr: ':1', host: 'https://h.example:443/', prefix: /p}",
                "https://h.example/p".to_owned(),
            ),
            ("{addr: ':1', host: 'http://h:5000/x', prefix: /p}", "http://h:5000/x".to_owned()),
            ("{addr: /run/w.sock, net: unix, host: 'http://h'}", "http://h".to_owned()),
        ] {
            assert_eq!(configured(http), Ok(expected), "{http}");
        }
        for http in ["{addr: ''}", "{addr: /run/w.sock, net: unix}"] {
            assert!(configured(http).unwrap_err().contains("give --address"), "{http}");
        }
    }

    #[test]
    fn what_is_no_url_is_no_address() {
        for bad in [
            "",
            "nas.lan:5000",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a/?x",
            "https://a/\"",
        ] {
            assert!(bad.parse::<MirrorAddress>().is_err(), "{bad}");
        }
    }
}
