//! What is measured about requests.

use http::{Method, header};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::to_f64;
use crate::exchange::Record;

/// Seconds a request took: the buckets of Distribution's library.
const DURATION_BUCKETS: [f64; 13] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0];

/// Distribution's handlers, and wharf's own for referrers.
const HANDLERS: [&str; 8] = [
    "base",
    "manifest",
    "tags",
    "blob",
    "blob_upload",
    "blob_upload_chunk",
    "catalog",
    "referrers",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByHandler {
    handler: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMethod {
    handler: &'static str,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: u16,
    handler: &'static str,
    method: &'static str,
}

/// Only of requests that name an endpoint, as in Distribution.
pub(super) struct HttpMetrics {
    in_flight: Family<ByHandler, Gauge>,
    requests: Family<ByCode, Counter>,
    duration: Family<ByMethod, Histogram>,
    request_size: Family<ByHandler, Histogram>,
    response_size: Family<ByHandler, Histogram>,
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

/// 1 KiB to 2 GiB, Distribution's buckets for sizes.
fn size_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1024.0, 2.0, 22))
}

impl HttpMetrics {
    pub(super) fn register(http: &mut Registry) -> Self {
        let in_flight = Family::<ByHandler, Gauge>::default();
        let requests = Family::default();
        let duration = Family::new_with_constructor(duration_histogram as fn() -> Histogram);
        let request_size = Family::new_with_constructor(size_histogram as fn() -> Histogram);
        let response_size = Family::new_with_constructor(size_histogram as fn() -> Histogram);
        http.register("in_flight_requests", "The in-flight HTTP requests", in_flight.clone());
        http.register("requests", "Total number of HTTP requests made", requests.clone());
        let help = "The HTTP request latencies in seconds";
        http.register("request_duration_seconds", help, duration.clone());
        let help = "The HTTP request sizes in bytes";
        http.register("request_size_bytes", help, request_size.clone());
        let help = "The HTTP response sizes in bytes";
        http.register("response_size_bytes", help, response_size.clone());
        // Shown as zero before the first request, as in Distribution.
        for handler in HANDLERS {
            drop(in_flight.get_or_create(&ByHandler { handler }));
        }
        Self { in_flight, requests, duration, request_size, response_size }
    }

    pub(super) fn started(&self, handler: &'static str) -> InFlight {
        let gauge = self.in_flight.get_or_create_owned(&ByHandler { handler });
        gauge.inc();
        InFlight(gauge)
    }

    pub(super) fn finished(&self, record: &Record) {
        let call = &record.call;
        let Some(route) = &call.route else { return };
        let (handler, method) = (route.handler(), method_label(&call.parts.method));
        let code = record.status.as_u16();
        self.requests.get_or_create(&ByCode { code, handler, method }).inc();
        let seconds = call.started.elapsed().as_secs_f64();
        self.duration.get_or_create(&ByMethod { handler, method }).observe(seconds);
        let body: u64 =
            call.header(&header::CONTENT_LENGTH).and_then(|n| n.parse().ok()).unwrap_or(0);
        let by_handler = ByHandler { handler };
        self.request_size.get_or_create(&by_handler).observe(to_f64(body));
        self.response_size.get_or_create(&by_handler).observe(to_f64(record.written_bytes));
    }
}

/// A request that is being answered.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Only methods that exist, so that a client can't make up label values.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "unknown",
    }
}
