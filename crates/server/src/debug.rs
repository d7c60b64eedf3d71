//! The debug server: health and metrics, on a listener of their own (`http.debug`).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::app::App;

/// Settings of the debug server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugOptions {
    /// Where metrics are shown (`http.debug.prometheus.path`); nowhere when unset.
    pub metrics_path: Option<String>,
}

/// Answers a request to the debug server.
pub(crate) fn answer(
    app: &Arc<App>,
    options: &DebugOptions,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    if is_read && path == "/debug/health" {
        return health(app);
    }
    if is_read
        && options.metrics_path.as_deref() == Some(path)
        && let Some(metrics) = &app.metrics
    {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return match metrics.encode() {
            Ok(text) => respond(StatusCode::OK, content_type, text),
            Err(error) => {
                respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string())
            }
        };
    }
    respond(StatusCode::NOT_FOUND, "text/plain", "404 page not found\n".to_owned())
}

/// `{}`, or 503 and the failing checks with their reasons.
fn health(app: &App) -> Response<Full<Bytes>> {
    let failures = app.health.failures();
    let status = if failures.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // A map of text to text always serialises.
    let body = serde_json::to_string(&failures).unwrap_or_default();
    respond(status, "application/json", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
