//! A driver that is watched: how long each operation takes, how it ends, and which request it
//! belongs to.
//!
//! [`Observed`] stands in front of another driver. It tells an [`Observer`] of every operation, and
//! gives each operation a span below the one that is current, if there is one: storage work that
//! nobody traces, such as a health check, starts no traces of its own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tracing::{Instrument as _, Span};

use crate::watch::Watcher;
use crate::{
    Appender, Change, Driver, Entry, Listing, ListingVersion, Object, Result, Space, Stat,
    StoragePath,
};

mod action;
mod appender;

pub use action::{Action, Outcome};
use appender::ObservedAppender;

/// The target of the spans, for subscribers that choose by it.
pub const SPAN_TARGET: &str = "wharf::storage";

/// Who is told of every operation.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// An operation has ended. Called on the async worker that ran it, so it must not wait for
    /// anything. Operations that were given up, as when a client hung up, are not told of.
    fn observed(&self, action: Action, took: Duration, outcome: Outcome);
}

/// A driver whose operations are told to an [`Observer`] and traced.
#[derive(Debug)]
pub struct Observed {
    driver: Arc<dyn Driver>,
    observer: Option<Arc<dyn Observer>>,
}

impl Observed {
    /// Watches `driver`; without an observer its operations are only traced.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { driver, observer }
    }

    async fn watch<T>(
        &self,
        action: Action,
        span: Span,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        watch(self.observer.as_deref(), action, span, operation).await
    }
}

/// Runs an operation inside its span and tells how it went.
async fn watch<T>(
    observer: Option<&dyn Observer>,
    action: Action,
    span: Span,
    operation: impl Future<Output = Result<T>>,
) -> Result<T> {
    let started = Instant::now();
    let result = if span.is_disabled() {
        operation.await
    } else {
        let result = operation.instrument(span.clone()).await;
        note_failure(&span, &result);
        result
    };
    if let Some(observer) = observer {
        observer.observed(action, started.elapsed(), Outcome::of(&result));
    }
    result
}

/// What a trace shows of an operation that did not do what it should. That a path has nothing is
/// an everyday answer.
fn note_failure<T>(span: &Span, result: &Result<T>) {
    let Err(error) = result else { return };
    match Outcome::of(result) {
        Outcome::Failed => {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.to_string());
        }
        Outcome::Absent => {
            span.record("wharf.storage.absent", true);
        }
        Outcome::Done | Outcome::Refused => {}
    }
}

/// The span of an operation, named as Distribution names its own, with its attributes. Disabled
/// when nobody listens for spans, and when there is none that it could belong to.
macro_rules! operation_span {
    ($name:literal, $driver:expr, $path:expr) => {
        if tracing::span_enabled!(target: SPAN_TARGET, tracing::Level::INFO, "operation")
            && !Span::current().is_disabled()
        {
            tracing::info_span!(
                target: SPAN_TARGET,
                $name,
                "io.cncf.distribution.storage.driver.name" = $driver.name(),
                "io.cncf.distribution.storage.path" = $path.as_str(),
                "wharf.storage.absent" = tracing::field::Empty,
                "wharf.storage.written_bytes" = tracing::field::Empty,
                "otel.status_code" = tracing::field::Empty,
                "otel.status_description" = tracing::field::Empty,
            )
        } else {
            Span::none()
        }
    };
}

/// Watches one operation of the driver behind.
macro_rules! watched {
    ($self:ident, $action:ident, $name:literal, $path:expr, $operation:expr) => {{
        let span = operation_span!($name, $self.driver, $path);
        $self.watch(Action::$action, span, $operation).await
    }};
}

#[async_trait]
impl Driver for Observed {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        watched!(self, GetContent, "GetContent", path, self.driver.get(path, limit_bytes))
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        watched!(self, PutContent, "PutContent", path, self.driver.put(path, content))
    }

    async fn put_unsynced(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        watched!(self, PutNote, "PutNote", path, self.driver.put_unsynced(path, content))
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        watched!(self, Stat, "Stat", path, self.driver.stat(path))
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        watched!(self, Open, "Open", path, self.driver.open(path))
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        let span = operation_span!("Append", self.driver, path);
        let opened = self.watch(Action::Append, span.clone(), self.driver.append(path)).await?;
        let observer = self.observer.clone();
        Ok(Box::new(ObservedAppender::new(opened, observer, span)))
    }

    async fn append_toward(
        &self,
        path: &StoragePath,
        target: &StoragePath,
    ) -> Result<Box<dyn Appender>> {
        let span = operation_span!("Append", self.driver, path);
        let opening = self.driver.append_toward(path, target);
        let opened = self.watch(Action::Append, span.clone(), opening).await?;
        let observer = self.observer.clone();
        Ok(Box::new(ObservedAppender::new(opened, observer, span)))
    }

    async fn stat_staged(&self, path: &StoragePath) -> Result<Stat> {
        watched!(self, Stat, "Stat", path, self.driver.stat_staged(path))
    }

    async fn open_staged(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        watched!(self, Open, "Open", path, self.driver.open_staged(path))
    }

    async fn abandon(&self, older_than: Duration, dry_run: bool) -> Result<Vec<String>> {
        self.driver.abandon(older_than, dry_run).await
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        watched!(self, Move, "Move", to, self.driver.publish(from, to))
    }

    /// Each change is told of by itself, as Distribution's metrics count them: it took as long as
    /// all of them together.
    async fn apply(&self, stages: Vec<Vec<Change>>) -> Result<()> {
        let Some(first) = stages.iter().flatten().next() else { return Ok(()) };
        let span = operation_span!("Apply", self.driver, first.path());
        let actions: Vec<_> = stages.iter().flatten().map(Action::of).collect();
        let started = Instant::now();
        let result = watch(None, Action::PutContent, span, self.driver.apply(stages)).await;
        if let Some(observer) = &self.observer {
            let (took, outcome) = (started.elapsed(), Outcome::of(&result));
            actions.into_iter().for_each(|action| observer.observed(action, took, outcome));
        }
        result
    }

    async fn settle(&self, path: &StoragePath) -> Result<()> {
        watched!(self, Settle, "Settle", path, self.driver.settle(path))
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        watched!(self, Delete, "Delete", path, self.driver.delete(path))
    }

    async fn delete_empty(&self, path: &StoragePath) -> Result<()> {
        watched!(self, DeleteEmpty, "DeleteEmpty", path, self.driver.delete_empty(path))
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        watched!(self, List, "List", path, self.driver.list(path))
    }

    async fn list_page(
        &self,
        path: &StoragePath,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        watched!(self, List, "List", path, self.driver.list_page(path, after, limit))
    }

    async fn leftovers(&self, path: &StoragePath) -> Result<Vec<(Box<str>, Stat)>> {
        watched!(self, List, "List", path, self.driver.leftovers(path))
    }

    fn is_remote(&self) -> bool {
        self.driver.is_remote()
    }

    fn lists_late(&self) -> bool {
        self.driver.lists_late()
    }

    fn file_bytes_max(&self) -> u64 {
        self.driver.file_bytes_max()
    }

    async fn space(&self) -> Result<Option<Space>> {
        self.driver.space().await
    }

    async fn redirect(&self, path: &StoragePath) -> Result<Option<String>> {
        watched!(self, RedirectURL, "RedirectURL", path, self.driver.redirect(path))
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        watched!(self, ListingVersion, "ListingVersion", path, self.driver.listing_version(path))
    }

    fn watcher(&self) -> Option<&dyn Watcher> {
        self.driver.watcher()
    }
}

#[cfg(test)]
mod tests;
