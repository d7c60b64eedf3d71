//! A webhook receiver that can be told to misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Answers with these bytes.
    Answer(String),
    /// Never answers.
    Hang,
}

impl Behaviour {
    /// Answers with a status.
    pub(crate) fn status(status: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
    }

    /// Sends the request elsewhere.
    pub(crate) fn redirect(status: &str, location: &str) -> Self {
        Self::Answer(format!(
            "HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
    }
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the answer was that the event was taken.
    pub is_taken: bool,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice::<Value>(&self.body).unwrap()["events"][0].clone()
    }

    pub(crate) fn tag(&self) -> String {
        self.event()["target"]["tag"].as_str().unwrap().to_owned()
    }

    /// The values of a header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
}

/// A receiver on a port of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (behaviour, received) = (Mutex::new(behaviour), Mutex::default());
        let shared = Arc::new(Shared { behaviour, received });
        let mut tasks = JoinSet::new();
        let accepting = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&accepting)));
            }
        });
        Self { port, shared, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Tags of the events that were taken, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.received().iter().filter(|r| r.is_taken).map(Received::tag).collect()
    }

    /// Waits until so many requests have come in.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        super::eventually(|| self.received().len() >= count).await;
        self.received()
    }

    /// Waits until so many events have been taken.
    pub(crate) async fn wait_for_taken(&self, count: usize) -> Vec<String> {
        super::eventually(|| self.taken().len() >= count).await;
        self.taken()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    loop {
        let Some((head, rest)) = next_head(&mut stream, bytes).await else { return };
        let length = head
            .lines()
            .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        bytes = rest;
        while bytes.len() < length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let rest = bytes.split_off(length);
        let behaviour = shared.behaviour.lock().unwrap().clone();
        let is_taken = matches!(&behaviour, Behaviour::Answer(a)
            if a.starts_with("HTTP/1.1 2") || a.starts_with("HTTP/1.1 304"));
        shared.received.lock().unwrap().push(Received { head, body: bytes, is_taken });
        match behaviour {
            Behaviour::Hang => return tokio::time::sleep(Duration::from_secs(3600)).await,
            Behaviour::Answer(answer) => {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                if !answer.starts_with("HTTP/1.1") {
                    return;
                }
            }
        }
        bytes = rest;
    }
}

async fn next_head(stream: &mut TcpStream, mut bytes: Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).unwrap(), rest));
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
