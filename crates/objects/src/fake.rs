//! A server that stands for S3 in tests of what is asked of it. It keeps nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Its method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
}

impl Asked {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether its signature covers a header.
    pub(crate) fn signs(&self, name: &str) -> bool {
        let authorization = self.header("authorization");
        let signed = match authorization.split_once("SignedHeaders=") {
            Some((_, signed)) => signed.split(',').next(),
            None => self.target.split_once("X-Amz-SignedHeaders=").map(|(_, signed)| signed),
        };
        let signed = signed.unwrap_or_default().split('&').next().unwrap_or_default();
        signed.replace("%3B", ";").split(';').any(|signed| signed == name)
    }

    /// What the store answers: its status, and the body.
    fn answer(&self) -> (&'static str, &'static str) {
        let is = |part: &str| self.target.contains(part);
        match &*self.method {
            "GET" if is("list-type=2") => {
                ("200 OK", "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
            }
            "GET" if is("uploads=") => {
                ("200 OK", "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
            }
            "POST" if is("uploads") => (
                "200 OK",
                "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>\
                 <UploadId>1</UploadId></InitiateMultipartUploadResult>",
            ),
            "POST" if is("delete") => {
                ("200 OK", "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>")
            }
            "POST" => (
                "200 OK",
                "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>",
            ),
            "PUT" if self.headers.contains_key("x-amz-copy-source") => {
                ("200 OK", "<CopyResult><ETag>\"e\"</ETag></CopyResult>")
            }
            "GET" | "HEAD" if is("absent") => {
                ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>")
            }
            "DELETE" => ("204 No Content", ""),
            _ => ("200 OK", "x"),
        }
    }
}

/// The server, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Fake {
    /// Where it is.
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let noted = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&noted)));
            }
        });
        Self { address, asked, server }
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has been asked since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.noted())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await {
        let (status, body) = request.answer();
        let is_head = request.method == "HEAD";
        asked.lock().unwrap().push(request);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: \"e\"\r\n\
             last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
        );
        let body = if is_head { "" } else { body };
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: HeaderMap = lines[1..]
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        })
        .collect();
    let asked = Asked { method, target, headers };
    let length = asked.header("content-length").parse().unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(asked)
}
