//! Listeners: where connections come from, how many there may be, and how they end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::debug::{self, DebugOptions};
use crate::exchange::Peer;
use crate::limits;
use crate::options::ServerOptions;

mod address;
mod connection;
mod handshake;
mod intake;
mod protocol;
mod pulse;
mod sending;
mod session;
mod slots;
mod socket;
mod stall;
mod systemd;
mod trouble;

pub use address::ListenAddress;
use connection::Connection;
pub(crate) use intake::{BodyIntake, BodyIntakeSlot};
use session::Session;
use slots::Slots;
pub use socket::{ListenError, Listener};
use trouble::Trouble;

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
    let drain_timeout = options.drain_timeout;
    let serving = Serving::new(&listener, options);
    let session = Arc::clone(&serving.session);
    let on_connection = |connection: Connection, peer: Peer| {
        let (app, session) = (Arc::clone(&app), Arc::clone(&session));
        async move {
            let answer = move |request: Request<Incoming>| Arc::clone(&app).answer(peer, request);
            session.run(connection, peer, answer).await;
        }
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
    // Probes and scrapers only.
    let connections = ServerOptions { connections_max: 64, ..ServerOptions::default() };
    let serving = Serving::new(&listener, &connections);
    let session = Arc::clone(&serving.session);
    let on_connection = |connection: Connection, peer: Peer| {
        let (app, options) = (Arc::clone(&app), Arc::clone(&options));
        let session = Arc::clone(&session);
        async move {
            let answer = |request: Request<Incoming>| {
                std::future::ready(debug::answer(&app, &options, &request))
            };
            session.run(connection, peer, answer).await;
        }
    };
    serving.accept_until(listener, shutdown, on_connection).await;
    serving.drain(Duration::from_secs(1)).await;
}

/// The connections of one listener.
struct Serving {
    session: Arc<Session>,
    slots: Slots,
    write_timeout: Duration,
    connections: TaskTracker,
    not_accepted: Trouble,
    turned_away: Trouble,
}

impl Serving {
    fn new(listener: &Listener, options: &ServerOptions) -> Self {
        Self {
            session: Arc::new(Session::new(listener.tls().cloned(), options)),
            slots: Slots::new(
                options.connections_max,
                options.connections_per_address_max,
                options.trusted_proxies.clone(),
            ),
            write_timeout: session::bounded(options.write_timeout),
            connections: TaskTracker::new(),
            not_accepted: Trouble::default(),
            turned_away: Trouble::default(),
        }
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
                let room = self.slots.wait().await;
                (listener.accept().await, room)
            };
            let (accepted, room) = tokio::select! {
                biased;
                () = &mut shutdown => return,
                next = next => next,
            };
            match (accepted, room) {
                (Ok((socket, peer)), Some(room)) => match self.slots.take(room, peer) {
                    Some(slot) => {
                        let connection = Connection::new(socket, slot, self.write_timeout);
                        self.connections.spawn(on_connection(connection, peer));
                    }
                    None => self.log_turned_away(peer),
                },
                (Err(error), _) if !is_of_one_connection(&error) => {
                    if let Some(others) = self.not_accepted.is_due() {
                        tracing::warn!(%error, others, "could not accept a connection; trying again");
                    }
                    tokio::time::sleep(limits::ACCEPT_BACK_OFF).await;
                }
                _ => {}
            }
        }
    }

    fn log_turned_away(&self, peer: Peer) {
        if let Some(others) = self.turned_away.is_due() {
            tracing::warn!(
                %peer,
                others,
                "an address has as many connections as http.limits.connectionsperaddress allows; \
                 further ones are closed"
            );
        }
    }

    /// Lets the connections come to their end, for at most `timeout`.
    async fn drain(&self, timeout: Duration) -> Drained {
        let ends = self.session.ends();
        ends.gracefully.cancel();
        self.connections.close();
        let _ = tokio::time::timeout(timeout, self.connections.wait()).await;
        let left = self.connections.len();
        ends.now.cancel();
        self.connections.wait().await;
        if left == 0 { Drained::Completely } else { Drained::Cut(left) }
    }
}

/// Errors of `accept` that are about the connection that was to be accepted.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused)
}
