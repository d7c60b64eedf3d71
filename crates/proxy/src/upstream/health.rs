//! How an upstream is doing.

use std::time::Duration;

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
