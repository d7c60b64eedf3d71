//! A body on its way to an upstream: how far it is, and for whom it waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::Outgoing;
use crate::limits::{COMMIT_TIMEOUT, SENDING_LOOK_INTERVAL};

/// How the sending of a body goes. That it is slow to be had is not the upstream's fault.
#[derive(Debug, Clone)]
pub(super) struct Flow(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    size_bytes: u64,
    sent_bytes: u64,
    waits_for: WaitsFor,
    since: Instant,
}

/// For whom a body waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// Whoever gives it.
    Source,
    /// The upstream, to take what it was given.
    Upstream,
    /// The upstream, to make a blob of it.
    Answer,
}

impl Flow {
    pub(super) fn new(size_bytes: u64) -> Self {
        let (waits_for, since) = (WaitsFor::Upstream, Instant::now());
        Self(Arc::new(Mutex::new(State { size_bytes, sent_bytes: 0, waits_for, since })))
    }

    /// The body, as the client takes it.
    pub(super) fn body(&self, body: Outgoing) -> reqwest::Body {
        let flow = self.clone();
        let pieces = stream::try_unfold((flow, body), |(flow, mut body)| async move {
            flow.waits_for(WaitsFor::Source);
            let piece = body.next().await.transpose()?;
            let Some(piece) = piece else {
                flow.waits_for(WaitsFor::Answer);
                return Ok::<_, std::io::Error>(None);
            };
            flow.passed(piece.len() as u64);
            Ok(Some((piece, (flow, body))))
        });
        reqwest::Body::wrap_stream(pieces)
    }

    /// How much was handed over, in bytes.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.lock().sent_bytes
    }

    /// Ends when the upstream has done nothing for too long; says so.
    pub(super) async fn stalled(&self, idle_timeout: Duration) -> String {
        loop {
            tokio::time::sleep(SENDING_LOOK_INTERVAL.min(idle_timeout)).await;
            let (waits_for, waited) = {
                let state = self.lock();
                (state.waits_for, state.since.elapsed())
            };
            let longest = match waits_for {
                WaitsFor::Source => continue,
                WaitsFor::Upstream => idle_timeout,
                WaitsFor::Answer => COMMIT_TIMEOUT,
            };
            if waited > longest {
                let seconds = waited.as_secs();
                return match waits_for {
                    WaitsFor::Answer => format!("all was sent, and no answer within {seconds} s"),
                    _ => format!("nothing was taken for {seconds} s"),
                };
            }
        }
    }

    fn waits_for(&self, whom: WaitsFor) {
        let mut state = self.lock();
        (state.waits_for, state.since) = (whom, Instant::now());
    }

    /// A client with the length that it was told does not ask for the end.
    fn passed(&self, bytes: u64) {
        let mut state = self.lock();
        state.sent_bytes += bytes;
        let is_all = state.sent_bytes >= state.size_bytes;
        state.waits_for = if is_all { WaitsFor::Answer } else { WaitsFor::Upstream };
        state.since = Instant::now();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
