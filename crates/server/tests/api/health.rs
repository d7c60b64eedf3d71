//! The health checks, the gate, and the probes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use serde_json::json;
use server::{Check, DebugOptions, HttpCheck, ListenAddress, Listener, Schedule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{TestServer, read_to_end};
use crate::trap::{Trap, Trapped};

async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen in time");
}

#[tokio::test]
async fn a_failing_check_closes_everything_but_the_probes() {
    let driver = Trapped::default();
    let server = TestServer::builder().driver(Arc::new(driver.clone())).start().await;
    let schedule = Schedule { interval: Duration::from_millis(10), threshold: 3 };
    let check = Check::storage(Arc::new(driver.clone()), schedule);
    let watch = tokio::spawn(Arc::clone(server.app.health()).watch(check));
    assert_eq!(server.get("/readyz").await.status, 200);

    driver.set(Trap::Fail);
    until(async || server.get("/v2/").await.status == 503).await;
    for path in ["/v2/", "/v2/a/tags/list", "/", "/anything"] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        let expected = json!({ "errors": [{
            "code": "UNAVAILABLE",
            "message": "service unavailable",
            "detail": "health check failed: please see /debug/health",
        }] });
        assert_eq!(reply.json(), expected);
    }
    assert_eq!(server.get("/livez").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let reason = ready.json()["checks"]["storagedriver_trapped"].to_string();
    assert!(reason.contains("trapped"), "{reason}");

    driver.set(Trap::Off);
    until(async || server.get("/v2/").await.status == 200).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    watch.abort();
}

#[tokio::test]
async fn a_warning_shows_and_takes_nothing_out_of_service() {
    let server = TestServer::builder().start().await;
    let health = server.app.health();
    assert_eq!(server.get("/readyz").await.json(), json!({ "status": "ok" }));
    health.set_warning("scrub", Some("2 blobs are damaged".into()));
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let expected = json!({ "status": "ok", "warnings": { "scrub": "2 blobs are damaged" } });
    assert_eq!(ready.json(), expected);
    assert_eq!(server.get("/v2/").await.status, 200);
    health.set("disk", Some("away".into()));
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("failing")));
    assert_eq!(ready.json()["warnings"], expected["warnings"]);
    health.set("disk", None);
    health.set_warning("scrub", None);
    assert_eq!(server.get("/readyz").await.json(), json!({ "status": "ok" }));
}

#[tokio::test]
async fn checks_that_look_alike_do_not_hide_each_other() {
    let drivers = [Trapped::default(), Trapped::default()];
    let server = TestServer::start().await;
    let schedule = Schedule { interval: Duration::from_millis(10), threshold: 1 };
    let health = server.app.health();
    let mut watches = Vec::new();
    for driver in &drivers {
        driver.set(Trap::Fail);
        let check = Check::storage(Arc::new(driver.clone()), schedule);
        watches.push(tokio::spawn(Arc::clone(health).watch(check)));
    }
    until(async || health.failures().len() == 2).await;
    drivers[0].set(Trap::Off);
    until(async || health.failures().len() == 1).await;
    assert!(!health.is_healthy());
    drivers[1].set(Trap::Off);
    until(async || health.is_healthy()).await;
    watches.into_iter().for_each(|watch| watch.abort());
}

#[tokio::test(start_paused = true)]
async fn the_threshold_counts_failures_in_a_row() {
    let driver = Trapped::default();
    let health = Arc::new(server::Health::default());
    let schedule = Schedule { interval: Duration::from_secs(10), threshold: 2 };
    let check = Check::storage(Arc::new(driver.clone()), schedule);
    let watch = tokio::spawn(Arc::clone(&health).watch(check));
    let pass = async || tokio::time::sleep(Duration::from_secs(10)).await;
    // Half an interval behind the checks.
    tokio::time::sleep(Duration::from_secs(5)).await;
    driver.set(Trap::Fail);
    assert!(health.is_healthy(), "nothing has been looked at yet");
    pass().await;
    assert!(health.is_healthy(), "one failure");
    driver.set(Trap::Off);
    pass().await;
    driver.set(Trap::Fail);
    pass().await;
    assert!(health.is_healthy(), "the first of a new row");
    pass().await;
    assert!(!health.is_healthy(), "the second");
    driver.set(Trap::Off);
    pass().await;
    assert!(health.is_healthy());
    watch.abort();
}

const OFTEN: Schedule = Schedule { interval: Duration::from_millis(10), threshold: 0 };

