//! The way in for events, and everything that is running behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use outbound::MASK;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::delivery::Deliverer;
use crate::envelope;
use crate::error::{NotifyError, OutboxError};
use crate::event::{Action, Event, Source};
use crate::limits;
use crate::metrics::{DropReason, Metrics};
use crate::options::{EndpointOptions, Options};
use crate::outbox::Outbox;
use crate::post::{Poster, shown_url};
use crate::record::Record;
use crate::writer::{Waiting, Writer};

/// Takes events and has them delivered.
pub struct Notifier {
    endpoints: Arc<[EndpointOptions]>,
    source: Source,
    include_references: bool,
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
    accepted: Intake,
    offered: Intake,
    writer: TaskTracker,
    deliverers: TaskTracker,
    stop_writing: CancellationToken,
    stop_delivering: CancellationToken,
}

/// A queue to the writer, bounded in events and in bytes.
struct Intake {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
}

impl Intake {
    fn new(events_max: usize, bytes_max: usize) -> (Self, mpsc::Receiver<Waiting>) {
        let (queue, receiver) = mpsc::channel(events_max);
        (Self { queue, bytes: Arc::new(Semaphore::new(bytes_max)) }, receiver)
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Opens the outbox, goes on with what is in it, and starts the tasks that write and deliver.
    /// Reads files, and must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NotifyError`] when an endpoint's settings or the outbox can't be used.
    pub fn open(options: Options) -> Result<Arc<Self>, NotifyError> {
        let endpoints: Arc<[_]> =
            options.endpoints.into_iter().map(EndpointOptions::with_defaults).collect();
        let posters: Vec<_> = endpoints.iter().map(Poster::new).collect::<Result<_, _>>()?;
        let outbox = Arc::new(match &options.outbox {
            None => Outbox::in_memory(Arc::clone(&endpoints), options.bounds),
            Some(path) => Outbox::open(path, Arc::clone(&endpoints), options.bounds)?,
        });
        let metrics = Arc::new(Metrics::new(endpoints.iter().map(|e| e.name.as_str())));
        let (accepted, accepted_end) =
            Intake::new(limits::ACCEPT_QUEUE_EVENTS, limits::ACCEPT_QUEUE_BYTES);
        let (offered, offered_end) =
            Intake::new(limits::OFFER_QUEUE_EVENTS, limits::OFFER_QUEUE_BYTES);
        let notifier = Self {
            source: options.source,
            include_references: options.include_references,
            outbox: Arc::clone(&outbox),
            metrics: Arc::clone(&metrics),
            accepted,
            offered,
            writer: TaskTracker::new(),
            deliverers: TaskTracker::new(),
            stop_writing: CancellationToken::new(),
            stop_delivering: CancellationToken::new(),
            endpoints,
        };
        notifier.writer.spawn(
            Writer {
                accepted: accepted_end,
                offered: offered_end,
                outbox,
                metrics,
                endpoints: notifier.endpoints.len(),
                stop: notifier.stop_writing.clone(),
            }
            .run(),
        );
        notifier.start_delivering(posters);
        Ok(Arc::new(notifier))
    }

    fn start_delivering(&self, posters: Vec<Poster>) {
        for (i, poster) in posters.into_iter().enumerate() {
            let EndpointOptions { name, threshold, backoff, .. } = &self.endpoints[i];
            let pending = self.outbox.pending(i);
            tracing::info!(
                endpoint = name,
                url = shown_url(&self.endpoints[i]),
                pending,
                "events are sent to an endpoint"
            );
            let (outbox, metrics) = (Arc::clone(&self.outbox), Arc::clone(&self.metrics));
            let stop = self.stop_delivering.clone();
            let patience = (*threshold, *backoff);
            let deliverer = Deliverer::new(i, poster, patience, outbox, metrics, stop);
            self.deliverers.spawn(deliverer.run());
        }
    }

    /// Whether any endpoint wants events of this action: if not, none need be made.
    #[must_use]
    pub fn wants(&self, action: Action) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.wants_action(action))
    }

    /// Whether events about manifests shall list their references.
    #[must_use]
    pub fn includes_references(&self) -> bool {
        self.include_references
    }

    /// Takes an event; when this returns it is on stable storage and will be delivered. Waits no
    /// longer than [`limits::ACCEPT_WAIT_MAX`]. An event that no endpoint wants is taken at once.
    ///
    /// # Errors
    /// [`OutboxError`] when the event is not known to be on stable storage.
    pub async fn accept(&self, event: Event) -> Result<(), OutboxError> {
        let Some(record) = self.record(event) else { return Ok(()) };
        let wanted_by = self.wanted_by(&record);
        let queued = async {
            let size = share_of(&record);
            let bytes = Arc::clone(&self.accepted.bytes);
            let share = bytes.acquire_many_owned(size).await.map_err(|_| OutboxError::Closed)?;
            let (done, outcome) = oneshot::channel();
            let waiting = Waiting { record, share, done: Some(done) };
            self.accepted.queue.send(waiting).await.map_err(|_| OutboxError::Closed)?;
            Ok(outcome)
        };
        let deadline = tokio::time::Instant::now() + limits::ACCEPT_WAIT_MAX;
        let outcome = match tokio::time::timeout_at(deadline, queued).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                self.count_dropped(&wanted_by, DropReason::Closed);
                return Err(error);
            }
            Err(_) => {
                self.count_dropped(&wanted_by, DropReason::QueueFull);
                return Err(OutboxError::TimedOut);
            }
        };
        match tokio::time::timeout_at(deadline, outcome).await {
            Ok(outcome) => outcome.unwrap_or(Err(OutboxError::Closed)),
            Err(_) => Err(OutboxError::TimedOut),
        }
    }

    /// Takes an event unless too many are waiting to be written, and never waits. What is not taken
    /// is counted.
    pub fn offer(&self, event: Event) {
        let Some(record) = self.record(event) else { return };
        let wanted_by = self.wanted_by(&record);
        let bytes = Arc::clone(&self.offered.bytes);
        let Ok(share) = bytes.try_acquire_many_owned(share_of(&record)) else {
            return self.count_dropped(&wanted_by, DropReason::QueueFull);
        };
        match self.offered.queue.try_send(Waiting { record, share, done: None }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.count_dropped(&wanted_by, DropReason::QueueFull);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.count_dropped(&wanted_by, DropReason::Closed);
            }
        }
    }

    /// The event with its id and the time, as it will be sent; nothing if nobody wants it.
    fn record(&self, mut event: Event) -> Option<Record> {
        let (action, media_type) = (event.action, event.target.media_type.clone());
        if !self.endpoints.iter().any(|endpoint| endpoint.wants(action, &media_type)) {
            return None;
        }
        let request = &mut event.request;
        let free = [&mut request.host, &mut request.user_agent, &mut request.address];
        for field in free.into_iter().chain([&mut event.actor.name]) {
            field.truncate(field.floor_char_boundary(limits::FIELD_BYTES_MAX));
        }
        let (id, now) = (Uuid::new_v4(), Timestamp::now());
        let mut body = envelope::render(&event, &self.source, id, now);
        let is_large = |body: &[u8]| body.len() as u64 > self.outbox.event_bytes_max();
        if body.as_deref().is_ok_and(is_large) && !event.target.references.is_empty() {
            let digest = &event.target.digest;
            tracing::warn!(digest, "too many references for an event: it goes without them");
            event.target.references.clear();
            body = envelope::render(&event, &self.source, id, now);
        }
        match body {
            Ok(body) => Some(Record { action, id, media_type, body: Bytes::from(body) }),
            Err(error) => {
                tracing::error!(%error, "an event can't be written as JSON");
                None
            }
        }
    }

    fn wanted_by(&self, record: &Record) -> Vec<usize> {
        (0..self.endpoints.len()).filter(|i| self.outbox.wants(*i, record)).collect()
    }

    fn count_dropped(&self, endpoints: &[usize], reason: DropReason) {
        for endpoint in endpoints {
            self.metrics.dropped(*endpoint, reason, 1);
        }
    }

    /// Adds the metrics to a registry, with Distribution's names. To be called once.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry, &self.outbox);
    }

    /// What Distribution shows as `registry.notifications.endpoints` at `/debug/vars`, without
    /// credentials.
    #[must_use]
    pub fn vars(&self) -> Value {
        (0..self.endpoints.len()).map(|endpoint| self.endpoint_vars(endpoint)).collect()
    }

    fn endpoint_vars(&self, endpoint: usize) -> Value {
        let options = &self.endpoints[endpoint];
        let mut headers = Map::new();
        for (name, _) in &options.headers {
            if let Value::Array(values) = headers.entry(name).or_insert_with(|| json!([])) {
                values.push(json!(MASK));
            }
        }
        let nanoseconds = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let counts = self.metrics.counts(endpoint);
        json!({
            "name": options.name,
            "url": shown_url(options),
            "Headers": headers,
            "Timeout": nanoseconds(options.timeout),
            "Threshold": options.threshold,
            "Backoff": nanoseconds(options.backoff),
            "IgnoredMediaTypes": options.ignored_media_types,
            "Ignore": { "MediaTypes": null, "Actions": options.ignored_actions },
            "Metrics": {
                "Pending": self.outbox.pending(endpoint),
                "Events": counts.events,
                "Successes": counts.successes,
                "Failures": counts.failures,
                "Errors": counts.errors,
                "Statuses": counts.statuses,
            },
        })
    }

    /// Takes no more events, writes those that are waiting, and ends the delivery: POSTs under way
    /// may finish within `timeout`. Without an outbox on disk, what is pending may be delivered
    /// within `timeout` as well.
    pub async fn shutdown(&self, timeout: Duration) {
        self.stop_writing.cancel();
        self.writer.close();
        self.deliverers.close();
        let finished = async {
            self.writer.wait().await;
            if !self.outbox.is_durable() {
                self.deliver_the_rest().await;
            }
            self.stop_delivering.cancel();
            self.deliverers.wait().await;
        };
        if self::timeout(timeout, finished).await.is_err() {
            self.stop_delivering.cancel();
            let pending: u64 = (0..self.endpoints.len()).map(|i| self.outbox.pending(i)).sum();
            let is_kept = self.outbox.is_durable();
            tracing::warn!(pending, is_kept, "the delivery of events did not end in time");
        }
    }

    async fn deliver_the_rest(&self) {
        while (0..self.endpoints.len()).any(|i| self.outbox.pending(i) > 0) {
            tokio::time::sleep(limits::RETRY_PAUSE).await;
        }
    }
}

/// What a record takes of the bytes that may wait.
fn share_of(record: &Record) -> u32 {
    u32::try_from(record.size_bytes()).unwrap_or(u32::MAX)
}
