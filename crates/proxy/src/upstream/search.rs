//! The order in which endpoints are asked, and whose answer counts.

use std::collections::VecDeque;

use http::StatusCode;

use super::endpoint::Endpoint;
use super::error::UpstreamError;

/// A question that goes from endpoint to endpoint until one answers it.
#[derive(Debug)]
pub(crate) struct Search<'a, T> {
    upstream: &'a str,
    left: VecDeque<&'a Endpoint>,
    found: Option<Result<T, UpstreamError>>,
}

impl<'a, T> Search<'a, T> {
    /// `attempt` endpoints are passed over at first.
    pub(crate) fn new(upstream: &'a str, endpoints: &'a [Endpoint], attempt: usize) -> Self {
        let (down, up): (Vec<_>, Vec<_>) = endpoints.iter().partition(|one| one.is_down());
        let mut left: VecDeque<_> = up.into_iter().chain(down).collect();
        if !left.is_empty() {
            let passed_over = attempt % left.len();
            left.rotate_left(passed_over);
        }
        Self { upstream, left, found: None }
    }

    /// Whom to ask next.
    pub(crate) fn next(&mut self) -> Option<&'a Endpoint> {
        self.left.pop_front()
    }

    /// Takes an answer. Of several that are none, the one counts that says most.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, result: Result<T, UpstreamError>) {
        endpoint.counters.note(&result);
        match &result {
            Err(UpstreamError::Unreachable { .. }) => endpoint.note_reached(false),
            // Nothing was asked.
            Err(UpstreamError::Credentials { .. } | UpstreamError::NotAllowed { .. }) => {}
            _ => endpoint.note_reached(true),
        }
        if let Err(error) = &result {
            tracing::debug!(upstream = self.upstream, host = endpoint.base().host_str(), %error);
        }
        if is_answer(&result) {
            self.left.clear();
        }
        let is_better = self.found.as_ref().is_none_or(|found| rank(&result) > rank(found));
        if is_better {
            self.found = Some(result);
        }
    }

    /// What came of it.
    pub(crate) fn result(self) -> Result<T, UpstreamError> {
        let upstream = self.upstream.to_owned();
        let nobody = || UpstreamError::Unreachable { upstream, reason: "it has no URL".into() };
        self.found.unwrap_or_else(|| Err(nobody()))
    }
}

/// Whether no other endpoint need be asked.
fn is_answer<T>(result: &Result<T, UpstreamError>) -> bool {
    match result {
        Ok(_) => true,
        Err(UpstreamError::Answered { status, .. }) => is_truth(*status),
        Err(UpstreamError::Credentials { .. } | UpstreamError::NotAllowed { .. }) => true,
        Err(_) => false,
    }
}

/// Whether a status says something about what is asked for, and not about the server. 404 does, but
/// another endpoint may have it.
fn is_truth(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(status, StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS)
        && status != StatusCode::REQUEST_TIMEOUT
}

/// How much a result says: that something isn't there only counts when every endpoint says so, and
/// when to come again is worth more than that something failed.
fn rank<T>(result: &Result<T, UpstreamError>) -> u8 {
    match result {
        _ if is_answer(result) => 5,
        Err(UpstreamError::Answered { status: StatusCode::TOO_MANY_REQUESTS, .. }) => 4,
        Err(UpstreamError::Answered { status: StatusCode::NOT_FOUND, .. }) => 0,
        Err(UpstreamError::Answered { .. }) => 3,
        Err(UpstreamError::Invalid { .. } | UpstreamError::Cut { .. }) => 2,
        Ok(_) | Err(_) => 1,
    }
}
