//! The one task that writes to the outbox: whatever came in while it waited for the disk goes there
//! together, with one sync for all.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::OutboxError;
use crate::limits::{BATCH_BYTES, BATCH_EVENTS};
use crate::metrics::{DropReason, Metrics};
use crate::outbox::{Appended, Outbox};
use crate::record::Record;

/// An event on its way to the outbox.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: Record,
    /// Its share of the bytes that may wait.
    pub(crate) share: OwnedSemaphorePermit,
    /// Told when the event is on stable storage, if somebody waits for that.
    pub(crate) done: Option<oneshot::Sender<Result<(), OutboxError>>>,
}

/// The writing end of the outbox.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) accepted: mpsc::Receiver<Waiting>,
    pub(crate) offered: mpsc::Receiver<Waiting>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) endpoints: usize,
    pub(crate) stop: CancellationToken,
}

impl Writer {
    /// Writes until it is stopped, and then what is still waiting.
    pub(crate) async fn run(mut self) {
        let mut is_failing = false;
        while let Some(first) = self.next().await {
            let batch = self.batch(first);
            self.write(batch, &mut is_failing).await;
        }
    }

    async fn next(&mut self) -> Option<Waiting> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if !self.accepted.is_closed() => {
                    self.accepted.close();
                    self.offered.close();
                }
                Some(waiting) = self.accepted.recv() => return Some(waiting),
                Some(waiting) = self.offered.recv() => return Some(waiting),
                else => return None,
            }
        }
    }

    /// What else is waiting already.
    fn batch(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut size_bytes = first.record.size_bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_EVENTS && size_bytes < BATCH_BYTES {
            let next = self.accepted.try_recv().or_else(|_| self.offered.try_recv());
            let Ok(waiting) = next else { break };
            size_bytes += waiting.record.size_bytes();
            batch.push(waiting);
        }
        batch
    }

    async fn write(&self, batch: Vec<Waiting>, is_failing: &mut bool) {
        let (mut records, mut rest) = (Vec::new(), Vec::new());
        for Waiting { record, share, done } in batch {
            records.push(record);
            rest.push((share, done));
        }
        // Nobody was promised anything about pulls.
        let sync = rest.iter().any(|(_, done)| done.is_some());
        let outbox = Arc::clone(&self.outbox);
        let written = tokio::task::spawn_blocking(move || {
            let appended = outbox.append(&records, sync);
            (records, appended)
        });
        let result = match written.await {
            Ok((_, Ok(appended))) => {
                self.count(&appended);
                if std::mem::take(is_failing) {
                    tracing::info!("the outbox can be written again");
                }
                Ok(())
            }
            Ok((records, Err(error))) => {
                self.count_lost(&records);
                if !std::mem::replace(is_failing, true) {
                    tracing::error!(%error, "the outbox can't be written: events are being lost");
                }
                Err(OutboxError::Write { reason: error.to_string() })
            }
            // The runtime is shutting down.
            Err(error) => Err(OutboxError::Write { reason: error.to_string() }),
        };
        for (_, done) in rest {
            if let Some(done) = done {
                // Nobody to tell when the request has waited too long.
                let _ = done.send(result.clone());
            }
        }
    }

    fn count(&self, appended: &Appended) {
        for endpoint in 0..self.endpoints {
            self.metrics.came_in(endpoint, appended.added[endpoint]);
            let dropped = appended.dropped[endpoint];
            self.metrics.dropped(endpoint, DropReason::OutboxFull, dropped);
            if dropped > 0 {
                let endpoint = self.metrics.name(endpoint);
                tracing::error!(
                    endpoint,
                    dropped,
                    "the outbox is full: the oldest events are lost to this endpoint"
                );
            }
        }
    }

    fn count_lost(&self, records: &[Record]) {
        for endpoint in 0..self.endpoints {
            let lost = records.iter().filter(|r| self.outbox.wants(endpoint, r)).count();
            self.metrics.dropped(endpoint, DropReason::OutboxFailed, lost as u64);
        }
    }
}
