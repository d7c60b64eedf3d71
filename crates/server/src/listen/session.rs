//! One connection, from the moment it was accepted.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use super::connection::Connection;
use super::handshake::Handshakes;
use super::protocol::{Ends, Http, Versions};
use super::pulse::Patience;
use crate::exchange::{Peer, Secured};
use crate::limits::CONNECTION_TIMEOUT_MAX;
use crate::options::ServerOptions;

/// What all connections of a listener go through.
#[derive(Debug)]
pub(super) struct Session {
    handshakes: Option<Handshakes>,
    /// What may be spoken without TLS.
    plain: Versions,
    http: Http,
    ends: Ends,
}

impl Session {
    pub(super) fn new(tls: Option<Arc<tls::Server>>, options: &ServerOptions) -> Self {
        let handshake_timeout = bounded(options.handshake_timeout);
        let patience = Patience {
            header: bounded(options.header_timeout),
            idle: bounded(options.idle_timeout),
        };
        Self {
            handshakes: tls.map(|tls| Handshakes::new(tls, handshake_timeout)),
            plain: if options.plain_http2() { Versions::Either } else { Versions::Http1 },
            http: Http::new(patience, bounded(options.write_timeout)),
            ends: Ends::default(),
        }
    }

    /// What tells the connections to end.
    pub(super) fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Serves a connection to its end.
    pub(super) async fn run<F, B>(
        &self,
        connection: Connection,
        peer: Peer,
        answer: impl Fn(Request<Incoming>) -> F,
    ) where
        F: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let Some(handshakes) = &self.handshakes else {
            return self.http.serve(self.plain, connection, answer, &self.ends).await;
        };
        let accepted = tokio::select! {
            accepted = handshakes.accept(connection, peer) => accepted,
            // There is no request yet that could be finished.
            () = self.ends.gracefully.cancelled() => None,
        };
        let Some(stream) = accepted else { return };
        // RFC 7301: who does not negotiate speaks HTTP/1.
        let versions = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Versions::Http2,
            _ => Versions::Http1,
        };
        let secured = Secured { client: handshakes.client_identity(&stream) };
        let answer = |mut request: Request<Incoming>| {
            request.extensions_mut().insert(secured.clone());
            answer(request)
        };
        self.http.serve(versions, stream, answer, &self.ends).await;
    }
}

/// A time that was set, as it is kept.
pub(super) fn bounded(time: Duration) -> Duration {
    if time.is_zero() { CONNECTION_TIMEOUT_MAX } else { time.min(CONNECTION_TIMEOUT_MAX) }
}
