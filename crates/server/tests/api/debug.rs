//! The debug server.

use std::sync::Arc;

use http::Method;
use server::{DebugOptions, ListenAddress, Listener};

use crate::support::{Reply, TestServer};

/// The one sample of this name without labels.
fn value(metrics: &Reply, name: &str) -> f64 {
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{}", metrics.text())).parse().unwrap()
}

async fn get(address: std::net::SocketAddr, method: Method, path: &str) -> Reply {
    get_with(address, method, path, &[]).await
}

async fn get_with(
    address: std::net::SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(path).header("host", "x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = http_body_util::Empty::<bytes::Bytes>::new();
    Reply::read(sender.send_request(request.body(body).unwrap()).await.unwrap()).await
}

#[tokio::test]
async fn health_and_metrics() {
    let mut builder = TestServer::builder();
    builder.metrics = true;
    let server = builder.start().await;
    let listener = Listener::bind(&ListenAddress::tcp("127.0.0.1:0").unwrap()).await.unwrap();
    let address = listener.local_address().unwrap();
    let options = DebugOptions { metrics_path: Some("/metrics".into()), ..Default::default() };
    let app = Arc::clone(&server.app);
    tokio::spawn(server::serve_debug(listener, app, options, std::future::pending()));

    let healthy = get(address, Method::GET, "/debug/health").await;
    assert_eq!((healthy.status, healthy.text()), (200, "{}"));
    assert_eq!(get(address, Method::POST, "/debug/health").await.status, 404);
    assert_eq!(get(address, Method::GET, "/v2/").await.status, 404);

    server.push_image("a", "latest", "layer").await;
    server.get("/v2/a/manifests/latest").await;
    server.get("/v2/a/manifests/other").await;
    let metrics = get(address, Method::GET, "/metrics").await;
    assert_eq!(metrics.status, 200);
    for line in [
        "registry_http_requests_total{code=\"200\",handler=\"manifest\",method=\"get\"} 1",
        "registry_http_requests_total{code=\"404\",handler=\"manifest\",method=\"get\"} 1",
        "registry_http_requests_total{code=\"201\",handler=\"blob_upload\",method=\"post\"} 2",
        "registry_http_in_flight_requests{handler=\"manifest\"} 0",
        "registry_http_request_duration_seconds_count{handler=\"manifest\",method=\"get\"} 2",
        "registry_http_response_size_bytes_count{handler=\"manifest\"} 3",
        "registry_http_request_size_bytes_count{handler=\"blob_upload\"} 2",
        "# TYPE registry_http_requests_total counter",
        "registry_http_in_flight_requests{handler=\"catalog\"} 0",
        "registry_storage_cache_hits_total 1",
        "registry_storage_cache_errors_total 0",
        "registry_storage_cache_total{type=\"Hit\"} 1",
        "wharf_healthy 1",
        "wharf_read_only 0",
        "wharf_rate_limited_requests_total 0",
        concat!("wharf_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(metrics.text().lines().any(|l| l == line), "{line} is not in\n{}", metrics.text());
    }
    for name in [
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "process_open_fds ",
        "process_start_time_seconds ",
    ] {
        assert!(metrics.text().lines().any(|l| l.starts_with(name)), "{name}\n{}", metrics.text());
    }

    let sent = value(&metrics, "wharf_sent_bytes_total");
    let received = value(&metrics, "wharf_received_bytes_total");
    assert!(sent > 100.0 && received > 100.0, "sent {sent}, received {received}");

    server.app.health().set("storagedriver_x", Some("disk on fire".into()));
    let metrics = get(address, Method::GET, "/metrics").await;
    assert!(value(&metrics, "wharf_healthy").abs() < f64::EPSILON);
    let failing = get(address, Method::GET, "/debug/health").await;
    assert_eq!((failing.status, failing.text()), (503, r#"{"storagedriver_x":"disk on fire"}"#));
}

/// A server with a debug listener.
async fn start(
    change: impl FnOnce(&mut server::Metrics),
    options: DebugOptions,
) -> (TestServer, std::net::SocketAddr) {
    let driver: Arc<dyn storage::Driver> = Arc::new(storage::memory::Memory::new());
    let mut metrics = server::Metrics::new();
    let observer = metrics.storage_observer(driver.name());
    change(&mut metrics);
    let driver = Arc::new(storage::Observed::new(driver, Some(observer)));
    let builder = TestServer::builder().driver(driver);
    let server = builder.with(move |app| app.with_metrics(metrics)).start().await;
    let listener = Listener::bind(&ListenAddress::tcp("127.0.0.1:0").unwrap()).await.unwrap();
    let address = listener.local_address().unwrap();
    let app = Arc::clone(&server.app);
    tokio::spawn(server::serve_debug(listener, app, options, std::future::pending()));
    (server, address)
}

#[tokio::test]
async fn storage_actions_and_the_metrics_of_others() {
    use prometheus_client::metrics::counter::Counter;

    let expiry = std::time::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
    let register = |metrics: &mut server::Metrics| {
        metrics.watch_certificate(move || Some(expiry));
        metrics.register(|registry| {
            let counter: Counter = Counter::default();
            counter.inc();
            registry.register("registry_notifications_drops", "Dropped events", counter);
        });
    };
    let options = DebugOptions { metrics_path: Some("/metrics".into()), ..Default::default() };
    let (server, address) = start(register, options).await;
    server.push_image("a", "latest", "layer").await;
    server.get("/v2/a/manifests/latest").await;
    let metrics = get(address, Method::GET, "/metrics").await;
    let labels = "driver=\"inmemory\",action";
    for action in ["GetContent", "PutContent", "Stat", "Move"] {
        let name = format!("registry_storage_action_seconds_count{{{labels}=\"{action}\"}}");
        assert!(value(&metrics, &name) >= 1.0, "{action}");
    }
    let errors = format!("wharf_storage_errors_total{{{labels}=\"GetContent\"}}");
    assert!(value(&metrics, &errors).abs() < f64::EPSILON);
    assert!(
        metrics.text().contains("\nwharf_tls_certificate_expiry_timestamp_seconds 2e+09\n"),
        "{}",
        metrics.text()
    );
    assert!((value(&metrics, "registry_notifications_drops_total") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn what_a_scrub_has_found() {
    let status = registry::ScrubStatus {
        blobs: 7,
        bytes: 70,
        failures: 1,
        corrupt_blobs: 2,
        structure_errors: 3,
        last_pass: Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000)),
        is_running: true,
    };
    let options = DebugOptions { metrics_path: Some("/metrics".into()), ..Default::default() };
    let register = |metrics: &mut server::Metrics| metrics.watch_scrub(move || status.clone());
    let (_server, address) = start(register, options).await;
    let metrics = get(address, Method::GET, "/metrics").await;
    for (name, expected) in [
        ("blobs_total", 7.0),
        ("bytes_total", 70.0),
        ("failures_total", 1.0),
        ("corrupt_blobs", 2.0),
        ("structure_errors", 3.0),
        ("running", 1.0),
        ("last_pass_timestamp_seconds", 1000.0),
    ] {
        let found = value(&metrics, &format!("wharf_scrub_{name}"));
        assert!((found - expected).abs() < f64::EPSILON, "{name}: {found}");
    }
}

#[tokio::test]
async fn metrics_in_the_format_that_is_asked_for() {
    let options = DebugOptions { metrics_path: Some("/metrics".into()), ..Default::default() };
    let (_server, address) = start(|_| {}, options).await;
    let classic = get(address, Method::GET, "/metrics").await;
    assert_eq!(classic.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(!classic.text().contains("# EOF"));
    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")];
    let open = get_with(address, Method::GET, "/metrics", &accept).await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), content_type);
    assert!(open.text().ends_with("# EOF\n"));
    assert!(open.text().contains("# TYPE wharf_received_bytes counter\n"));
}

#[tokio::test]
async fn variables_without_secrets() {
    let vars = || serde_json::json!({"notifications": {"endpoints": [{"name": "one"}]}});
    let options = DebugOptions { metrics_path: None, registry_vars: Some(Arc::new(vars)) };
    let (_server, address) = start(|_| {}, options).await;
    let reply = get(address, Method::GET, "/debug/vars").await;
    assert_eq!(reply.status, 200);
    let shown: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!(shown["registry"]["notifications"]["endpoints"][0]["name"], "one");
    assert!(shown["process"]["resident_memory_bytes"].as_u64().unwrap() > 0);
    assert_eq!(shown.get("cmdline"), None);
    for (method, path) in [
        (Method::GET, "/metrics"),
        (Method::POST, "/debug/vars"),
        (Method::DELETE, "/debug/health"),
        (Method::OPTIONS, "*"),
        (Method::GET, "/debug/pprof/"),
        (Method::GET, "/debug/vars/"),
        (Method::GET, "//debug/vars"),
        (Method::GET, "/%00"),
    ] {
        assert_eq!(get(address, method.clone(), path).await.status, 404, "{method} {path}");
    }
    assert_eq!(get(address, Method::HEAD, "/debug/health").await.status, 200);
}
