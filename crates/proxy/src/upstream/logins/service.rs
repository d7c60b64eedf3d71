//! Requests to those who know who wharf is: the token services of clouds.

use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use reqwest::{Client, ClientBuilder, RequestBuilder, Url, redirect};
use serde::de::DeserializeOwned;

use crate::limits::{CONNECT_TIMEOUT, ERROR_BYTES_MAX, LOGIN_TIMEOUT, TOKEN_BYTES_MAX};
use crate::upstream::reading::{BodyFault, describe, read_body, said};

/// A service of a cloud. Its URL is configured, or known.
#[derive(Debug)]
pub(crate) struct Service {
    client: Client,
}

impl Service {
    /// # Errors
    /// What the library says.
    pub(crate) fn new(url: &Url) -> Result<Self, String> {
        let settings = |builder: ClientBuilder| {
            builder
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(LOGIN_TIMEOUT)
                .pool_max_idle_per_host(0)
                .referer(false)
        };
        Ok(Self { client: outbound::client(url, settings).map_err(describe)? })
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }
}

/// The JSON that a request is answered with.
///
/// # Errors
/// Why there is none; says nothing of an answer that is a yes.
pub(crate) async fn answer<T: DeserializeOwned>(
    whose: &str,
    request: RequestBuilder,
) -> Result<T, String> {
    let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
    let unanswered = |error| format!("{whose} can't be asked: {}", describe(error));
    let mut response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    if status != StatusCode::OK {
        let body = read_body(&mut response, ERROR_BYTES_MAX, LOGIN_TIMEOUT).await;
        let message = said(&body.unwrap_or_default()).1.unwrap_or_default();
        return Err(format!("{whose} answered {}: {message}", status.as_u16()));
    }
    let body = read_body(&mut response, TOKEN_BYTES_MAX, LOGIN_TIMEOUT).await;
    let body = body.map_err(|fault| match fault {
        BodyFault::TooLarge => format!("{whose} answered more than {TOKEN_BYTES_MAX} bytes"),
        BodyFault::Cut(_, reason) => format!("the answer of {whose} was cut: {reason}"),
    })?;
    serde_json::from_slice(&body).map_err(|_| format!("{whose} answered what is not expected"))
}
