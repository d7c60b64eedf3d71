//! TLS on the listener: what is spoken, what is refused, and certificates that change.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use server::Drained;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::logs;
use crate::support::{Reply, TestServer, read_to_end, sha256};

/// An authority, and the files of a server that it gave a certificate.
struct Pki {
    dir: TempDir,
    authority: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Pki {
    fn new() -> Self {
        Self::of("the authority")
    }

    fn of(authority: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, authority);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.crt"), root.pem()).unwrap();
        let pki = Self { dir, root: root.der().clone(), authority: Issuer::new(params, key) };
        pki.renew();
        pki
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    /// Gives the server a new certificate.
    fn renew(&self) {
        let (certificate, key) = self.issue("the server");
        std::fs::write(self.path().join("domain.crt"), certificate.pem()).unwrap();
        std::fs::write(self.path().join("domain.key"), key.serialize_pem()).unwrap();
    }

    fn server(&self, client_auth: Option<tls::ClientAuth>) -> Arc<tls::Server> {
        tls::Server::load(tls::Options {
            source: tls::CertificateSource::Files {
                certificate: self.path().join("domain.crt"),
                key: self.path().join("domain.key"),
            },
            client_cas: client_auth.iter().map(|_| self.path().join("ca.crt")).collect(),
            client_auth: client_auth.unwrap_or_default(),
            minimum_version: tls::MinimumVersion::Tls12,
            cipher_suites: Vec::new(),
            http2: true,
        })
        .unwrap()
    }

    /// A client that trusts the authority, and speaks the protocols in this order.
    fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }

