//! What is counted, with Distribution's names and labels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::outbox::Outbox;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByType {
    r#type: &'static str,
    endpoint: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: String,
    endpoint: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    endpoint: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEndpoint {
    endpoint: Arc<str>,
}

/// Why an event is lost to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The outbox keeps no more.
    OutboxFull,
    /// The outbox could not be written.
    OutboxFailed,
    /// More pulls came than could be written.
    QueueFull,
    /// It came after the shutdown.
    Closed,
}

impl DropReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::OutboxFull => "outbox_full",
            Self::OutboxFailed => "outbox_failed",
            Self::QueueFull => "queue_full",
            Self::Closed => "closed",
        }
    }
}

/// The counters of one endpoint, as `/debug/vars` shows them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) errors: u64,
    pub(crate) statuses: BTreeMap<String, u64>,
}

/// All counters. Endpoints of one name share theirs at Prometheus, as in Distribution.
#[derive(Debug)]
pub(crate) struct Metrics {
    names: Vec<Arc<str>>,
    counts: Vec<Mutex<Counts>>,
    events: Family<ByType, Counter>,
    status: Family<ByCode, Counter>,
    dropped: Family<ByReason, Counter>,
}

impl Metrics {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<Arc<str>> = names.map(Arc::from).collect();
        Self {
            counts: names.iter().map(|_| Mutex::default()).collect(),
            names,
            events: Family::default(),
            status: Family::default(),
            dropped: Family::default(),
        }
    }

    /// Adds everything to a registry.
    pub(crate) fn register(&self, registry: &mut Registry, outbox: &Arc<Outbox>) {
        let ours = registry.sub_registry_with_prefix("registry_notifications");
        ours.register("events", "The number of total events", self.events.clone());
        ours.register("status", "The number of status code", self.status.clone());
        ours.register(
            "dropped",
            "Events that were lost to an endpoint, by reason",
            self.dropped.clone(),
        );
        let pending = Pending { names: self.names.clone(), outbox: Arc::clone(outbox) };
        registry.register_collector(Box::new(pending));
    }

    /// Name of an endpoint.
    pub(crate) fn name(&self, endpoint: usize) -> &str {
        &self.names[endpoint]
    }

    /// The counters of one endpoint.
    pub(crate) fn counts(&self, endpoint: usize) -> Counts {
        self.counts[endpoint].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events came in for an endpoint.
    pub(crate) fn came_in(&self, endpoint: usize, count: u64) {
        self.change(endpoint, |counts| counts.events += count);
        self.count(endpoint, "Events", count);
    }

    /// An endpoint took an event.
    pub(crate) fn succeeded(&self, endpoint: usize, status: StatusCode) {
        self.change(endpoint, |counts| {
            counts.successes += 1;
            *counts.statuses.entry(status_text(status)).or_default() += 1;
        });
        self.count(endpoint, "Successes", 1);
        self.count_status(endpoint, status);
    }

    /// An endpoint answered that it does not take an event.
    pub(crate) fn failed(&self, endpoint: usize, status: StatusCode) {
        self.change(endpoint, |counts| {
            counts.failures += 1;
            *counts.statuses.entry(status_text(status)).or_default() += 1;
        });
        self.count(endpoint, "Failures", 1);
        self.count_status(endpoint, status);
    }

    /// An endpoint gave no answer, or none that is HTTP.
    pub(crate) fn got_no_answer(&self, endpoint: usize) {
        self.change(endpoint, |counts| counts.errors += 1);
        self.count(endpoint, "Errors", 1);
    }

    /// Events are lost to an endpoint.
    pub(crate) fn dropped(&self, endpoint: usize, reason: DropReason, count: u64) {
        if count > 0 {
            let (endpoint, reason) = (Arc::clone(&self.names[endpoint]), reason.as_str());
            self.dropped.get_or_create(&ByReason { endpoint, reason }).inc_by(count);
        }
    }

    fn change(&self, endpoint: usize, how: impl FnOnce(&mut Counts)) {
        how(&mut self.counts[endpoint].lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn count(&self, endpoint: usize, r#type: &'static str, count: u64) {
        if count > 0 {
            let endpoint = Arc::clone(&self.names[endpoint]);
            self.events.get_or_create(&ByType { r#type, endpoint }).inc_by(count);
        }
    }

    fn count_status(&self, endpoint: usize, status: StatusCode) {
        let endpoint = Arc::clone(&self.names[endpoint]);
        self.status.get_or_create(&ByCode { code: status_text(status), endpoint }).inc();
    }
}

/// A status as Go writes it: where its texts differ from the `http` crate's, dashboards know Go's.
pub(crate) fn status_text(status: StatusCode) -> String {
    let text = match status.as_u16() {
        203 => "Non-Authoritative Information",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        416 => "Requested Range Not Satisfiable",
        425 => "Too Early",
        _ => status.canonical_reason().unwrap_or(""),
    };
    format!("{} {text}", status.as_u16())
}

/// How many events are waiting, counted when it is asked.
#[derive(Debug)]
struct Pending {
    names: Vec<Arc<str>>,
    outbox: Arc<Outbox>,
}

impl Collector for Pending {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut pending = BTreeMap::<&Arc<str>, u64>::new();
        for (i, name) in self.names.iter().enumerate() {
            *pending.entry(name).or_default() += self.outbox.pending(i);
        }
        let mut metric = encoder.encode_descriptor(
            "registry_notifications_pending_total",
            "The gauge of pending events in queue",
            None,
            MetricType::Gauge,
        )?;
        for (name, count) in pending {
            let labels = ByEndpoint { endpoint: Arc::clone(name) };
            let gauge = prometheus_client::metrics::gauge::ConstGauge::new(
                i64::try_from(count).unwrap_or(i64::MAX),
            );
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
