//! One span for each request, for distributed traces: OpenTelemetry's semantic conventions for HTTP
//! servers, and what the registry knows beyond them.
//!
//! Spans cost a look at a static while nobody listens for them. Probes (`/livez`, `/readyz`, `/`)
//! have none: they would outnumber everything else.

use http::request::Parts;
use http::{HeaderMap, Method, header};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{TraceId, global};
use tracing::{Level, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::exchange::{Call, Record};
use crate::limits::{SPAN_PATH_BYTES_MAX, SPAN_USER_AGENT_BYTES_MAX};
use crate::locations::{Base, request_host};
use crate::route::Route;

/// The target of the spans, for subscribers that choose by it.
pub const SPAN_TARGET: &str = "wharf::http";

/// The span of a request that has just come in, below that of its client (W3C Trace Context), if
/// the client has one.
pub(crate) fn begin(parts: &Parts, route: Option<&Route>) -> Span {
    if !tracing::span_enabled!(target: SPAN_TARGET, Level::INFO, "request")
        || is_probe(parts.uri.path())
    {
        return Span::none();
    }
    let (method, unknown_method) = method_names(&parts.method);
    let template = route.map(template);
    let name = match template {
        Some(template) => format!("{} {template}", span_verb(method)),
        None => span_verb(method).to_owned(),
    };
    let (host, port) = request_host(parts).map(host_and_port).unzip();
    let port = port.flatten();
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        parent: None,
        "request",
        "otel.name" = name,
        "otel.kind" = "server",
        "http.request.method" = method,
        "http.request.method_original" = unknown_method,
        "http.route" = template,
        "url.scheme" = field::Empty,
        // Never the query: it may hold `_state`, or a token that somebody put there.
        "url.path" = cut(parts.uri.path(), SPAN_PATH_BYTES_MAX),
        "server.address" = host,
        "server.port" = port,
        "network.protocol.version" = version(parts.version),
        "user_agent.original" = user_agent.map(|text| cut(text, SPAN_USER_AGENT_BYTES_MAX)),
        "registry.handler" = route.map(Route::handler),
        "registry.repository" = route.and_then(Route::repository).map(oci::RepositoryName::as_str),
        "registry.reference" = field::Empty,
        "registry.digest" = field::Empty,
        "registry.error.code" = field::Empty,
        "client.address" = field::Empty,
        "http.request.body.size" = field::Empty,
        "http.response.status_code" = field::Empty,
        "http.response.body.size" = field::Empty,
        "error.type" = field::Empty,
        "otel.status_code" = field::Empty,
        "otel.status_description" = field::Empty,
    );
    match route {
        Some(Route::Manifest { text, reference, .. }) => match reference {
            Ok(oci::Reference::Digest(_)) => drop(span.record("registry.digest", text.as_str())),
            _ => drop(span.record("registry.reference", cut(text, SPAN_PATH_BYTES_MAX))),
        },
        Some(Route::Blob { text, .. } | Route::Referrers { text, .. }) => {
            span.record("registry.digest", cut(text, SPAN_PATH_BYTES_MAX));
        }
        _ => {}
    }
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(&parts.headers))
    });
    // Fails only for spans that no OpenTelemetry layer listens to, which need no parent.
    let _ = span.set_parent(parent);
    span
}

/// Notes what became of a request, when its response has been sent or given up.
pub(crate) fn finish(record: &Record) {
    let call = &record.call;
    let span = &call.span;
    if span.is_disabled() {
        return;
    }
    if let Some((scheme, _)) =
        Base::absolute(&call.app.options, &call.parts).origin().split_once("://")
    {
        span.record("url.scheme", scheme);
    }
    if let Some(address) = call.client_ip() {
        span.record("client.address", field::display(address));
    }
    span.record("http.response.status_code", i64::from(record.status.as_u16()));
    span.record("http.response.body.size", integer(record.written_bytes));
    let content_length = call.header(&header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
    if let Some(size_bytes) = content_length {
        span.record("http.request.body.size", integer(size_bytes));
    }
    if let Some(error) = &record.error {
        span.record("registry.error.code", error.code.as_str());
    }
    if record.status.is_server_error() || record.broken.is_some() {
        let message = record.broken.as_deref().or(record.error.as_ref().map(|error| error.message));
        span.record("error.type", record.status.as_str());
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", message);
    }
}

/// The trace that a request belongs to, for the log; nothing when it is not recorded.
pub(crate) fn trace_id(call: &Call) -> Option<TraceId> {
    if call.span.is_disabled() {
        return None;
    }
    let context = call.span.context();
    let context = context.span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id())
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/" | "/livez" | "/readyz")
}

/// `http.route`, below the configured prefix.
fn template(route: &Route) -> &'static str {
    match route {
        Route::Base => "/v2/",
        Route::Token => "/v2/_token",
        Route::Catalog => "/v2/_catalog",
        Route::Tags { .. } => "/v2/{name}/tags/list",
        Route::Manifest { .. } => "/v2/{name}/manifests/{reference}",
        Route::Blob { .. } => "/v2/{name}/blobs/{digest}",
        Route::Uploads { .. } => "/v2/{name}/blobs/uploads/",
        Route::Upload { .. } => "/v2/{name}/blobs/uploads/{id}",
        Route::Referrers { .. } => "/v2/{name}/referrers/{digest}",
        Route::Repository { .. } => "/v2/{name}/_wharf/repository",
    }
}

/// `http.request.method`, and `http.request.method_original` where that is not what was sent: a
/// client must not be able to make up as many values as it likes.
fn method_names(method: &Method) -> (&str, Option<&str>) {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::CONNECT
        | Method::TRACE => (method.as_str(), None),
        _ => ("_OTHER", Some(cut(method.as_str(), SPAN_USER_AGENT_BYTES_MAX))),
    }
}

/// `server.address` and `server.port`.
fn host_and_port(text: &str) -> (&str, Option<i64>) {
    let (host, port) = match text.rsplit_once(':') {
        // Otherwise the colon is inside of an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok()),
        _ => (text, None),
    };
    (cut(host, SPAN_USER_AGENT_BYTES_MAX), port.map(i64::from))
}

/// The method in a span's name.
fn span_verb(method: &str) -> &str {
    if method == "_OTHER" { "HTTP" } else { method }
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// The beginning of a text that a client made up.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// OpenTelemetry's integers are signed.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What the propagator reads.
struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(header::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, expected) in [
            ("registry.example.com", ("registry.example.com", None)),
            ("registry.example.com:5000", ("registry.example.com", Some(5000))),
            ("[::1]:5000", ("[::1]", Some(5000))),
            ("[::1]", ("[::1]", None)),
            ("a:b", ("a", None)),
            ("", ("", None)),
        ] {
            assert_eq!(host_and_port(text), expected, "{text}");
        }
    }

    #[test]
    fn what_clients_make_up_is_cut() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("abc", 3), "abc");
        let method = Method::from_bytes(b"FROBNICATE").unwrap();
        assert_eq!(method_names(&method), ("_OTHER", Some("FROBNICATE")));
        assert_eq!(method_names(&Method::PATCH), ("PATCH", None));
    }
}
