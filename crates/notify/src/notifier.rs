//! The way in for events, and everything that is running behind it.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::error::{NotifyError, OutboxError};
use crate::event::{Action, Event};
use crate::options::Options;

/// Takes events and has them delivered.
pub struct Notifier {}

impl Notifier {
    /// Opens the outbox, goes on with what is in it, and starts the tasks that write and deliver.
    /// Reads files, and must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NotifyError`] when an endpoint's settings or the outbox can't be used.
    pub fn open(_options: Options) -> Result<Arc<Self>, NotifyError> {
        Ok(Arc::new(Self {}))
    }

    /// Whether any endpoint wants events of this action: if not, none need be made.
    #[must_use]
    pub fn wants(&self, _action: Action) -> bool {
        false
    }

    /// Whether events about manifests shall list their references.
    #[must_use]
    pub fn includes_references(&self) -> bool {
        false
    }

    /// Takes an event; when this returns it is on stable storage and will be delivered. Waits no
    /// longer than [`crate::limits::ACCEPT_WAIT_MAX`].
    ///
    /// # Errors
    /// [`OutboxError`] when the event is lost. That has been logged and counted.
    pub async fn accept(&self, _event: Event) -> Result<(), OutboxError> {
        Ok(())
    }

    /// Takes an event unless too many are waiting to be written, and never waits. What is not taken
    /// is counted.
    pub fn offer(&self, _event: Event) {}

    /// Adds the metrics to a registry, with Distribution's names. To be called once.
    pub fn register_metrics(&self, _registry: &mut Registry) {}

    /// What Distribution shows as `registry.notifications.endpoints` at `/debug/vars`, without
    /// credentials.
    #[must_use]
    pub fn vars(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Takes no more events, writes those that are waiting, and ends the delivery: POSTs under way
    /// may finish within `timeout`. Without an outbox on disk, what is pending may be delivered
    /// within `timeout` as well.
    pub async fn shutdown(&self, _timeout: Duration) {}
}
