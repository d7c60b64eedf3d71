//! A key set over HTTP.

use std::fmt;

use http::StatusCode;
use http::header::ACCEPT;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Url};

use crate::limits::{
    JWKS_CONNECT_TIMEOUT, JWKS_FETCH_TIMEOUT, JWKS_REDIRECTS_MAX, TOKEN_KEYS_BYTES_MAX,
};

/// Fetches a key set.
pub(crate) struct Fetcher {
    client: Client,
    url: Url,
}

impl Fetcher {
    /// A fetcher for an `http` or `https` URL.
    ///
    /// # Errors
    /// Why it can't be fetched from.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its URL's scheme must be http or https".to_owned());
        }
        let client = outbound::client(&url, settings)
            .map_err(|error| format!("no HTTP client: {}", chain(&error)))?;
        Ok(Self { client, url })
    }

    /// Fetches it.
    ///
    /// # Errors
    /// Why that failed; names no URL.
    pub(crate) async fn fetch(&self) -> Result<Vec<u8>, String> {
        let problem = |error: reqwest::Error| chain(&error.without_url());
        let request = self
            .client
            .get(self.url.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json;q=0.9, */*;q=0.1");
        let response = request.send().await.map_err(problem)?;
        if response.status() != StatusCode::OK {
            return Err(format!("the server answered {}", response.status()));
        }
        let body = outbound::body(response, TOKEN_KEYS_BYTES_MAX).await.map_err(problem)?;
        body.ok_or_else(|| format!("the answer is larger than {TOKEN_KEYS_BYTES_MAX} bytes"))
    }
}

/// Shows scheme, host and path: user, password and query may be secret.
impl fmt::Display for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn settings(builder: ClientBuilder) -> ClientBuilder {
    builder.connect_timeout(JWKS_CONNECT_TIMEOUT).timeout(JWKS_FETCH_TIMEOUT).redirect(
        Policy::custom(|attempt: Attempt<'_>| {
            let https = |url: &Url| url.scheme() == "https";
            let left_https = attempt.previous().iter().any(https) && !https(attempt.url());
            if left_https {
                attempt.error("a redirect from https to http")
            } else if attempt.previous().len() > JWKS_REDIRECTS_MAX {
                attempt.error("too many redirects")
            } else {
                attempt.follow()
            }
        }),
    )
}

/// An error with all of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
