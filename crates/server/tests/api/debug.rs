//! The debug server.

use std::sync::Arc;

use http::Method;
use server::{DebugOptions, ListenAddress, Listener};

use crate::support::{Reply, TestServer};

async fn get(address: std::net::SocketAddr, method: Method, path: &str) -> Reply {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri(path).header("host", "x");
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
    let options = DebugOptions { metrics_path: Some("/metrics".into()) };
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
        "registry_http_requests_total{code=\"201\",handler=\"blob-upload\",method=\"post\"} 2",
        "registry_http_in_flight_requests{handler=\"manifest\"} 0",
        "registry_http_request_duration_seconds_count{handler=\"manifest\",method=\"get\"} 2",
        "registry_http_response_size_bytes_count{handler=\"manifest\"} 3",
        "registry_http_request_size_bytes_count{handler=\"blob-upload\"} 2",
    ] {
        assert!(metrics.text().lines().any(|l| l == line), "{line} is not in\n{}", metrics.text());
    }
    for name in
        ["process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "]
    {
        assert!(metrics.text().lines().any(|l| l.starts_with(name)), "{name}\n{}", metrics.text());
    }

    server.app.health().set("storagedriver_x", Some("disk on fire".into()));
    let failing = get(address, Method::GET, "/debug/health").await;
    assert_eq!((failing.status, failing.text()), (503, r#"{"storagedriver_x":"disk on fire"}"#));
}
