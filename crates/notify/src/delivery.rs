//! The task of one endpoint: one event after the other, in order, each until the endpoint takes it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::{CURSOR_SAVE_INTERVAL, READ_RETRY_PAUSE, RETRY_PAUSE};
use crate::metrics::Metrics;
use crate::outbox::{Outbox, Position};
use crate::post::{PostError, Poster};
use crate::record::Record;

/// Brings events to an endpoint.
#[derive(Debug)]
pub(crate) struct Deliverer {
    /// Its number in the outbox and the metrics.
    endpoint: usize,
    poster: Poster,
    threshold: u32,
    backoff: Duration,
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    /// Failures in a row, over all events.
    failures: u32,
    /// The first event that was not delivered, and whether that has been saved.
    cursor: u64,
    is_saved: bool,
    saved_at: Instant,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    Stopped,
}

impl Deliverer {
    pub(crate) fn new(
        endpoint: usize,
        poster: Poster,
        (threshold, backoff): (u32, Duration),
        outbox: Arc<Outbox>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            endpoint,
            poster,
            threshold,
            backoff,
            outbox,
            metrics,
            stop,
            failures: 0,
            cursor: 0,
            is_saved: true,
            saved_at: Instant::now(),
        }
    }

    /// Delivers until it is stopped.
    pub(crate) async fn run(mut self) {
        let mut position = self.outbox.position(self.endpoint);
        let mut appended = self.outbox.subscribe();
        while !self.stop.is_cancelled() {
            // Before reading, so that what is appended meanwhile is not slept over.
            appended.borrow_and_update();
            let found;
            (found, position) = self.read(position).await;
            match found {
                Ok(records) if records.is_empty() => self.idle(&mut appended).await,
                Ok(records) => {
                    if self.deliver_all(records).await == Outcome::Stopped {
                        break;
                    }
                }
                Err(error) => {
                    let endpoint = self.metrics.name(self.endpoint);
                    tracing::error!(endpoint, %error, "the outbox can't be read: trying again");
                    self.pause(READ_RETRY_PAUSE).await;
                }
            }
        }
        self.save().await;
    }

    async fn read(&self, position: Position) -> (io::Result<Vec<(u64, Record)>>, Position) {
        let (outbox, endpoint) = (Arc::clone(&self.outbox), self.endpoint);
        let unread = position.clone();
        let read = spawn_blocking(move || {
            let mut position = position;
            (outbox.read(endpoint, &mut position), position)
        });
        read.await.unwrap_or_else(|error| (Err(io::Error::other(error)), unread))
    }

    /// Waits for something to deliver.
    async fn idle(&mut self, appended: &mut watch::Receiver<u64>) {
        self.save().await;
        tokio::select! {
            _ = appended.changed() => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn deliver_all(&mut self, records: Vec<(u64, Record)>) -> Outcome {
        for (sequence, record) in records {
            let is_due = self.outbox.wants(self.endpoint, &record)
                && self.outbox.begin(self.endpoint, sequence);
            if is_due {
                if self.deliver(&record).await == Outcome::Stopped {
                    return Outcome::Stopped;
                }
                let finished = self.outbox.finish(self.endpoint, sequence);
                if !finished.is_empty() {
                    // Nothing depends on when it is done, and a disk that hangs need not stop this.
                    drop(spawn_blocking(move || finished.delete()));
                }
            }
            self.cursor = sequence + 1;
            self.is_saved = false;
            if self.saved_at.elapsed() >= CURSOR_SAVE_INTERVAL {
                self.save().await;
            }
            if self.stop.is_cancelled() {
                return Outcome::Stopped;
            }
        }
        Outcome::Taken
    }

    /// Tries until the endpoint takes the event.
    async fn deliver(&mut self, record: &Record) -> Outcome {
        loop {
            match self.failures {
                0 => {}
                few if few < self.threshold => self.pause(RETRY_PAUSE).await,
                _ => self.pause(self.backoff).await,
            }
            if self.stop.is_cancelled() {
                return Outcome::Stopped;
            }
            match self.poster.post(&record.body).await {
                Ok(status) => {
                    self.metrics.succeeded(self.endpoint, status);
                    self.note_success();
                    return Outcome::Taken;
                }
                Err(error) => {
                    match &error {
                        PostError::Refused(status) => self.metrics.failed(self.endpoint, *status),
                        PostError::NoAnswer(_) => self.metrics.got_no_answer(self.endpoint),
                    }
                    self.note_failure(record, &error);
                }
            }
        }
    }

    /// Says when a failing endpoint works again, once.
    fn note_success(&mut self) {
        let failures = std::mem::take(&mut self.failures);
        if failures > 0 {
            let endpoint = self.metrics.name(self.endpoint);
            tracing::info!(endpoint, failures, "the endpoint takes events again");
        }
    }

    /// Says when an endpoint begins to fail, and when it has failed so often that it is left alone
    /// for a while; not at every try.
    fn note_failure(&mut self, record: &Record, error: &PostError) {
        self.failures = self.failures.saturating_add(1);
        let endpoint = self.metrics.name(self.endpoint);
        let (event, failures) = (record.id, self.failures);
        if failures == 1 {
            tracing::warn!(
                endpoint, %event, %error,
                "the endpoint did not take an event: it is kept and sent again"
            );
        } else if failures == self.threshold {
            tracing::warn!(
                endpoint, %event, %error, failures, backoff = ?self.backoff,
                "the endpoint still does not take the event: waiting between tries from now on"
            );
        }
    }

    async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn save(&mut self) {
        if std::mem::replace(&mut self.is_saved, true) {
            return;
        }
        self.saved_at = Instant::now();
        let (outbox, endpoint, cursor) = (Arc::clone(&self.outbox), self.endpoint, self.cursor);
        let saved = spawn_blocking(move || outbox.save_cursor(endpoint, cursor)).await;
        if let Err(error) = saved.unwrap_or_else(|error| Err(io::Error::other(error))) {
            self.is_saved = false;
            let endpoint = self.metrics.name(self.endpoint);
            tracing::warn!(endpoint, %error, "the place in the outbox can't be saved");
        }
    }
}
