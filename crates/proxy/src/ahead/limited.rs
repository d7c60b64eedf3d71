//! Whether an upstream has anything to spare for what nobody has asked for yet.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::error::MirrorError;
use crate::limits::{PREFETCH_PAUSE, PREFETCH_PULLS_KEPT, RETRY_AFTER_MAX};
use crate::upstream::{Upstream, UpstreamError, UpstreamHealth};

/// Until when which upstreams are left alone.
#[derive(Default)]
pub(crate) struct Limited(Mutex<HashMap<String, Pause>>);

#[derive(Default, Clone, Copy)]
struct Pause {
    /// How often it had said by then that it was asked too much.
    refusals: u64,
    until: Option<Instant>,
}

impl Limited {
    /// Whether an upstream may be asked for a blob, or for a manifest, which is what pulls are counted
    /// by. Half of what it allows is left to clients.
    pub(crate) fn may_ask(&self, upstream: &Upstream, is_manifest: bool) -> bool {
        let UpstreamHealth { requests, rate_limit, .. } = upstream.health();
        let now = Instant::now();
        let is_paused = {
            let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let pause = pauses.entry(upstream.name().to_owned()).or_default();
            // Whoever asked.
            if requests.limited > pause.refusals {
                pause.refusals = requests.limited;
                pause.until = pause.until.max(Some(now + PREFETCH_PAUSE));
            }
            pause.until.is_some_and(|until| now < until)
        };
        let has_pulls = rate_limit.is_none_or(|limit| {
            let kept = limit.limit.map_or(PREFETCH_PULLS_KEPT, |limit| limit / 2);
            limit.remaining > if is_manifest { kept } else { 0 }
        });
        !is_paused && has_pulls
    }

    /// Takes note of what an upstream answered, which may be that it is to be asked later.
    pub(crate) fn note(&self, upstream: &Upstream, error: &MirrorError) {
        if let MirrorError::Upstream(UpstreamError::Answered { status, retry_after, .. }) = error
            && *status == StatusCode::TOO_MANY_REQUESTS
        {
            let wait = retry_after.unwrap_or(PREFETCH_PAUSE).min(RETRY_AFTER_MAX);
            self.pause(upstream.name(), wait);
        }
    }

    fn pause(&self, upstream: &str, wait: Duration) {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses.entry(upstream.to_owned()).or_default();
        pause.until = pause.until.max(Some(Instant::now() + wait));
    }
}
