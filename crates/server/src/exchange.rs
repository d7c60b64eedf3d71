//! One request and what became of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use auth::Grant;

use http::header;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use oci::RepositoryName;
use proxy::Mirrored;
use tracing::Span;
use uuid::Uuid;

use crate::app::App;
use crate::error::LoggedError;
use crate::locations::Base;
use crate::metrics::InFlight;
use crate::query::Query;
use crate::route::Route;
use crate::{access_log, client_address, error, forwarded, request_log, trace};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address.
    Tcp(SocketAddr),
    /// A process on this machine, by a unix socket.
    Unix,
}

impl fmt::Display for Peer {
    /// The address and its port; `@` for a unix socket, as Go has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => {
                SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f)
            }
            Self::Unix => f.write_str("@"),
        }
    }
}

/// Goes along with a request that came by TLS, among its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    /// Whom the client's certificate stands for, if it showed one and that was checked.
    pub(crate) client: Option<Arc<str>>,
}

/// A request without its body, shared by all who answer or log it.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) parts: Parts,
    pub(crate) peer: Peer,
    pub(crate) started: Instant,
    /// What the request is about, if that was understood and matters.
    pub(crate) route: Option<Route>,
    /// The host whose namespace it was looked up in, where that is mirrored.
    pub(crate) namespace: Option<header::HeaderValue>,
    /// The request in a distributed trace; disabled when there is none.
    pub(crate) span: Span,
    /// Names the request in the log and in events; made when it is asked for.
    pub(crate) id: OnceLock<Uuid>,
    /// Who sent it, once that is known.
    pub(crate) grant: OnceLock<Grant>,
    /// Counts the request as long as it lasts.
    pub(crate) _in_flight: Option<InFlight>,
}

impl Call {
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    pub(crate) fn query(&self) -> Query<'_> {
        Query::of(&self.parts.uri)
    }

    /// What the request is called in the log and in events.
    pub(crate) fn request_id(&self) -> Uuid {
        *self.id.get_or_init(Uuid::new_v4)
    }

    /// The user who sent it, if anybody had to say who they are.
    pub(crate) fn user(&self) -> Option<&str> {
        self.grant.get()?.user.as_deref()
    }

    /// The address of the client, as far as it can be believed; `None` for a process on this
    /// machine.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        let trusted = &self.app.options.trusted_proxies;
        client_address::client_ip(self.peer, &self.parts.headers, trusted)
    }

    /// Whom the certificate stands for that the client showed, if it was checked.
    pub(crate) fn client_certificate(&self) -> Option<&str> {
        self.parts.extensions.get::<Secured>()?.client.as_deref()
    }

    /// The repository at its upstream, if it is mirrored.
    pub(crate) fn mirrored<'a>(&'a self, name: &'a RepositoryName) -> Option<Mirrored<'a>> {
        let authorization = self.headers().get(header::AUTHORIZATION);
        let mirror = self.app.mirror.as_ref()?;
        mirror.repository(name, authorization, self.app.keeps_what_it_fetches())
    }

    /// What URLs of the response begin with.
    pub(crate) fn base(&self) -> Base {
        Base::of(&self.app.options, &self.parts)
    }

    /// A header as text, if there is one and it is text.
    pub(crate) fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The client's address for the request log: what a proxy says, else the socket's. Unless it is
    /// said which proxies are trusted, any is believed here, as with Distribution.
    pub(crate) fn remote_address(&self) -> String {
        let headers = &self.parts.headers;
        if self.app.options.trusted_proxies.is_empty() {
            let said = forwarded::client_address(headers);
            return said.map_or_else(|| self.peer.to_string(), str::to_owned);
        }
        match (self.client_ip(), self.peer) {
            (Some(client), Peer::Tcp(address)) if client == address.ip().to_canonical() => {
                self.peer.to_string()
            }
            (Some(client), _) => client.to_string(),
            (None, _) => self.peer.to_string(),
        }
    }

    /// The address at the other end of the connection, without its port, for the access log.
    pub(crate) fn peer_host(&self) -> String {
        match self.peer {
            Peer::Tcp(address) => address.ip().to_canonical().to_string(),
            Peer::Unix => "@".to_owned(),
        }
    }
}

/// What is known of a request once its response is on its way. Logged when the response's body has
/// been sent or given up.
pub(crate) struct Record {
    pub(crate) call: Arc<Call>,
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<header::HeaderValue>,
    pub(crate) error: Option<LoggedError>,
    /// Bytes of the body that were handed to the connection.
    pub(crate) written_bytes: u64,
    /// Bytes of the body that were not.
    pub(crate) unsent_bytes: u64,
    /// Why the body broke off, if the storage was to blame.
    pub(crate) broken: Option<String>,
}

impl Record {
    /// A request that has just come in. What is logged unless it is answered is that its client
    /// went away first.
    pub(crate) fn new(call: Arc<Call>) -> Self {
        let status = error::client_closed_request();
        Self {
            call,
            status,
            content_type: None,
            error: None,
            written_bytes: 0,
            unsent_bytes: 0,
            broken: None,
        }
    }
}

impl Record {
    /// Accounts for a piece of the body that is handed to the connection.
    pub(crate) fn sends(&mut self, size_bytes: u64) {
        self.written_bytes += size_bytes;
        if let Some(metrics) = &self.call.app.metrics {
            metrics.sent_bytes().inc_by(size_bytes);
        }
    }
}

impl Drop for Record {
    /// Writes every log line of the request.
    fn drop(&mut self) {
        let app = &self.call.app;
        if let Some(log) = &app.access_log {
            log.write(|line| access_log::format(line, self));
        }
        if let Some(metrics) = &app.metrics {
            metrics.finished(self);
        }
        request_log::write(self);
        trace::finish(self);
    }
}
