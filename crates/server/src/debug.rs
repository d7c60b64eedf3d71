//! The debug server: health, metrics and variables, on a listener of their own (`http.debug`). It
//! asks for no credentials, so it belongs where only operators and their scrapers get.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::app::App;
use crate::metrics::{Format, process_as_json};

/// What `registry` in `/debug/vars` shows.
pub type RegistryVars = Arc<dyn Fn() -> Value + Send + Sync>;

/// Settings of the debug server.
#[derive(Clone, Default)]
pub struct DebugOptions {
    /// Where metrics are shown (`http.debug.prometheus.path`); nowhere when unset.
    pub metrics_path: Option<String>,
    /// What `/debug/vars` has under `registry`, such as
    /// `{"notifications": {"endpoints": [...]}}`; an empty object when unset. Asked at each request,
    /// and must not wait for anything.
    pub registry_vars: Option<RegistryVars>,
}

impl fmt::Debug for DebugOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugOptions")
            .field("metrics_path", &self.metrics_path)
            .finish_non_exhaustive()
    }
}

/// Answers a request to the debug server. As in Distribution, everything but reading is answered
/// as if there were nothing.
pub(crate) fn answer(
    app: &Arc<App>,
    options: &DebugOptions,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_found();
    }
    match request.uri().path() {
        "/debug/health" => health(app),
        "/debug/vars" => variables(options),
        path if options.metrics_path.as_deref() == Some(path) => metrics(app, request),
        _ => not_found(),
    }
}

/// `{}`, or 503 and the failing checks with their reasons.
fn health(app: &App) -> Response<Full<Bytes>> {
    let failures = app.health.failures();
    let status = if failures.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // A map of text to text always serialises.
    let body = serde_json::to_string(&failures).unwrap_or_default();
    respond(status, "application/json", body)
}

/// As Go's expvar shows them, without the command line, which may name secrets.
fn variables(options: &DebugOptions) -> Response<Full<Bytes>> {
    let registry = options.registry_vars.as_ref().map_or_else(|| json!({}), |vars| vars());
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "process": process_as_json(),
        "registry": registry,
    });
    respond(StatusCode::OK, "application/json; charset=utf-8", body.to_string())
}

fn metrics(app: &App, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(metrics) = &app.metrics else { return not_found() };
    let format = Format::preferred(request.headers());
    match metrics.encode(format) {
        Ok(text) => {
            let mut response = respond(StatusCode::OK, format.content_type(), text);
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
            response
        }
        Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

fn not_found() -> Response<Full<Bytes>> {
    respond(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n".to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
