//! One POST to one endpoint.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use outbound::{MASK, Secret};
use percent_encoding::percent_decode_str;
use reqwest::{Client, ClientBuilder, Response, Url, redirect};
use sha2::Sha256;

use crate::envelope::MEDIA_TYPE;
use crate::error::NotifyError;
use crate::limits;
use crate::options::EndpointOptions;

/// The header with the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-wharf-signature-256");

/// Sends bodies to an endpoint.
#[derive(Debug)]
pub(crate) struct Poster {
    client: Client,
    /// Without user information. Never shown as it is: paths and queries of webhooks are often
    /// secrets too.
    url: Secret,
    headers: HeaderMap,
    key: Option<Secret>,
}

/// Why a POST was not the end of it.
#[derive(Debug)]
pub(crate) enum PostError {
    /// There was an answer, and it was no.
    Refused(StatusCode),
    /// There was none, or it was not HTTP.
    NoAnswer(String),
}

impl std::fmt::Display for PostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "the answer was {}", status.as_u16()),
            Self::NoAnswer(reason) => f.write_str(reason),
        }
    }
}

impl Poster {
    /// # Errors
    /// [`NotifyError`] when the URL or a header can't be used.
    pub(crate) fn new(options: &EndpointOptions) -> Result<Self, NotifyError> {
        let mut url = parse_url(options)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        for (name, value) in &options.headers {
            let invalid =
                || NotifyError::Header { endpoint: options.name.clone(), header: name.clone() };
            let value = value.reveal();
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        if let Some(credentials) = basic_credentials(&url)
            && !headers.contains_key(header::AUTHORIZATION)
        {
            headers.insert(header::AUTHORIZATION, credentials);
        }
        // Neither fails with a URL that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let client = client(options, &url)?;
        let key = options.secret.clone();
        Ok(Self { client, url: Secret::new(url), headers, key })
    }

    /// Sends a body. Everything from 200 to 399 is a yes, as in Distribution.
    pub(crate) async fn post(&self, body: &Bytes) -> Result<StatusCode, PostError> {
        let no_answer = |error: reqwest::Error| PostError::NoAnswer(describe(error));
        let mut url = Url::parse(self.url.reveal())
            .map_err(|_| PostError::NoAnswer("the URL is not valid".to_owned()))?;
        let origin = url.origin();
        for _ in 0..limits::REDIRECTS_MAX {
            let mut request = self.client.request(Method::POST, url.clone()).body(body.clone());
            // What is configured may be a credential: it is for the configured server only.
            if url.origin() == origin {
                request = request.headers(self.headers.clone());
            } else {
                request = request.header(header::CONTENT_TYPE, MEDIA_TYPE);
            }
            if let Some(key) = &self.key {
                request = request.header(SIGNATURE, signature(key, body));
            }
            let response = request.send().await.map_err(no_answer)?;
            let status = response.status();
            if let Some(next) = redirected(&response, &url) {
                url = next;
                continue;
            }
            drain(response).await;
            let is_yes = (200..400).contains(&status.as_u16());
            return if is_yes { Ok(status) } else { Err(PostError::Refused(status)) };
        }
        Err(PostError::NoAnswer(format!("more than {} redirects", limits::REDIRECTS_MAX)))
    }
}

/// The URL with its credentials masked, for people: user information, and the values of a query.
pub(crate) fn shown_url(options: &EndpointOptions) -> String {
    let Ok(mut url) = parse_url(options) else { return MASK.to_owned() };
    if !url.username().is_empty() || url.password().is_some() {
        let _ = url.set_username(MASK);
        let _ = url.set_password(None);
    }
    if url.query().is_some() {
        url.set_query(Some(MASK));
    }
    url.into()
}

fn parse_url(options: &EndpointOptions) -> Result<Url, NotifyError> {
    let wrong = |reason: String| NotifyError::Url { endpoint: options.name.clone(), reason };
    let url =
        Url::parse(options.url.reveal()).map_err(|e| wrong(format!("the url is not one: {e}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(wrong("the url is neither http nor https".to_owned())),
    }
}

/// A client of its own for each endpoint, so that none waits for another's connections.
fn client(options: &EndpointOptions, url: &Url) -> Result<Client, NotifyError> {
    let settings = |builder: ClientBuilder| {
        builder
            .timeout(options.timeout)
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(limits::IDLE_CONNECTION_MAX)
            .referer(false)
    };
    outbound::client(url, settings).map_err(|error| NotifyError::Client {
        endpoint: options.name.clone(),
        reason: describe(error),
    })
}

/// Basic credentials from a URL's user information (RFC 7617).
fn basic_credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut text: Vec<u8> = percent_decode_str(url.username()).collect();
    text.push(b':');
    text.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(text))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Where an answer sends the request instead. 303 (See Other) says that the event was taken, and
/// where something about it can be read.
fn redirected(response: &Response, url: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// Reads a short answer to its end, so that its connection can be used again.
async fn drain(mut response: Response) {
    let mut left = limits::ANSWER_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// An error with its causes. Without the URL, which may hold a secret.
fn describe(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

/// `sha256=` and the HMAC-SHA256 of a body in hexadecimal.
fn signature(key: &Secret, body: &[u8]) -> String {
    let mut text = "sha256=".to_owned();
    // A key may have any length (RFC 2104, section 2).
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) else { return text };
    for byte in mac.chain_update(body).finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
