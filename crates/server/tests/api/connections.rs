//! Connections: HTTP/2, unix sockets, limits, and the end of it all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use server::{Drained, ListenAddress, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{Reply, TestServer, read_until, sha256};

#[tokio::test]
async fn http2_by_prior_knowledge_when_enabled() {
    let server = TestServer::builder().options(|o| o.h2c_enabled = true).start().await;
    let socket = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let authority = format!("http://r.example.com/v2/a/blobs/uploads/?digest={}", sha256(b"abc"));
    let request = http::Request::post(authority).body(Full::new(Bytes::from("abc"))).unwrap();
    let reply = Reply::read(sender.send_request(request).await.unwrap()).await;
    assert_eq!(reply.status, 201);
    assert!(reply.header("location").starts_with("http://r.example.com/v2/"), "{reply:?}");
    // HTTP/1 goes on working beside it.
    assert_eq!(server.get(&reply.location()).await.text(), "abc");
}

/// Most clients send a request's head and its body apart. An answer that needs no body must not
/// leave, and end the connection with it, before the body has come.
#[tokio::test]
async fn a_refused_request_with_a_small_body_leaves_its_connection_open() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    for method in ["PATCH", "PUT", "POST", "PATCH"] {
        let target = match method {
            "POST" => "/v2/a/manifests/latest",
            _ => "/v2/a/blobs/uploads/gone",
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"abc").await.unwrap();
        let answer = read_until(&mut stream, "}]}\n").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{method}: {answer}");
    }
    // Who waits to be told to send the body is not told to.
    let head = "PATCH /v2/a/blobs/uploads/gone HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\
                Expect: 100-continue\r\n\r\n";
    let begun = std::time::Instant::now();
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "}]}\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
}

/// A large body is not waited for, and the answer says what becomes of the connection.
#[tokio::test]
async fn a_refused_request_with_a_large_body_says_that_its_connection_closes() {
    let server = TestServer::start().await;
    for body in ["Content-Length: 300000", "Transfer-Encoding: chunked"] {
        let mut stream = server.connect().await;
        let head = format!("PATCH /v2/a/blobs/uploads/gone HTTP/1.1\r\nHost: x\r\n{body}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "}]}\n").await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 404"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_refused_upload_is_taken_to_its_end_with_http2() {
    let server = TestServer::builder().options(|o| o.h2c_enabled = true).start().await;
    let socket = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    // More than fits into the stream's window of 16 MiB.
    const PIECES: usize = 192;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let pieces = futures_util::stream::iter(0..PIECES).map(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(vec![0; 128 << 10])))
    });
    let target = "http://x/v2/a/blobs/uploads/gone";
    let request = http::Request::patch(target).body(StreamBody::new(pieces)).unwrap();
    let reply = Reply::read(sender.send_request(request).await.unwrap()).await;
    reply.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
    for _ in 0..200 {
        if taken.load(Ordering::SeqCst) == PIECES {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the stream was reset after {} of {PIECES} pieces", taken.load(Ordering::SeqCst));
}

/// All of them more than a connection holds before it waits for its handlers, and some refused
/// while their bodies come.
#[tokio::test]
async fn large_bodies_share_an_http2_connection() {
    let server = TestServer::builder().options(|o| o.h2c_enabled = true).start().await;
    let socket = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await;
    let (sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let pushes = (0..12_u8).map(|number| {
        let mut sender = sender.clone();
        async move {
            let content = Bytes::from(vec![number; 5 << 20]);
            let refused = number % 3 == 0;
            let digest = sha256(if refused { b"something else" } else { &content[..] });
            let pieces: Vec<_> = (0..content.len())
                .step_by(50_000)
                .map(|at| content.slice(at..content.len().min(at + 50_000)))
                .map(|piece| Ok::<_, std::convert::Infallible>(Frame::data(piece)))
                .collect();
            let body = StreamBody::new(futures_util::stream::iter(pieces));
            let uri = format!("http://x/v2/a/blobs/uploads/?digest={digest}");
            let request = http::Request::post(uri).body(body).unwrap();
            let reply = Reply::read(sender.send_request(request).await.unwrap()).await;
            assert_eq!(reply.status, if refused { 400 } else { 201 });
        }
    });
    let all = futures_util::future::join_all(pushes);
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
}

#[tokio::test]
async fn no_http2_unless_enabled() {
    for (h2c, disabled) in [(false, false), (true, true)] {
        let server = TestServer::builder()
            .options(|o| (o.h2c_enabled, o.http2_disabled) = (h2c, disabled))
            .start()
            .await;
        let answer = server.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wharf.sock");
    let listener = Listener::bind(&ListenAddress::Unix(path.clone())).await.unwrap();
    let app = Arc::new(TestServer::builder().app());
    let (shutdown, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, app, async {
        let _ = stopped.await;
    }));
    let mut socket = UnixStream::connect(&path).await.unwrap();
    let request = b"GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{}"), "{answer}");
    drop(shutdown);
    serving.await.unwrap();
    assert!(!path.exists(), "the socket is removed at the end");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = TestServer::builder().options(|o| o.connections_max = 1).start().await;
    let mut first = server.connect().await;
    let request = b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(request).await.unwrap();
    read_until(&mut first, "{}").await;
    let mut second = server.connect().await;
    second.write_all(request).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(200), second.read_u8()).await;
    assert!(waiting.is_err(), "the second was served beside the first");
    drop(first);
    assert!(read_until(&mut second, "{}").await.starts_with("HTTP/1.1 200 "));
}

