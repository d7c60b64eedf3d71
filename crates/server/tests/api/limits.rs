//! What a client may take of the server's time and room, and what it gets when it wants more.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use auth::Authenticator;
use auth::htpasswd::{self, Htpasswd, HtpasswdOptions};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Method;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use server::{RateLimit, RateLimitBy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{OCI_MANIFEST, Reply, TestServer, read_to_end, read_until};

const GET: &[u8] = b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n";
const LONG: Duration = Duration::from_secs(60);

/// How long it takes until the server closes.
async fn closed_after(socket: &mut TcpStream) -> Duration {
    let started = Instant::now();
    let mut rest = Vec::new();
    let reading = socket.read_to_end(&mut rest);
    let outcome = tokio::time::timeout(Duration::from_secs(10), reading).await;
    // Whether with a reset or without.
    let _ = outcome.expect("closed");
    started.elapsed()
}

async fn is_open(socket: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(1), socket.read_u8()).await.is_err()
}

#[tokio::test]
async fn a_head_must_come_soon_once_it_has_begun() {
    let header = Duration::from_millis(200);
    let server = TestServer::builder()
        .options(|o| (o.header_timeout, o.idle_timeout) = (header, LONG))
        .start()
        .await;
    let mut quiet = server.connect().await;
    let mut slow = server.connect().await;
    let dribble = async {
        let (mut reader, mut writer) = slow.split();
        let started = Instant::now();
        let write = async {
            for byte in GET.iter().cycle() {
                if writer.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // The head would be whole after 600 ms.
        let mut answer = Vec::new();
        tokio::select! {
            () = write => {}
            _ = reader.read_to_end(&mut answer) => {}
        }
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
        started.elapsed()
    };
    let took = tokio::time::timeout(Duration::from_secs(10), dribble).await.expect("cut");
    assert!(took >= header - Duration::from_millis(20), "{took:?}");
    // Who has not begun is not in a hurry.
    assert!(is_open(&mut quiet).await);
    quiet.write_all(GET).await.unwrap();
    assert!(read_until(&mut quiet, "{}").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_and_one_with_them_is_not() {
    let idle = Duration::from_millis(300);
    let server = TestServer::builder().options(|o| o.idle_timeout = idle).start().await;
    let target = server.start_upload("a").await;
    let mut never = server.connect().await;
    let mut used = server.connect().await;
    let mut pushing = server.connect().await;
    let head = format!("PATCH {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc");
    pushing.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..8 {
        used.write_all(GET).await.unwrap();
        read_until(&mut used, "{}").await;
        tokio::time::sleep(idle / 3).await;
    }
    // More than twice the idle time has gone by.
    assert!(closed_after(&mut never).await < idle);
    pushing.write_all(b"def").await.unwrap();
    assert!(read_until(&mut pushing, "\r\n\r\n").await.starts_with("HTTP/1.1 202 "));
    closed_after(&mut used).await;
    closed_after(&mut pushing).await;
}

#[tokio::test]
async fn http2_is_idle_without_requests_whatever_else_is_sent() {
    let idle = Duration::from_millis(300);
    let short = Duration::from_millis(50);
    let server = TestServer::builder()
        .options(|o| (o.h2c_enabled, o.idle_timeout, o.header_timeout) = (true, idle, short))
        .start()
        .await;
    let socket = TokioIo::new(server.connect().await);
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.timer(hyper_util::rt::TokioTimer::new());
    builder.keep_alive_interval(Duration::from_millis(20)).keep_alive_while_idle(true);
    let (mut sender, connection) = builder.handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    // Longer than a head may take: there is none under way.
    tokio::time::sleep(idle / 2).await;
    let request = || http::Request::get("http://x/v2/").body(Empty::<Bytes>::new()).unwrap();
    for _ in 0..4 {
        let reply = Reply::read(sender.send_request(request()).await.unwrap()).await;
        assert_eq!(reply.status, 200);
        tokio::time::sleep(idle / 2).await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    ended.expect("closed").unwrap().expect("in good order");
}

#[tokio::test]
async fn a_preface_that_never_comes_holds_nothing() {
    let idle = Duration::from_millis(200);
    let server = TestServer::builder()
        .options(|o| (o.h2c_enabled, o.idle_timeout, o.header_timeout) = (true, idle, idle))
        .start()
        .await;
    for begin in [&b""[..], b"PRI * HTTP/2.0", b"PR", b"GET"] {
        let mut socket = server.connect().await;
        socket.write_all(begin).await.unwrap();
        closed_after(&mut socket).await;
    }
}

#[tokio::test]
async fn who_does_not_read_loses_the_connection() {
    let stall = Duration::from_millis(200);
    let server = TestServer::builder()
        .options(|o| (o.write_timeout, o.idle_timeout) = (stall, LONG))
        .start()
        .await;
    // More than the buffers of both sides hold.
    let size = 64 << 20;
    let digest = server.push_blob("a", vec![7; size]).await;
    let mut socket = server.connect().await;
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(stall * 4).await;
    let mut all = Vec::new();
    let reading = socket.read_to_end(&mut all);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("closed");
    assert!(all.len() < size, "{} bytes got through", all.len());
    // Who reads slowly, but reads, gets everything.
    let mut socket = server.connect().await;
    socket.write_all(request.as_bytes()).await.unwrap();
    let (mut read, mut buffer) = (0, vec![0; 4 << 20]);
    while read < size {
        let n = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut buffer)).await;
        let n = n.unwrap().unwrap();
        assert!(n > 0, "cut after {read} bytes");
        read += n;
        tokio::time::sleep(stall / 20).await;
    }
}

/// Begins to speak HTTP/2, as a client that takes `window` bytes of each answer before it reads.
async fn http2(
    server: &TestServer,
    window: u32,
) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(64 << 20);
    let socket = TokioIo::new(server.connect().await);
    let (sender, connection) = builder.handshake(socket).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// What comes of a body, in bytes, and whether that is all of it.
async fn drain(mut body: hyper::body::Incoming, pause: Duration) -> (usize, bool) {
    let mut count = 0;
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
        match frame.expect("neither more of it nor its end") {
            Some(Ok(frame)) => count += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return (count, false),
            None => return (count, true),
        }
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test]
async fn an_http2_answer_that_nobody_takes_is_ended_and_no_other() {
    let stall = Duration::from_millis(300);
    let server = TestServer::builder()
        .options(|o| (o.h2c_enabled, o.write_timeout, o.idle_timeout) = (true, stall, LONG))
        .start()
        .await;
    let size = 1 << 20;
    let large = format!("http://x/v2/a/blobs/{}", server.push_blob("a", vec![7; size]).await);
    let small = format!("http://x/v2/a/blobs/{}", server.push_blob("a", vec![7; 1000]).await);
    let get = |url: &str| http::Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    // One that has no room for anything, and one that has for a part.
    for (window, url, at_most) in [(0, &large, 0), (0, &small, 0), (100 << 10, &large, 100 << 10)] {
        let mut sender = http2(&server, window).await;
        let reply = sender.send_request(get(url)).await.unwrap();
        assert_eq!(reply.status(), 200);
        // More streams than one; and the connection is in use meanwhile, and stays.
        let other = sender.send_request(get(url)).await.unwrap();
        let until = Instant::now() + stall * 4;
        while Instant::now() < until {
            let head = http::Request::head("http://x/v2/").body(Empty::new()).unwrap();
            assert_eq!(sender.send_request(head).await.unwrap().status(), 200);
            tokio::time::sleep(stall / 10).await;
        }
        for reply in [reply, other] {
            let (count, is_whole) = drain(reply.into_body(), Duration::ZERO).await;
            assert!(!is_whole && count <= at_most, "{window}: {count} bytes of {url}");
        }
    }
    // Who takes little at a time, but takes it, gets everything: a piece of 128 KiB takes longer
    // than the client may take to read anything.
    let mut sender = http2(&server, 16 << 10).await;
    let started = Instant::now();
    let reply = sender.send_request(get(&large)).await.unwrap();
    let outcome = drain(reply.into_body(), stall / 8).await;
    assert_eq!(outcome, (size, true), "after {:?}", started.elapsed());
    assert!(started.elapsed() > stall * 4);
    // Nor does the time count that the server itself takes.
    for _ in 0..3 {
        let reply = sender.send_request(get(&small)).await.unwrap();
        assert_eq!(drain(reply.into_body(), stall * 2).await, (1000, true));
    }
}

#[tokio::test]
async fn a_body_of_single_bytes_is_given_up_and_a_slow_one_is_not() {
    let idle = Duration::from_millis(400);
    let server = TestServer::builder().options(|o| o.body_idle_timeout = idle).start().await;
    let target = server.start_upload("a").await;
    let mut socket = server.connect().await;
    let head = format!("PATCH {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = socket.split();
    let drip = async {
        loop {
            let _ = writer.write_all(b"x").await;
            tokio::time::sleep(idle / 8).await;
        }
    };
    let mut answer = vec![0; 4096];
    let n = tokio::select! {
        n = reader.read(&mut answer) => n.unwrap(),
        () = drip => 0,
        () = tokio::time::sleep(Duration::from_secs(10)) => 0,
    };
    let answer = String::from_utf8_lossy(&answer[..n]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop(socket);

    // Three times the idle time in all, but never that long for what counts as progress.
    let target = server.start_upload("a").await;
    let pieces = futures_util::stream::iter(0..12).then(move |_| async move {
        tokio::time::sleep(idle / 4).await;
        Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from(vec![0; 16 << 10])))
    });
    let socket = TokioIo::new(server.connect().await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let body = StreamBody::new(Box::pin(pieces));
    let request = http::Request::patch(&target).header("host", "x").body(body).unwrap();
    let reply = Reply::read(sender.send_request(request).await.unwrap()).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.header("range"), format!("0-{}", (12 * (16 << 10)) - 1));
}

#[tokio::test]
async fn an_address_may_have_so_many_connections() {
    let server = TestServer::builder().options(|o| o.connections_per_address_max = 2).start().await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = server.connect().await;
        socket.write_all(GET).await.unwrap();
        read_until(&mut socket, "{}").await;
        open.push(socket);
    }
    let mut third = server.connect().await;
    let _ = third.write_all(GET).await;
    let mut answer = Vec::new();
    let _ = third.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    for socket in &mut open {
        socket.write_all(GET).await.unwrap();
        read_until(socket, "{}").await;
    }
    drop(open);
    for attempt in 0.. {
        let mut socket = server.connect().await;
        let _ = socket.write_all(GET).await;
        if socket.read_u8().await.is_ok() {
            break;
        }
        assert!(attempt < 500, "the places were not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A proxy comes for many.
    let net = || vec!["127.0.0.0/8".parse().unwrap()];
    let server = TestServer::builder()
        .options(|o| (o.connections_per_address_max, o.trusted_proxies) = (1, net()))
        .start()
        .await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut socket = server.connect().await;
        socket.write_all(GET).await.unwrap();
        read_until(&mut socket, "{}").await;
        open.push(socket);
    }
}

#[tokio::test]
async fn idle_connections_leave_room_for_others() {
    // As many as the descriptors of a test process allow.
    let server = TestServer::builder().options(|o| o.idle_timeout = LONG).start().await;
    let mut idle = Vec::new();
    for n in 0..400 {
        let mut socket = server.connect().await;
        // Some have begun a request.
        socket.write_all(if n % 2 == 0 { b"" } else { b"GET /v2/ HTTP" }).await.unwrap();
        idle.push(socket);
    }
    let started = Instant::now();
    for _ in 0..50 {
        assert_eq!(server.get("/v2/").await.status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_large_head_is_refused_with_the_reason() {
    let server = TestServer::start().await;
    let header = "x".repeat(100 << 10);
    let reply = server.get_with("/v2/", &[("x-large", &header)]).await;
    reply.assert_error(431, "UNSUPPORTED");
    let detail = reply.json()["errors"][0]["detail"].to_string();
    assert!(detail.contains("65536"), "{detail}");
    // A token with many scopes is fine.
    let token = format!("Bearer {}", "x".repeat(48 << 10));
    assert_eq!(server.get_with("/v2/", &[("authorization", &token)]).await.status, 200);
    // What does not even fit into the buffer.
    let mut request = b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx-large: ".to_vec();
    request.resize(300 << 10, b'x');
    let mut socket = server.connect().await;
    let _ = socket.write_all(&request).await;
    let answer = read_to_end(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    // With HTTP/2 the limit is that of the protocol's list.
    let server = TestServer::builder().options(|o| o.h2c_enabled = true).start().await;
    let socket = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let request = || http::Request::get("http://x/v2/");
    let large = request().header("x-large", &header).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(large).await.unwrap().status(), 431);
    let again = request().body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(again).await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_largest_manifest_can_be_set() {
    let server = TestServer::builder().options(|o| o.manifest_size_bytes_max = 100).start().await;
    let reply = server.put_manifest("a", "t", OCI_MANIFEST, vec![b' '; 101]).await;
    reply.assert_error(413, "MANIFEST_INVALID");
    assert!(reply.text().contains("100 bytes"), "{}", reply.text());
    let reply = server.put_manifest("a", "t", OCI_MANIFEST, vec![b' '; 100]).await;
    reply.assert_error(400, "MANIFEST_INVALID");
}

fn three_a_minute(by: RateLimitBy) -> Option<RateLimit> {
    let three = NonZeroU32::new(3).unwrap();
    Some(RateLimit { requests: three, period: Duration::from_secs(60), burst: three, by })
}

#[tokio::test]
async fn too_many_requests() {
    let server = TestServer::builder()
        .options(|o| o.rate_limit = three_a_minute(RateLimitBy::Address))
        .start()
        .await;
    for target in ["/v2/", "/v2/a/manifests/x", "/v2/a/tags/list"] {
        assert_ne!(server.get(target).await.status, 429);
    }
    let reply = server.get("/v2/").await;
    reply.assert_error(429, "TOOMANYREQUESTS");
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((18..=20).contains(&wait), "{wait}");
    assert!(reply.text().contains("http.ratelimit"), "{}", reply.text());
    // Also for what would have been refused anyway, or not been looked at.
    server.get("/v2/nonsense").await.assert_error(429, "TOOMANYREQUESTS");
    server.request(Method::OPTIONS, "/v2/").send().await.assert_error(429, "TOOMANYREQUESTS");
    // Not trusted, so not believed.
    let claim = [("x-forwarded-for", "9.9.9.9")];
    server.get_with("/v2/", &claim).await.assert_error(429, "TOOMANYREQUESTS");
    for probe in ["/livez", "/readyz", "/"] {
        assert_eq!(server.get(probe).await.status, 200, "{probe}");
    }
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_an_allowance_each() {
    let server = TestServer::builder()
        .options(|o| {
            o.rate_limit = three_a_minute(RateLimitBy::User);
            o.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .start()
        .await;
    for client in ["9.9.9.1", "9.9.9.2", "2001:db8::1"] {
        let claim = [("x-forwarded-for", client)];
        for _ in 0..3 {
            assert_eq!(server.get_with("/v2/", &claim).await.status, 200, "{client}");
        }
        server.get_with("/v2/", &claim).await.assert_error(429, "TOOMANYREQUESTS");
        let forged = format!("8.8.8.8, {client}");
        let claim = [("x-forwarded-for", forged.as_str())];
        server.get_with("/v2/", &claim).await.assert_error(429, "TOOMANYREQUESTS");
    }
}

#[tokio::test]
async fn by_user_whoever_is_nobody_counts_by_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    htpasswd::add(&path, "alice", b"secret", 4).unwrap();
    let options =
        || HtpasswdOptions { realm: "r".into(), path: path.clone(), ..HtpasswdOptions::default() };
    // What ends before anybody is known, what ends because of it, and what ends for another reason.
    let anonymous = [
        (Method::GET, "/v2/", 401),
        (Method::GET, "/v2/a/manifests/x", 401),
        (Method::OPTIONS, "/v2/", 200),
        (Method::GET, "/v2/nonsense", 404),
        (Method::GET, "/v2/A/tags/list", 400),
    ];
    for (method, target, status) in anonymous {
        let htpasswd = Box::new(Htpasswd::open(options()).unwrap());
        let server = TestServer::builder()
            .with(|app| app.with_authenticator(Authenticator::Htpasswd(htpasswd)))
            .options(|o| o.rate_limit = three_a_minute(RateLimitBy::User))
            .start()
            .await;
        for _ in 0..3 {
            let reply = server.request(method.clone(), target).send().await;
            assert_eq!(reply.status, status, "{method} {target}");
        }
        let reply = server.request(method.clone(), target).send().await;
        reply.assert_error(429, "TOOMANYREQUESTS");
        assert!(reply.header("retry-after").parse::<u64>().is_ok());
        // Wrong passwords are nobody's.
        let wrong = [("authorization", "Basic YWxpY2U6d3Jvbmc=")];
        server.get_with("/v2/", &wrong).await.assert_error(429, "TOOMANYREQUESTS");
        // Who logs in has an allowance of her own, and does not use up that of the address.
        let alice = [("authorization", "Basic YWxpY2U6c2VjcmV0")];
        for _ in 0..3 {
            assert_eq!(server.get_with("/v2/", &alice).await.status, 200);
        }
        server.get_with("/v2/", &alice).await.assert_error(429, "TOOMANYREQUESTS");
    }
}
