//! HTTP on a connection, from its first request to its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::intake::{BodyIntakeSlot, IntakeBudget};
use super::pulse::{BusyBody, Expired, Observed, Patience, Pulse, Watch};
use super::sending::{Sending, Streams};
use crate::limits;

/// What tells connections to end: first in good order, then at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    pub(super) gracefully: CancellationToken,
    pub(super) now: CancellationToken,
}

/// The versions of HTTP that a connection may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    Http1,
    Http2,
    /// The client chooses with its first bytes.
    Either,
}

/// Serves connections.
#[derive(Debug)]
pub(super) struct Http {
    roomy: Builders,
    frugal: Builders,
    intake: IntakeBudget,
    patience: Patience,
    /// Connections that are open.
    open: AtomicUsize,
}

/// One for each choice of versions.
#[derive(Debug)]
struct Builders {
    http1: auto::Builder<Streams>,
    http2: auto::Builder<Streams>,
    either: auto::Builder<Streams>,
}

impl Builders {
    fn new(streams: Streams, http1_buffer_bytes: usize) -> Self {
        Self {
            http1: builder(streams, http1_buffer_bytes).http1_only(),
            http2: builder(streams, http1_buffer_bytes).http2_only(),
            either: builder(streams, http1_buffer_bytes),
        }
    }
}

impl Http {
    /// `write_timeout` is how long a client may take nothing of an answer over HTTP/2; with HTTP/1
    /// the connection sees to it.
    pub(super) fn new(patience: Patience, write_timeout: Duration) -> Self {
        let streams = Streams { patience: write_timeout };
        Self {
            roomy: Builders::new(streams, limits::HTTP1_BUFFER_BYTES_ROOMY),
            frugal: Builders::new(streams, limits::HTTP1_BUFFER_BYTES_MAX),
            intake: IntakeBudget::default(),
            patience,
            open: AtomicUsize::new(0),
        }
    }

    /// Serves a connection until it ends by itself, is of no use any more, or is told to.
    pub(super) async fn serve<S, F, B>(
        &self,
        versions: Versions,
        stream: S,
        answer: impl Fn(Request<Incoming>) -> F,
        ends: &Ends,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let pulse = Pulse::new();
        let intake = self.intake.connection();
        let stream = Observed::new(stream, Arc::clone(&pulse), Arc::clone(&intake));
        let service = service_fn(|mut request: Request<Incoming>| {
            let busy = pulse.request();
            if request.version() == Version::HTTP_2 && !request.body().is_end_stream() {
                request.extensions_mut().insert(BodyIntakeSlot::new(intake.body()));
            }
            let answering = answer(request);
            async move {
                let response = answering.await;
                let sending = Sending::current();
                Ok::<_, Infallible>(response.map(|body| BusyBody::new(body, busy, sending)))
            }
        });
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let _closed = Closed(&self.open);
        let builders =
            if open < limits::ROOMY_CONNECTIONS_MAX { &self.roomy } else { &self.frugal };
        let builder = match versions {
            Versions::Http1 => &builders.http1,
            Versions::Http2 => &builders.http2,
            Versions::Either => &builders.either,
        };
        let mut connection =
            std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut watch = Watch::new(Arc::clone(&pulse), self.patience);
        let until_of_no_use = poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
            Poll::Pending => watch.poll(cx).map(Err),
        });
        let ended = tokio::select! {
            ended = until_of_no_use => Some(ended),
            () = ends.gracefully.cancelled() => None,
        };
        let finished = match ended {
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(Expired::Header)) => {
                tracing::debug!("a request's head took too long; its connection is closed");
                return;
            }
            Some(Err(Expired::Idle)) => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(limits::LINGER_TIMEOUT, connection).await.ok()
            }
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    outcome = connection => Some(outcome),
                    () = ends.now.cancelled() => None,
                }
            }
        };
        if let Some(Err(error)) = finished {
            // Clients that hang up or send nonsense: nothing that an operator could do.
            tracing::debug!(error = %error, "connection ended early");
        }
    }
}

/// Counts a connection that is no more.
struct Closed<'a>(&'a AtomicUsize);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn builder(streams: Streams, http1_buffer_bytes: usize) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        // As Go writes them: people's scripts look for `Docker-Content-Digest:`.
        .title_case_headers(true)
        // That is for the watch to say, which knows waiting from sending.
        .header_read_timeout(None)
        .max_buf_size(http1_buffer_bytes)
        .max_headers(limits::HEADER_FIELDS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits::HTTP2_PING_INTERVAL)
        .keep_alive_timeout(limits::HTTP2_PING_TIMEOUT)
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_header_list_size(limits::HTTP2_HEADER_LIST_BYTES_MAX)
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::HTTP2_SEND_BYTES_MAX);
    builder
}