    fn client_with_certificate(&self, name: &str) -> ClientConfig {
        let (certificate, key) = self.issue(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

async fn try_connect(
    server: &TestServer,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
}

async fn connect(server: &TestServer, config: ClientConfig) -> TlsStream<TcpStream> {
    try_connect(server, config).await.expect("a handshake")
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn http1(stream: TlsStream<TcpStream>) -> Sender {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: Method, target: &str, body: &str) -> http::Request<Full<Bytes>> {
    http::Request::builder()
        .method(method)
        .uri(target)
        .header("host", "localhost:5000")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

#[tokio::test]
async fn both_versions_of_http_and_locations_that_say_https() {
    let pki = Pki::new();
    let server = TestServer::builder().tls(pki.server(None)).start().await;
    let target = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"abc"));
    // Without ALPN, as with it, HTTP/1.1.
    for protocols in [&[][..], &[&b"http/1.1"[..]]] {
        let mut sender = http1(connect(&server, pki.client(protocols)).await).await;
        let response = sender.send_request(request(Method::POST, &target, "abc")).await.unwrap();
        let reply = Reply::read(response).await;
        assert_eq!(reply.status, 201);
        let location = format!("https://localhost:5000/v2/a/blobs/{}", sha256(b"abc"));
        assert_eq!(reply.header("location"), location);
    }
    let stream = connect(&server, pki.client(&[b"h2", b"http/1.1"])).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let socket = TokioIo::new(stream);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let target = format!("https://localhost:5000{target}");
    let reply =
        Reply::read(sender.send_request(request(Method::POST, &target, "abc")).await.unwrap())
            .await;
    assert_eq!(reply.status, 201);
    assert!(reply.header("location").starts_with("https://localhost:5000/v2/"), "{reply:?}");
}

#[tokio::test]
async fn plain_http_is_told_what_it_met() {
    let pki = Pki::new();
    let server = TestServer::builder().tls(pki.server(None)).start().await;
    let expected =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    for request in ["GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n", "DELETE /v2/a/blobs/x HTTP/1.1\r\n\r\n"]
    {
        assert_eq!(server.raw(request.as_bytes()).await, expected);
    }
    // A client that reads only when it has sent everything.
    let mut socket = server.connect().await;
    let head = "PUT /v2/a HTTP/1.1\r\nhost: x\r\ncontent-length: 8388608\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&vec![0; 8 << 20]).await.expect("the rest is taken");
    assert_eq!(read_to_end(&mut socket).await, expected);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_gives_its_place_back() {
    let pki = Pki::new();
    let server = TestServer::builder()
        .tls(pki.server(None))
        .options(|o| {
            o.connections_max = 2;
            o.handshake_timeout = Duration::from_millis(200);
        })
        .start()
        .await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    let mut sender = http1(connect(&server, pki.client(&[])).await).await;
    let response = sender.send_request(request(Method::GET, "/v2/", "")).await.unwrap();
    assert_eq!(response.status(), 200);
    for socket in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest));
        let _ = closed.await.expect("closed");
    }
    // A served connection has no such limit.
    let response = sender.send_request(request(Method::GET, "/v2/", "")).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn garbage_and_clients_that_do_not_trust_end_only_themselves() {
    let log = logs::capture();
    let pki = Pki::new();
    let server = TestServer::builder().tls(pki.server(None)).start().await;
    for garbage in [&b"\x16\x03\x01\xff\xff garbage"[..], b"\0\0\0\0\0\0", b"SSH-2.0-x\r\n"] {
        let mut socket = server.connect().await;
        socket.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut rest));
        let _ = closed.await.expect("closed");
    }
    let stranger = Pki::of("another authority");
    let error = try_connect(&server, stranger.client(&[])).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    log.until(|text| {
        text.contains("TLS handshake failed")
            && text.contains("the client does not trust this server's certificate")
    })
    .await;
    let mut sender = http1(connect(&server, pki.client(&[])).await).await;
    let response = sender.send_request(request(Method::GET, "/v2/", "")).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_refused_upload_is_told_so_even_while_it_is_sending() {
    let pki = Pki::new();
    let server = TestServer::builder().tls(pki.server(None)).start().await;
    let mut stream = connect(&server, pki.client(&[])).await;
    let size = 32 << 20;
    let head = format!(
        "PATCH /v2/a/blobs/uploads/gone HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![0; size]).await.expect("the server takes the rest");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("ended by close_notify");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("BLOB_UPLOAD_UNKNOWN"), "{answer}");
}

#[tokio::test]
async fn who_does_not_read_loses_the_connection() {
    let pki = Pki::new();
    let stall = Duration::from_millis(200);
    let server = TestServer::builder()
        .tls(pki.server(None))
        .options(|o| o.write_timeout = stall)
        .start()
        .await;
    let size = 32 << 20;
    let target = format!("/v2/a/blobs/uploads/?digest={}", sha256(&vec![7; size]));
    let mut sender = http1(connect(&server, pki.client(&[])).await).await;
    let body = String::from_utf8(vec![7; size]).unwrap();
    let response = sender.send_request(request(Method::POST, &target, &body)).await.unwrap();
    assert_eq!(response.status(), 201);
    let target = format!("/v2/a/blobs/{}", sha256(body.as_bytes()));
    let mut stream = connect(&server, pki.client(&[])).await;
    let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(stall * 4).await;
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    let outcome = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("closed");
    assert!(outcome.is_err(), "a truncated answer must not look like a whole one");
    assert!(all.len() < size, "{} bytes got through", all.len());
}

#[tokio::test]
async fn draining_says_goodbye() {
    let pki = Pki::new();
    let mut server = TestServer::builder()
        .tls(pki.server(None))
        .options(|o| o.drain_timeout = Duration::from_secs(10))
        .start()
        .await;
    let mut idle = connect(&server, pki.client(&[])).await;
    idle.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    while !answer.ends_with(b"{}") {
        let n = idle.read(&mut answer).await.unwrap();
        answer.truncate(n);
    }
    // One that is in the middle of its handshake must not hold it up.
    let mut halfway = server.connect().await;
    halfway.write_all(b"\x16").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.begin_shutdown();
    // An end without `close_notify` would be an error.
    let end = tokio::time::timeout(Duration::from_secs(5), idle.read(&mut answer)).await;
    assert_eq!(end.expect("closed").expect("by close_notify"), 0);
    assert_eq!((&mut server.task).await.unwrap(), Drained::Completely);
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_named_in_the_log() {
    let log = logs::capture();
    let pki = Pki::new();
    let required = pki.server(Some(tls::ClientAuth::RequireAndVerify));
    let server = TestServer::builder().tls(required).start().await;
    let mut sender = http1(connect(&server, pki.client_with_certificate("ann")).await).await;
    let target = "/v2/?of=ann";
    let response = sender.send_request(request(Method::GET, target, "")).await.unwrap();
    assert_eq!(response.status(), 200);
    log.until(|text| {
        let of_ann = |line: &&str| line.contains(target);
        text.lines().find(of_ann).is_some_and(|line| line.contains(r#""tls.client.subject":"ann""#))
    })
    .await;
    // With TLS 1.3 a client learns only when it reads that it was not let in.
    let mut stream = match try_connect(&server, pki.client(&[])).await {
        Ok(stream) => stream,
        Err(_) => return,
    };
    let _ = stream.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = Vec::new();
    let error = stream.read_to_end(&mut answer).await.unwrap_err().to_string();
    assert!(answer.is_empty() && error.contains("CertificateRequired"), "{error}");
    log.until(|text| text.contains("didn't provide a certificate")).await;
}

/// Certificates that clients have seen.
#[derive(Default)]
struct Seen(std::sync::Mutex<std::collections::HashSet<Vec<u8>>>);

impl Seen {
    fn note(&self, stream: &TlsStream<TcpStream>) {
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        self.0.lock().unwrap().insert(certificate);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_a_thousand_requests_and_none_fails() {
    const WORKERS: usize = 20;
    const REQUESTS: usize = 50;
    let pki = Arc::new(Pki::new());
    let tls = pki.server(None);
    let server = Arc::new(TestServer::builder().tls(Arc::clone(&tls)).start().await);
    let (seen, done) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| {
            let (server, pki) = (Arc::clone(&server), Arc::clone(&pki));
            let (seen, done) = (Arc::clone(&seen), Arc::clone(&done));
            tokio::spawn(async move {
                // Half of them keep their connection, half make one for each request.
                let keeps = n % 2 == 0;
                let mut kept = None;
                for _ in 0..REQUESTS {
                    let mut sender = match kept.take() {
                        Some(sender) => sender,
                        None => {
                            let stream = connect(&server, pki.client(&[])).await;
                            seen.note(&stream);
                            http1(stream).await
                        }
                    };
                    let target = "/v2/a/blobs/uploads/";
                    let response = sender.send_request(request(Method::POST, target, "")).await;
                    let response = response.expect("an answer");
                    assert_eq!(response.status(), 202);
                    response.into_body().collect().await.unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                    if keeps {
                        sender.ready().await.expect("the connection is kept");
                        kept = Some(sender);
                    }
                }
            })
        })
        .collect();
    let mut swaps = 0;
    while done.load(Ordering::SeqCst) < WORKERS * REQUESTS
        && !workers.iter().any(tokio::task::JoinHandle::is_finished)
    {
        pki.renew();
        let current = Arc::clone(&tls);
        let outcome = tokio::task::spawn_blocking(move || current.reload()).await.unwrap();
        assert!(matches!(outcome, tls::ReloadOutcome::Reloaded), "{outcome:?}");
        swaps += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(done.load(Ordering::SeqCst), WORKERS * REQUESTS);
    let seen = seen.0.lock().unwrap().len();
    assert!(swaps > 3 && seen > 3, "{swaps} swaps, {seen} certificates seen");
}