/// A server with one check, and its debug server.
struct Checked {
    server: TestServer,
    debug: std::net::SocketAddr,
    name: String,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Checked {
    async fn start(check: Check) -> Self {
        let server = TestServer::start().await;
        let listener = Listener::bind(&ListenAddress::tcp("127.0.0.1:0").unwrap()).await.unwrap();
        let debug = listener.local_address().unwrap();
        let options = DebugOptions::default();
        let never = std::future::pending();
        let name = check.name().to_owned();
        let tasks = vec![
            tokio::spawn(server::serve_debug(listener, Arc::clone(&server.app), options, never)),
            tokio::spawn(Arc::clone(server.app.health()).watch(check)),
        ];
        Self { server, debug, name, tasks }
    }

    async fn debug_health(&self) -> (String, serde_json::Value) {
        let mut socket = TcpStream::connect(self.debug).await.unwrap();
        let request = b"GET /debug/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        socket.write_all(request).await.unwrap();
        let answer = read_to_end(&mut socket).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
    }

    async fn assert_healthy(&self) {
        until(async || self.server.get("/v2/").await.status == 200).await;
        assert_eq!(self.server.get("/readyz").await.status, 200);
        assert_eq!(self.debug_health().await, ("HTTP/1.1 200 OK".to_owned(), json!({})));
    }

    async fn assert_unhealthy(&self, reason: &str) {
        until(async || self.server.get("/v2/").await.status == 503).await;
        assert_eq!(self.server.get("/livez").await.status, 200);
        let ready = self.server.get("/readyz").await;
        assert_eq!(ready.status, 503);
        let (status, shown) = self.debug_health().await;
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        for checks in [&ready.json()["checks"], &shown] {
            let found = checks[&self.name].as_str().unwrap_or_default();
            assert!(found.starts_with(reason), "{} not in {checks}", self.name);
        }
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[tokio::test]
async fn a_file_that_exists() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("maintenance");
    let checked = Checked::start(Check::file(path.clone(), OFTEN.interval)).await;
    assert_eq!(checked.name, path.display().to_string());
    checked.assert_healthy().await;
    std::fs::write(&path, "").unwrap();
    checked.assert_unhealthy("file exists").await;
    std::fs::remove_file(&path).unwrap();
    checked.assert_healthy().await;
}

#[tokio::test]
async fn a_port_that_takes_no_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let check = Check::tcp(address.to_string(), Duration::from_secs(1), OFTEN);
    let checked = Checked::start(check).await;
    checked.assert_healthy().await;
    drop(listener);
    checked.assert_unhealthy(&format!("connection to {address} failed")).await;
    let _listener = TcpListener::bind(address).await.unwrap();
    checked.assert_healthy().await;
}

/// A service that answers with a status, and notes what it was asked. 0 is no answer at all.
async fn downstream(status: Arc<AtomicU16>, asked: Arc<AtomicUsize>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let n = socket.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..n]).to_ascii_lowercase();
            let is_right = request.starts_with("head /")
                && request.contains("x-token: secret")
                && request.contains("authorization: basic dxnlcjpwyxnz");
            asked.fetch_add(usize::from(is_right), Ordering::SeqCst);
            let answer = match status.load(Ordering::SeqCst) {
                0 => {
                    held.push(socket);
                    continue;
                }
                302 if request.starts_with("head /health ") => {
                    "HTTP/1.1 302 Found\r\nlocation: /ok\r\n\r\n".to_owned()
                }
                302 => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                status => format!("HTTP/1.1 {status} X\r\n\r\n"),
            };
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_url_that_answers_otherwise() {
    let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
    let address = downstream(Arc::clone(&status), Arc::clone(&asked)).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-token", "secret".parse().unwrap());
    let check = HttpCheck {
        uri: format!("http://user:pass@{address}/health"),
        headers,
        status_code: 200,
        timeout: Duration::from_secs(3),
        schedule: OFTEN,
    };
    let checked = Checked::start(Check::http(check).unwrap()).await;
    assert_eq!(checked.name, format!("http://{address}/health"), "without the password");
    checked.assert_healthy().await;
    until(async || asked.load(Ordering::SeqCst) > 2).await;
    for wrong in [500, 404, 204] {
        status.store(wrong, Ordering::SeqCst);
        let reason = format!("downstream service returned unexpected status: {wrong}");
        let shown = async || checked.debug_health().await.1[&checked.name] == reason.as_str();
        until(shown).await;
        checked.assert_unhealthy(&reason).await;
    }
    status.store(302, Ordering::SeqCst);
    checked.assert_healthy().await;
    status.store(0, Ordering::SeqCst);
    checked.assert_unhealthy(&format!("error while checking: {}", checked.name)).await;
    status.store(200, Ordering::SeqCst);
    checked.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_before_the_first_interval() {
    let dir = tempfile::tempdir().unwrap();
    let health = Arc::new(server::Health::default());
    // Zero is the default: ten seconds.
    let check = Check::file(dir.path().to_owned(), Duration::ZERO);
    let watch = tokio::spawn(Arc::clone(&health).watch(check));
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    assert!(health.is_healthy());
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The look itself takes real time, in another thread.
    for _ in 0..1000 {
        if !health.is_healthy() {
            break;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(2))).await.unwrap();
    }
    assert!(!health.is_healthy());
    watch.abort();
}
