//! The HTTP client of the exporter, which remembers why it failed.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// Why a request last failed. The library that sends makes "network error" of whatever happens.
#[derive(Debug, Default, Clone)]
pub(super) struct LastFailure(Arc<Mutex<Option<String>>>);

impl LastFailure {
    /// The reason, which is then forgotten.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &HttpError) {
        let reason = match error.downcast_ref::<reqwest::Error>() {
            // Its own words have the URL, whose path may be a secret; what caused it says more.
            Some(error) => error.source().map(chain),
            None => Some(chain(&**error)),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// An error and what caused it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some repeat what caused them.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// A client that tells.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) inner: reqwest::Client,
    pub(super) failure: LastFailure,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.inner.send_bytes(request).await.inspect_err(|error| self.failure.note(error))
    }
}
