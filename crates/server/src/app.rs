//! What every request goes through, from its head to the response's.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use auth::Authenticator;
use futures_util::FutureExt as _;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use notify::Notifier;
use oci::ErrorCode;
use proxy::Mirror;
use registry::Registry;
use serde_json::json;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::access_log::AccessLog;
use crate::body::RequestBody;
use crate::error::{ApiError, LoggedError};
use crate::exchange::{Call, Peer, Record};
use crate::finishing::Finishing;
use crate::free_space::FreeSpaceGuard;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::pushes::PushWatcher;
use crate::rate_limit::{self, RateLimiter};
use crate::read_only::ReadOnly;
use crate::response::{Response, ResponseBody};
use crate::route::{NoRoute, Route};
use crate::write_gate::WriteGate;
use crate::{authorize, cors, gate, handlers, head, headers, namespace, response, trace};

/// The HTTP API over a registry: everything but the listeners.
#[derive(Debug)]
pub struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) options: ServerOptions,
    pub(crate) health: Arc<Health>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) metrics: Option<Metrics>,
    /// Who may do what; none when everybody may do everything.
    pub(crate) authenticator: Option<Authenticator>,
    /// Counts the requests of each client; none when there may be any number.
    pub(crate) rate_limiter: Option<RateLimiter>,
    /// Who tells others what happens here; none when nobody wants to know.
    pub(crate) notifier: Option<Arc<Notifier>>,
    /// Who else is told of pushes.
    pub(crate) push_watcher: Option<Arc<dyn PushWatcher>>,
    /// Who asks other registries; none when everything is hosted here.
    pub(crate) mirror: Option<Arc<Mirror>>,
    /// Whether the registry can be written to just now.
    pub(crate) read_only: Arc<ReadOnly>,
    /// Who refuses pushes before the volume is full.
    pub(crate) free_space: Arc<FreeSpaceGuard>,
    /// Requests that change something. They are finished even when their client goes away.
    pub(crate) writes: TaskTracker,
    draining: AtomicBool,
}

impl App {
    /// An API without access log and metrics.
    #[must_use]
    pub fn new(registry: Arc<Registry>, options: ServerOptions) -> Self {
        let driver = Arc::clone(registry.driver());
        Self {
            rate_limiter: options.rate_limit.map(RateLimiter::new),
            read_only: Arc::new(ReadOnly::new(options.read_only)),
            free_space: Arc::new(FreeSpaceGuard::new(driver, options.free_space_min)),
            registry,
            options,
            health: Arc::default(),
            access_log: None,
            metrics: None,
            authenticator: None,
            notifier: None,
            push_watcher: None,
            mirror: None,
            writes: TaskTracker::new(),
            draining: AtomicBool::new(false),
        }
    }

    /// Writes an access log (`log.accesslog`).
    #[must_use]
    pub fn with_access_log(mut self, log: AccessLog) -> Self {
        self.access_log = Some(log);
        self
    }

    /// Keeps metrics, for the debug server to show (`http.debug.prometheus`).
    #[must_use]
    pub fn with_metrics(mut self, mut metrics: Metrics) -> Self {
        metrics.watch(&self.registry, &self.health);
        metrics.watch_maintenance(&self.read_only, &self.free_space);
        self.metrics = Some(metrics);
        self
    }