/// A server with an upload under way, of which three of six bytes have been sent.
async fn with_upload_in_flight(drain: Duration) -> (TestServer, TcpStream) {
    let server = TestServer::builder().options(|o| o.drain_timeout = drain).start().await;
    let target = server.start_upload("a").await;
    let mut socket = server.connect().await;
    let head = format!(
        "PATCH {target} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 6\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The body is being read now.
    read_until(&mut socket, "100 Continue\r\n\r\n").await;
    socket.write_all(b"abc").await.unwrap();
    (server, socket)
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_closes_what_is_idle() {
    let (mut server, mut busy) = with_upload_in_flight(Duration::from_secs(20)).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut idle, "{}").await;

    server.begin_shutdown();
    let closed = tokio::time::timeout(Duration::from_secs(5), idle.read_u8()).await;
    assert!(closed.expect("closed at once").is_err());
    // No new ones are taken once the listener is gone.
    let mut refused = false;
    for _ in 0..100 {
        refused = TcpStream::connect(server.address).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused);
    busy.write_all(b"def").await.unwrap();
    let answer = read_until(&mut busy, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("Range: 0-5"), "{answer}");
    assert_eq!((&mut server.task).await.unwrap(), Drained::Completely);
}

#[tokio::test]
async fn draining_ends_when_its_time_is_up() {
    let (mut server, mut busy) = with_upload_in_flight(Duration::from_millis(200)).await;
    server.begin_shutdown();
    assert_eq!((&mut server.task).await.unwrap(), Drained::Cut(1));
    assert!(busy.read_u8().await.is_err(), "closed");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_disturb_the_others() {
    let server = TestServer::start().await;
    let digest = server.push_blob("a", vec![1; 8 << 20]).await;
    for _ in 0..20 {
        let mut socket = server.connect().await;
        let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.read_u8().await.unwrap();
    }
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).await.body.len(), 8 << 20);
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let server = TestServer::start().await;
    let socket = TokioIo::new(server.connect().await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    for path in ["/v2/", "/v2/a/manifests/none", "/v2/", "/v2/a/blobs/sha256:x", "/v2/"] {
        let request = http::Request::get(path).header("host", "x").body(Empty::<Bytes>::new());
        sender.ready().await.expect("still open");
        let response = sender.send_request(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
}
