//! A server for a test, and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use oci::{Algorithm, Digest};
use registry::Registry;
use serde_json::{Value, json};
use server::{AccessLog, App, Deletion, Drained, ListenAddress, Listener, ServerOptions};
use storage::Driver;
use storage::memory::Memory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a test wants of its server. Deleting is enabled unless it says otherwise.
pub(crate) struct Builder {
    pub(crate) options: ServerOptions,
    pub(crate) registry: registry::Options,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) metrics: bool,
    tls: Option<Arc<tls::Server>>,
    changes: Vec<Box<dyn FnOnce(App) -> App>>,
}

impl Builder {
    /// Changes the application before it starts.
    pub(crate) fn with(mut self, change: impl FnOnce(App) -> App + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    pub(crate) fn tls(mut self, tls: Arc<tls::Server>) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(crate) fn options(mut self, change: impl FnOnce(&mut ServerOptions)) -> Self {
        change(&mut self.options);
        self
    }

    pub(crate) fn registry(mut self, change: impl FnOnce(&mut registry::Options)) -> Self {
        change(&mut self.registry);
        self
    }

    pub(crate) fn driver(mut self, driver: Arc<dyn Driver>) -> Self {
        self.driver = driver;
        self
    }

    pub(crate) fn app(self) -> App {
        let mut app = App::new(Arc::new(Registry::new(self.driver, self.registry)), self.options);
        if let Some(log) = self.access_log {
            app = app.with_access_log(log);
        }
        if self.metrics {
            app = app.with_metrics(server::Metrics::new());
        }
        self.changes.into_iter().fold(app, |app, change| change(app))
    }

    pub(crate) async fn start(mut self) -> TestServer {
        let address = ListenAddress::tcp("127.0.0.1:0").unwrap();
        let mut listener = Listener::bind(&address).await.unwrap();
        if let Some(tls) = self.tls.take() {
            listener = listener.with_tls(tls);
        }
        let address = listener.local_address().unwrap();
        let app = Arc::new(self.app());
        let (shutdown, stopped) = oneshot::channel::<()>();
        let serving = server::serve(listener, Arc::clone(&app), async {
            let _ = stopped.await;
        });
        TestServer { address, app, shutdown: Some(shutdown), task: tokio::spawn(serving) }
    }
}

/// A server that runs until it is dropped or stopped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) app: Arc<App>,
    shutdown: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<Drained>,
}

impl TestServer {
    pub(crate) fn builder() -> Builder {
        let options = ServerOptions { deletion: Deletion::ALL, ..ServerOptions::default() };
        let registry = registry::Options::default();
        let driver = Arc::new(Memory::new());
        Builder {
            options,
            registry,
            driver,
            access_log: None,
            metrics: false,
            tls: None,
            changes: Vec::new(),
        }
    }

    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    /// Asks the server to shut down, without waiting for it.
    pub(crate) fn begin_shutdown(&mut self) {
        drop(self.shutdown.take());
    }

    pub(crate) fn request(&self, method: Method, target: &str) -> Request {
        let host = self.address.to_string();
        Request {
            address: self.address,
            request: http::Request::builder().method(method).uri(target).header("host", host),
            body: Bytes::new(),
        }
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.request(Method::GET, target).send().await
    }

    pub(crate) async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.request(Method::GET, target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await
    }

    pub(crate) async fn head(&self, target: &str) -> Reply {
        self.request(Method::HEAD, target).send().await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.request(Method::DELETE, target).send().await
    }

    pub(crate) async fn post(&self, target: &str) -> Reply {
        self.request(Method::POST, target).send().await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes as they are and reads until the server closes, which must be soon.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(request).await.unwrap();
        read_to_end(&mut socket).await
    }

    /// Starts an upload and returns where it goes on.
    pub(crate) async fn start_upload(&self, name: &str) -> String {
        let reply = self.post(&format!("/v2/{name}/blobs/uploads/")).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.location()
    }

    pub(crate) async fn push_blob(&self, name: &str, content: impl Into<Bytes>) -> Digest {
        let content = content.into();
        let digest = sha256(&content);
        let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let reply = self.request(Method::POST, &target).body(content).send().await;
        assert_eq!(reply.status, 201, "{reply:?}");
        digest
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        content: impl Into<Bytes>,
    ) -> Reply {
        let target = format!("/v2/{name}/manifests/{reference}");
        let request = self.request(Method::PUT, &target).header("content-type", media_type);
        request.body(content).send().await
    }

    /// Pushes an image whose only layer is `layer`, and returns the manifest and its digest.
    pub(crate) async fn push_image(
        &self,
        name: &str,
        reference: &str,
        layer: &str,
    ) -> (String, Digest) {
        self.push_image_as(name, reference, layer, OCI_MANIFEST).await
    }

    pub(crate) async fn push_image_as(
        &self,
        name: &str,
        reference: &str,
        layer: &str,
        media_type: &str,
    ) -> (String, Digest) {
        let config = self.push_blob(name, "{}").await;
        let layer_digest = self.push_blob(name, layer.to_owned()).await;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config, 2),
            "layers": [descriptor(
                "application/vnd.oci.image.layer.v1.tar", &layer_digest, layer.len()
            )],
        })
        .to_string();
        let reply = self.put_manifest(name, reference, media_type, manifest.clone()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let digest = sha256(manifest.as_bytes());
        (manifest, digest)
    }
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

pub(crate) fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
}

/// Reads until the other side closes, which must be within a few seconds.
pub(crate) async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("closed in time").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until `end` has been seen.
pub(crate) async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&answer).contains(end) {
            answer.push(socket.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("answered in time");
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) struct Request {
    address: SocketAddr,
    request: http::request::Builder,
    body: Bytes,
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let connection = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = connection.unwrap();
        tokio::spawn(connection);
        let request = self.request.body(Full::new(self.body)).unwrap();
        Reply::read(sender.send_request(request).await.unwrap()).await
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) async fn read(response: http::Response<hyper::body::Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// A header as text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Path and query of the `Location`.
    pub(crate) fn location(&self) -> String {
        let location: http::Uri = self.header("location").parse().unwrap();
        location.path_and_query().unwrap().as_str().to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The status and the code of the first error.
    pub(crate) fn failure(&self) -> (u16, String) {
        let code = self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned();
        (self.status, code)
    }

    /// Checks that this is an error of the specification's form, with this status and code.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.failure(), (status, code.to_owned()), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("docker-distribution-api-version"), "registry/2.0");
        assert!(self.body.ends_with(b"\n"));
    }
}
