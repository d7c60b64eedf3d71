//! Listeners: where connections come from, how many there may be, and how they end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::debug::{self, DebugOptions};
use crate::exchange::Peer;
use crate::limits;

mod address;
mod connection;
mod socket;
mod systemd;

pub use address::ListenAddress;
use connection::Connection;
pub use socket::{ListenError, Listener};

/// How serving came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request was finished.
    Completely,
    /// This many connections were closed with a request unfinished.
    Cut(usize),
}

/// Serves the API until `shutdown` resolves. Then no more connections are taken, those that are
/// idle are closed, and requests in flight may go on for `drain_timeout`.
pub async fn serve(
    listener: Listener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let options = app.options();
    let (connections_max, drain_timeout) = (options.connections_max, options.drain_timeout);
    let builder = Arc::new(connection_builder(options.plain_http2()));
    let serving = Serving::new(connections_max);
    let on_connection = |socket: Connection, peer: Peer| {
        let app = Arc::clone(&app);
        let service = service_fn(move |request: Request<Incoming>| {
            let app = Arc::clone(&app);
            async move { Ok::<_, std::convert::Infallible>(app.answer(peer, request).await) }
        });
        serve_connection(Arc::clone(&builder), socket, service, serving.ends.clone())
    };
    serving.accept_until(listener, shutdown, on_connection).await;
    app.begin_drain();
    let drained = serving.drain(drain_timeout).await;
    app.writes.close();
    if drained == Drained::Completely {
        // Writes whose client has gone away; each is bounded by the idle time of its body.
        let _ = tokio::time::timeout(drain_timeout, app.writes.wait()).await;
    }
    drained
}

/// Serves health and metrics until `shutdown` resolves.
pub async fn serve_debug(
    listener: Listener,
    app: Arc<App>,
    options: DebugOptions,
    shutdown: impl Future<Output = ()>,
) {
    let options = Arc::new(options);
    let builder = Arc::new(connection_builder(false));
    // Probes and scrapers only.
    let serving = Serving::new(64);
    let on_connection = |socket: Connection, _peer: Peer| {
        let (app, options) = (Arc::clone(&app), Arc::clone(&options));
        let service = service_fn(move |request: Request<Incoming>| {
            let response: Response<http_body_util::Full<Bytes>> =
                debug::answer(&app, &options, &request);
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        });
        serve_connection(Arc::clone(&builder), socket, service, serving.ends.clone())
    };
    serving.accept_until(listener, shutdown, on_connection).await;
    serving.drain(Duration::from_secs(1)).await;
}

/// What tells connections to end: first in good order, then at once.
#[derive(Debug, Clone, Default)]
struct Ends {
    gracefully: CancellationToken,
    now: CancellationToken,
}

/// The connections of one listener.
struct Serving {
    ends: Ends,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
}

impl Serving {
    fn new(connections_max: usize) -> Self {
        let slots = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self { ends: Ends::default(), slots, connections: TaskTracker::new() }
    }

    /// Takes connections until `shutdown` resolves. Nothing that happens to one of them ends this.
    async fn accept_until<F>(
        &self,
        listener: Listener,
        shutdown: impl Future<Output = ()>,
        on_connection: impl Fn(Connection, Peer) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let next = async {
                // Beyond the limit, connections wait in the kernel's backlog.
                let slot = Arc::clone(&self.slots).acquire_owned().await;
                (listener.accept().await, slot)
            };
            let (accepted, slot) = tokio::select! {
                biased;
                () = &mut shutdown => return,
                next = next => next,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let connection = on_connection(socket, peer);
                    self.connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection; trying again");
                    tokio::time::sleep(limits::ACCEPT_BACK_OFF).await;
                }
            }
        }
    }

    /// Lets the connections come to their end, for at most `timeout`.
    async fn drain(&self, timeout: Duration) -> Drained {
        self.ends.gracefully.cancel();
        self.connections.close();
        let _ = tokio::time::timeout(timeout, self.connections.wait()).await;
        let left = self.connections.len();
        self.ends.now.cancel();
        self.connections.wait().await;
        if left == 0 { Drained::Completely } else { Drained::Cut(left) }
    }
}

/// Errors of `accept` that are about the connection that was to be accepted.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused)
}

fn connection_builder(http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // As Go writes them: people's scripts look for `Docker-Content-Digest:`.
        .title_case_headers(true)
        .header_read_timeout(limits::HEADER_READ_TIMEOUT)
        .max_buf_size(limits::HTTP1_BUFFER_BYTES_MAX)
        .max_headers(limits::HEADER_FIELDS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits::HTTP2_PING_INTERVAL)
        .keep_alive_timeout(limits::HTTP2_PING_TIMEOUT)
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_header_list_size(limits::HTTP2_HEADER_LIST_BYTES_MAX)
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES);
    if http2 { builder } else { builder.http1_only() }
}

async fn serve_connection<S, B>(
    builder: Arc<auto::Builder<TokioExecutor>>,
    socket: Connection,
    service: S,
    ends: Ends,
) where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = std::convert::Infallible,
        >,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = ends.gracefully.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection.as_mut() => outcome,
                () = ends.now.cancelled() => return,
            }
        }
    };
    if let Err(error) = outcome {
        // Clients that hang up or send nonsense: nothing that an operator could do.
        tracing::debug!(error = %error, "connection ended early");
    }
}
