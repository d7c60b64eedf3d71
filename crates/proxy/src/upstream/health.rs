//! How an upstream is doing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::error::UpstreamError;

/// How an upstream is doing, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamHealth {
    /// Requests by what became of them.
    pub requests: RequestCounts,
    /// Bytes of bodies that came.
    pub bytes: u64,
    /// What is left of the upstream's limit of pulls, when it said so last.
    pub rate_limit: Option<RateLimit>,
    /// Endpoints that are tried last, for they failed a moment ago.
    pub endpoints_down: usize,
}

/// Requests to an upstream by what became of them. Those to token services are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Answered with what was asked for.
    pub ok: u64,
    /// Answered with 404.
    pub not_found: u64,
    /// Answered with 401 or 403.
    pub denied: u64,
    /// Answered with 429.
    pub limited: u64,
    /// Answered with a 5xx or an unexpected status.
    pub failed: u64,
    /// Not answered.
    pub unreachable: u64,
    /// Answered with what can't be right.
    pub invalid: u64,
    /// Begun, but the body ended too early.
    pub cut: u64,
}

impl RequestCounts {
    /// How many had which outcome, by its name in metrics.
    #[must_use]
    pub const fn by_outcome(&self) -> [(&'static str, u64); 8] {
        let Self { ok, not_found, denied, limited, failed, unreachable, invalid, cut } = *self;
        [
            ("ok", ok),
            ("not_found", not_found),
            ("denied", denied),
            ("limited", limited),
            ("failed", failed),
            ("unreachable", unreachable),
            ("invalid", invalid),
            ("cut", cut),
        ]
    }
}

/// An upstream's limit of pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls that are left.
    pub remaining: u64,
    /// Pulls that are allowed in a window, when the upstream says so.
    pub limit: Option<u64>,
    /// The window, when the upstream says so.
    pub window: Option<Duration>,
}

/// Counts what becomes of requests.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counts: Mutex<RequestCounts>,
    bytes: AtomicU64,
    rate_limit: Mutex<Option<RateLimit>>,
}

impl Counters {
    /// Counts what came of a request.
    pub(crate) fn note<T>(&self, result: &Result<T, UpstreamError>) {
        let mut counts = lock(&self.counts);
        *match result {
            Ok(_) => &mut counts.ok,
            Err(UpstreamError::Answered { status, .. }) => match *status {
                StatusCode::NOT_FOUND => &mut counts.not_found,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => &mut counts.denied,
                StatusCode::TOO_MANY_REQUESTS => &mut counts.limited,
                _ => &mut counts.failed,
            },
            Err(UpstreamError::Unreachable { .. }) => &mut counts.unreachable,
            Err(UpstreamError::Invalid { .. }) => &mut counts.invalid,
            Err(UpstreamError::Cut { .. }) => &mut counts.cut,
            // Nothing was asked.
            Err(UpstreamError::NotAllowed { .. } | UpstreamError::Credentials { .. }) => return,
        } += 1;
    }

    pub(crate) fn note_cut(&self) {
        lock(&self.counts).cut += 1;
    }

    pub(crate) fn note_invalid_body(&self) {
        lock(&self.counts).invalid += 1;
    }

    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Takes note of what an answer says about the limit of pulls, as Docker Hub does.
    pub(crate) fn note_rate_limit(&self, headers: &HeaderMap) {
        let said = |name: &str| headers.get(name)?.to_str().ok().and_then(amount);
        if let Some((remaining, window)) = said("ratelimit-remaining") {
            let limit = said("ratelimit-limit");
            let window = limit.and_then(|(_, window)| window).or(window);
            let limit = limit.map(|(limit, _)| limit);
            *lock(&self.rate_limit) = Some(RateLimit { remaining, limit, window });
        }
    }

    pub(crate) fn health(&self, endpoints_down: usize) -> UpstreamHealth {
        UpstreamHealth {
            requests: *lock(&self.counts),
            bytes: self.bytes.load(Ordering::Relaxed),
            rate_limit: *lock(&self.rate_limit),
            endpoints_down,
        }
    }
}

/// An amount and its window, as `100;w=21600`.
fn amount(text: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = text.split(';').map(str::trim);
    let amount = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    Some((amount, window.map(Duration::from_secs)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(amount("100;w=21600"), Some((100, Some(Duration::from_secs(21600)))));
        assert_eq!(amount("76"), Some((76, None)));
        assert_eq!(amount("many;w=1"), None);
    }
}
