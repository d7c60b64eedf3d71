//! The HTTP client for what wharf itself asks of others: webhooks, key sets, health checks,
//! collectors of traces, other registries; and what it must keep to itself of them.

mod secret;

use std::net::IpAddr;

use reqwest::{Client, ClientBuilder, Response, Url};

pub use secret::{MASK, Secret};

/// A client for requests to this URL, and to where it leads. Each user has one of its own, so that
/// none waits for another's connections; `set` says what is particular to it, and may be called
/// twice.
///
/// As in Go, `HTTP_PROXY` and its kin count, but not for this machine: a proxy has other addresses
/// of that name. Where there are no certificates of authorities, as in a minimal container, plain
/// HTTP works all the same.
///
/// # Errors
/// What the library says; for `https` for example that there are no authorities.
pub fn client(url: &Url, set: impl Fn(ClientBuilder) -> ClientBuilder) -> reqwest::Result<Client> {
    let builder = || {
        let builder = Client::builder().user_agent(concat!("wharf/", env!("CARGO_PKG_VERSION")));
        set(if is_local(url) { builder.no_proxy() } else { builder })
    };
    match builder().build() {
        Err(_) if url.scheme() == "http" => builder().tls_certs_only([]).build(),
        built => built,
    }
}

/// The body of an answer; `None` if it has more bytes than that.
///
/// # Errors
/// What the library says, when it breaks off.
pub async fn body(mut answer: Response, bytes_max: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > bytes_max {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

/// The hosts of the proxies that this process is told to use, in lower case: whoever checks where
/// clients connect to has to let them through.
#[must_use]
pub fn proxy_hosts() -> Vec<String> {
    let variables = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let names = variables.iter().flat_map(|name| [(*name).to_owned(), name.to_lowercase()]);
    let values = names.filter_map(|name| std::env::var(name).ok());
    values.filter_map(|value| proxy_host(&value)).collect()
}

fn proxy_host(value: &str) -> Option<String> {
    let has_scheme = value.contains("://");
    let url = Url::parse(&if has_scheme { value.to_owned() } else { format!("http://{value}") });
    Some(url.ok()?.host_str()?.trim_matches(['[', ']']).to_lowercase())
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_with_and_without_a_scheme() {
        for value in ["http://user:pw@Squid.corp:3128", "squid.corp:3128", "squid.corp"] {
            assert_eq!(proxy_host(value).as_deref(), Some("squid.corp"), "{value}");
        }
        assert_eq!(proxy_host("http://[fd00::1]:1/").as_deref(), Some("fd00::1"));
        assert_eq!(proxy_host(""), None);
    }

    #[test]
    fn this_machine() {
        let is_local = |host: &str| is_local(&Url::parse(&format!("http://{host}:1/")).unwrap());
        for host in
            ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in ["localhost.example.com", "10.0.0.1", "[fd00::1]", "0.0.0.0", "example.com"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
