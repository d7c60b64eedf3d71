//! The access log, and the log of requests.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use http::Method;
use serde_json::Value;
use server::AccessLog;

use crate::support::{TestServer, sha256};
use crate::trap::{Trap, Trapped};

#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    /// Waits until what was written is as it should be.
    pub(crate) async fn until(&self, is_there: impl Fn(&str) -> bool) {
        for _ in 0..500 {
            if is_there(&String::from_utf8(self.0.lock().unwrap().clone()).unwrap()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it was not logged");
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_line_for_each_request_in_apache_s_combined_form() {
    let sink = Sink::default();
    let mut builder = TestServer::builder();
    builder.access_log = Some(AccessLog::to(sink.clone()).unwrap());
    let mut server = builder.start().await;
    let request = server.request(Method::GET, "/v2/?a=b");
    let request = request.header("user-agent", "docker/\"28\"").header("referer", "http://ui/");
    request.header("x-forwarded-for", "10.1.2.3").send().await;
    server.head("/v2/").await;
    server.get("/v2/a/manifests/x").await;
    let request = server.request(Method::GET, "/v2/");
    request.header("referer", "http://u:hunter2@ui/a@b").send().await;
    server.begin_shutdown();
    (&mut server.task).await.unwrap();
    // The last owner of the log waits for it to be written.
    drop(server);
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let (start, rest) = lines[0].split_once(" [").unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!(start, "127.0.0.1 - -");
    assert!(jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", time).is_ok(), "{time}");
    let expected = r#""GET /v2/?a=b HTTP/1.1" 200 2 "http://ui/" "docker/\"28\"""#;
    assert_eq!(rest, expected);
    assert!(lines[1].ends_with(r#""HEAD /v2/ HTTP/1.1" 200 0 "" """#), "{}", lines[1]);
    assert!(lines[2].contains(r#""GET /v2/a/manifests/x HTTP/1.1" 404 "#), "{}", lines[2]);
    assert!(lines[3].ends_with(r#" "http://ui/a@b" """#), "{}", lines[3]);
}

/// What the whole process logs: a subscriber of one thread would miss events whose call sites
/// were first met by another.
pub(crate) fn capture() -> &'static Sink {
    static SINK: OnceLock<Sink> = OnceLock::new();
    SINK.get_or_init(|| {
        let sink = Sink::default();
        let writer = sink.clone();
        let log = tracing_subscriber::fmt().json().flatten_event(true);
        log.with_writer(move || writer.clone()).init();
        sink
    })
}

/// The event of the request to `host` with this URI, once it has been written.
async fn request_event(sink: &Sink, host: &str, uri: &str) -> Value {
    for _ in 0..200 {
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut requests =
            events.filter(|e| e["http.request.host"] == host && e["http.request.uri"] == uri);
        if let Some(event) = requests.next() {
            assert_eq!(requests.next(), None, "logged once");
            return event;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing was logged");
}

#[tokio::test]
async fn an_event_for_each_request_with_distribution_s_names() {
    let sink = capture();
    let driver = Trapped::default();
    let server = TestServer::builder().driver(Arc::new(driver.clone())).start().await;
    let request = server.request(Method::GET, "/v2/a/b/manifests/x?y=z");
    let request = request.header("user-agent", "docker/28").header("x-forwarded-for", "10.1.2.3");
    request.send().await;
    let host = server.address.to_string();
    let event = request_event(sink, &host, "/v2/a/b/manifests/x?y=z").await;
    for (field, expected) in [
        ("level", "INFO"),
        ("message", "response completed with error"),
        ("http.request.host", &host),
        ("http.request.method", "GET"),
        ("http.request.remoteaddr", "10.1.2.3"),
        ("http.request.uri", "/v2/a/b/manifests/x?y=z"),
        ("http.request.useragent", "docker/28"),
        ("http.response.contenttype", "application/json"),
        ("vars.name", "a/b"),
        ("vars.reference", "x"),
        ("err.code", "manifest_unknown"),
        ("err.message", "manifest unknown"),
    ] {
        assert_eq!(event[field], expected, "{field} of {event}");
    }
    assert_eq!(event["http.response.status"], 404);
    assert!(event["http.response.written"].as_u64() > Some(50), "{event}");
    assert_eq!(event["http.request.id"].as_str().map(str::len), Some(36));
    assert!(event["err.detail"].as_str().is_some_and(|d| d.contains("a/b")), "{event}");
    assert!(event["http.response.duration"].is_string());

    let digest = sha256(b"x").to_string();
    let target = format!("/v2/a/blobs/{digest}");
    server.head(&target).await;
    let event = request_event(sink, &host, &target).await;
    assert_eq!(
        (&event["vars.digest"], &event["http.response.written"]),
        (&digest.into(), &0.into())
    );

    server.get("/v2/_token?service=s&password=hunter2-query&refresh_token=hunter2-query").await;
    let masked = "/v2/_token?service=s&password=***&refresh_token=***";
    request_event(sink, &host, masked).await;
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("hunter2-query"));

    server.get("/v2/").await;
    let event = request_event(sink, &host, "/v2/").await;
    assert_eq!(
        (&event["level"], &event["message"]),
        (&"INFO".into(), &"response completed".into())
    );
    assert_eq!(event.get("err.code"), None);

    driver.set(Trap::Fail);
    server.get("/v2/a/manifests/x").await;
    let event = request_event(sink, &host, "/v2/a/manifests/x").await;
    assert_eq!(event["level"], "ERROR");
    assert_eq!(event["err.code"], "unknown");
}

#[tokio::test]
async fn no_password_of_a_url_is_logged() {
    let sink = capture();
    let server = TestServer::start().await;
    let bare = format!("{}", server.address);
    for (target, host) in [
        (format!("http://u:hunter2@{bare}/v2/?of=target"), bare.clone()),
        ("/v2/?of=header".to_owned(), format!("u:hunter2@{bare}")),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert!(server.raw(request.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    }
    for uri in ["/v2/?of=target", "/v2/?of=header"] {
        let event = request_event(sink, &bare, uri).await;
        assert!(!event.to_string().contains("hunter2"), "{event}");
    }
}
