//! What all stores are opened with.

use std::time::Duration;

use http::HeaderValue;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::error::OpenError;
use crate::limits::{CONNECT_TIMEOUT, RETRIES, RETRY_PAUSE_MAX, RETRY_PAUSE_MIN, RETRY_TIME_MAX};

/// What does not depend on the kind of store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// `rootdirectory`.
    pub root_directory: String,
    /// `chunksize`: bytes of one part of an upload.
    pub part_bytes: usize,
    /// Whether clients are sent to the store for blobs.
    pub redirects: bool,
    /// How it is talked to.
    pub transport: Transport,
}

/// How a store is talked to.
#[derive(Clone, Debug)]
pub struct Transport {
    /// `useragent`.
    pub user_agent: String,
    /// `skipverify`.
    pub skips_verification: bool,
    /// How often a request is made again.
    pub retries: usize,
    /// The pause before the first repetition.
    pub retry_pause: Duration,
    /// How many requests wait for an answer at a time; any number when unset.
    pub requests_at_once: Option<usize>,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            user_agent: concat!("wharf/", env!("CARGO_PKG_VERSION")).to_owned(),
            skips_verification: false,
            retries: RETRIES,
            retry_pause: RETRY_PAUSE_MIN,
            requests_at_once: None,
        }
    }
}

impl Transport {
    pub(crate) fn client_options(&self) -> Result<ClientOptions, OpenError> {
        let agent = HeaderValue::from_str(&self.user_agent)
            .map_err(|error| OpenError::setting("*", "useragent", error))?;
        Ok(ClientOptions::new()
            .with_user_agent(agent)
            .with_allow_http(true)
            .with_allow_invalid_certificates(self.skips_verification)
            // A large blob may take its time, as long as something comes, and a part as long as its
            // size asks for. The library's limits know of neither: see `guard::Patience`.
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_TIMEOUT))
    }
}

pub(crate) fn retries(count: usize, pause: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: pause,
            max_backoff: RETRY_PAUSE_MAX.max(pause),
            base: 2.0,
        },
        max_retries: count,
        retry_timeout: RETRY_TIME_MAX,
    }
}
