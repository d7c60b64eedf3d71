//! An appender that is watched.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Span;
use uuid::Uuid;

use super::{Action, Observer, SPAN_TARGET, watch};
use crate::{Appender, Feed, Result};

/// Tells of each operation. Its span lasts as long as the file is open and counts what was written:
/// a span for each batch would make tens of thousands of one large layer.
#[derive(Debug)]
pub(super) struct ObservedAppender {
    appender: Box<dyn Appender>,
    observer: Option<Arc<dyn Observer>>,
    span: Span,
    written_bytes: u64,
}

impl ObservedAppender {
    pub(super) fn new(
        appender: Box<dyn Appender>,
        observer: Option<Arc<dyn Observer>>,
        span: Span,
    ) -> Self {
        Self { appender, observer, span, written_bytes: 0 }
    }
}

/// A span below the appender's. The task that writes may not be the one that opened the file, so
/// that what is current there says nothing.
macro_rules! part_span {
    ($parent:expr, $name:literal) => {
        if $parent.is_disabled() {
            Span::none()
        } else {
            tracing::info_span!(
                target: SPAN_TARGET,
                parent: $parent,
                $name,
                "otel.status_code" = tracing::field::Empty,
                "otel.status_description" = tracing::field::Empty,
            )
        }
    };
}

#[async_trait]
impl Appender for ObservedAppender {
    fn size_bytes(&self) -> u64 {
        self.appender.size_bytes()
    }

    fn generation(&self) -> Option<Uuid> {
        self.appender.generation()
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        let before = self.appender.size_bytes();
        let observer = self.observer.as_deref();
        let operation = self.appender.append(pieces);
        let result = watch(observer, Action::Write, Span::none(), operation).await;
        super::note_failure(&self.span, &result);
        self.written_bytes += self.appender.size_bytes().saturating_sub(before);
        result
    }

    async fn append_from(&mut self, feed: Arc<dyn Feed>) -> Result<()> {
        let before = self.appender.size_bytes();
        let observer = self.observer.as_deref();
        let operation = self.appender.append_from(feed);
        let result = watch(observer, Action::Write, Span::none(), operation).await;
        super::note_failure(&self.span, &result);
        self.written_bytes += self.appender.size_bytes().saturating_sub(before);
        result
    }

    async fn truncate(&mut self, size_bytes: u64) -> Result<()> {
        let span = part_span!(&self.span, "Truncate");
        let operation = self.appender.truncate(size_bytes);
        watch(self.observer.as_deref(), Action::Truncate, span, operation).await
    }

    async fn sync(&mut self) -> Result<()> {
        let span = part_span!(&self.span, "Sync");
        let operation = self.appender.sync();
        watch(self.observer.as_deref(), Action::Sync, span, operation).await
    }

    async fn keep(&mut self) -> Result<()> {
        let span = part_span!(&self.span, "Keep");
        let operation = self.appender.keep();
        watch(self.observer.as_deref(), Action::Keep, span, operation).await
    }
}

impl Drop for ObservedAppender {
    fn drop(&mut self) {
        // OpenTelemetry's integers are signed.
        let written_bytes = i64::try_from(self.written_bytes).unwrap_or(i64::MAX);
        self.span.record("wharf.storage.written_bytes", written_bytes);
    }
}