    /// Asks who is there, and whether they may (`auth`).
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Authenticator) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Tells others what happens here (`notifications`).
    #[must_use]
    pub fn with_notifier(mut self, notifier: Arc<Notifier>) -> Self {
        self.notifier = Some(notifier);
        self
    }

    /// Has somebody else told of pushes, before their clients hear that they are done.
    #[must_use]
    pub fn with_push_watcher(mut self, watcher: Arc<dyn PushWatcher>) -> Self {
        self.push_watcher = Some(watcher);
        self
    }

    /// Asks other registries for what they host (`proxy`).
    #[must_use]
    pub fn with_mirror(mut self, mirror: Arc<Mirror>) -> Self {
        mirror.heed(Arc::clone(&self.free_space) as _);
        self.mirror = Some(mirror);
        self
    }

    /// Who may do what, if that is asked at all.
    #[must_use]
    pub fn authenticator(&self) -> Option<&Authenticator> {
        self.authenticator.as_ref()
    }

    /// The health of this server: to have checks report to it, and to ask.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Whether the registry can be written to just now.
    #[must_use]
    pub fn read_only(&self) -> &Arc<ReadOnly> {
        &self.read_only
    }

    /// Whether what no request brings may be written just now.
    #[must_use]
    pub fn write_gate(&self) -> WriteGate {
        let (read_only, free_space) = (Arc::clone(&self.read_only), Arc::clone(&self.free_space));
        WriteGate::of(Arc::clone(&self.registry), read_only, free_space)
    }

    /// Looks whether the storage was switched to read-only or back, and how much of it is free. To
    /// be called every few seconds, and once before the first request.
    pub async fn look_after_storage(&self) {
        self.read_only.look(&self.registry).await;
        self.free_space.look().await;
    }

    /// Whether what is fetched from upstreams may be stored just now.
    #[must_use]
    pub fn keeps_what_it_fetches(&self) -> bool {
        !self.read_only.is_on() && !self.free_space.is_low()
    }

    /// The registry behind the API.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Has `/readyz` say that no new requests are wanted.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Answers a request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        peer: Peer,
        request: Request<Incoming>,
    ) -> Response {
        let started = Instant::now();
        let (mut parts, body) = request.into_parts();
        let received = self.metrics.as_ref().map(|metrics| metrics.received_bytes().clone());
        let body = RequestBody::new(body, &mut parts, received);
        let rest = body.rest();
        let parsed = Route::parse(parts.uri.path(), self.options.prefix.as_str());
        let placed = parsed.and_then(|route| match &self.mirror {
            Some(mirror) => namespace::place(mirror, route, &parts),
            None => Ok((route, None)),
        });
        let (route, namespace, no_route) = match placed {
            Ok((route, namespace)) => (Some(route), namespace, None),
            Err(reason) => (None, None, Some(reason)),
        };
        let _in_flight = match (&self.metrics, &route) {
            (Some(metrics), Some(route)) => Some(metrics.started(route.handler())),
            _ => None,
        };
        let call = Arc::new(Call {
            app: self,
            span: trace::begin(&parts, route.as_ref()),
            parts,
            peer,
            started,
            route,
            namespace,
            id: OnceLock::new(),
            grant: OnceLock::new(),
            _in_flight,
        });
        let mut record = Box::new(Record::new(Arc::clone(&call)));
        let outcome = match call.app.answer_apart_from_the_api(&call) {
            Some(response) => Ok(response),
            None => api(&call, no_route, body).instrument(call.span.clone()).await,
        };
        let closes = match rest {
            Some(rest) => rest.take(&call.parts).await,
            None => false,
        };
        let mut response = outcome.unwrap_or_else(ApiError::into_response);
        complete(&call, &mut response);
        if closes {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        record.status = response.status();
        record.content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        record.error = response.extensions_mut().remove::<LoggedError>();
        response.body_mut().record(record);
        response
    }

    /// The probes, the health gate, and the liveness page at `/`.
    fn answer_apart_from_the_api(&self, call: &Call) -> Option<Response> {
        let path = call.parts.uri.path();
        match path {
            "/livez" => Some(response::json(&json!({ "status": "ok" }))),
            "/readyz" => Some(self.readiness()),
            _ if !self.health.is_healthy() => Some(ApiError::unhealthy().into_response()),
            "/" => {
                let mut response = response::empty(StatusCode::OK);
                let no_cache = HeaderValue::from_static("no-cache");
                response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
                Some(response)
            }
            _ => None,
        }
    }

    /// Whether traffic is wanted, and if not, why.
    fn readiness(&self) -> Response {
        let mut failures = self.health.failures();
        if self.draining.load(Ordering::Relaxed) {
            failures.insert("shutdown".to_owned(), "the server is shutting down".to_owned());
        }
        let is_ready = failures.is_empty();
        let mut answer = match is_ready {
            true => json!({ "status": "ok" }),
            false => json!({ "status": "failing", "checks": failures }),
        };
        let warnings = self.health.warnings();
        if !warnings.is_empty() {
            answer["warnings"] = json!(warnings);
        }
        let mut response = response::json(&answer);
        if !is_ready {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

/// A request to the API.
async fn api(
    call: &Arc<Call>,
    no_route: Option<NoRoute>,
    body: RequestBody,
) -> Result<Response, ApiError> {
    head::check(&call.parts)?;
    rate_limit::before_authentication(call)?;
    let admitted = admit(call, no_route).await;
    // Also when the answer is no: that is what those get who guess passwords.
    rate_limit::after_authentication(call)?;
    let route = admitted?;
    if call.parts.method == Method::OPTIONS {
        let mut response = response::empty(StatusCode::OK);
        response.headers_mut().insert(header::ALLOW, gate::allowed(&call.app, route));
        return Ok(response);
    }
    gate::pass(&call.app, route, &call.parts.method)?;
    call.app.free_space.admit(route, &call.parts.method, &body).await?;
    run(call, body).await
}

/// The endpoint of a request whose sender may do there what it asks for.
async fn admit(call: &Call, no_route: Option<NoRoute>) -> Result<&Route, ApiError> {
    let route = match (&call.route, no_route) {
        (Some(route), _) => route,
        (None, Some(NoRoute::Namespace(host))) => return Err(ApiError::not_mirrored(&host)),
        (None, Some(NoRoute::Name(reason))) => return Err(ApiError::name_invalid(&reason)),
        (None, _) => return Err(ApiError::no_such_endpoint()),
    };
    // A browser sends no credentials with a preflight, and nobody has any yet who asks for a token.
    if call.parts.method != Method::OPTIONS && *route != Route::Token {
        authorize::authorize(call).await?;
    }
    Ok(route)
}

/// Runs the handler. A panic is the end of its request and of nothing else. A request that changes
/// something is never cut off between two steps because its client went away.
async fn run(call: &Arc<Call>, body: RequestBody) -> Result<Response, ApiError> {
    let finished = if gate::is_write(&call.parts.method) {
        let (for_handler, span) = (Arc::clone(call), call.span.clone());
        let handler = async move { handlers::dispatch(&for_handler, body).await };
        Finishing::new(&call.app.writes, handler.instrument(span)).await
    } else {
        AssertUnwindSafe(handlers::dispatch(call, body)).catch_unwind().await
    };
    finished.unwrap_or_else(|_| {
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown)
            .detail("the handler panicked"))
    })
}

/// Adds the headers that every response has, and takes the body out of an answer to HEAD.
fn complete(call: &Call, response: &mut Response) {
    response::set_content_length(response);
    if let Some(namespace) = &call.namespace {
        response.headers_mut().insert(headers::NAMESPACE, namespace.clone());
    }
    let is_preflight = call.parts.method == Method::OPTIONS;
    let map = response.headers_mut();
    map.insert(headers::API_VERSION, headers::API_VERSION_VALUE);
    cors::add_configured(&call.app.options.headers, &call.parts, map);
    if is_preflight && let Some(allow) = map.get(header::ALLOW).cloned() {
        cors::complete_preflight(&call.parts, &allow, map);
    }
    cors::expose(map);
    if call.parts.method == Method::HEAD {
        *response.body_mut() = ResponseBody::empty();
    }
}
