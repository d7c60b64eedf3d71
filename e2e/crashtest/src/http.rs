//! A small blocking HTTP/1.1 client. A library's would hide what matters here: which byte was sent
//! and whether an answer came back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the server counts as stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body that is read; the largest blob is a quarter of it.
const BODY_BYTES_MAX: u64 = 32 << 20;

/// What a request sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// No body and no `Content-Length`.
    None,
    /// With its length.
    Whole(&'a [u8]),
    /// With `Transfer-Encoding: chunked`, in pieces of this many bytes.
    Chunked(&'a [u8], usize),
    /// The length of the first and only the bytes of the second, then the connection is closed.
    Broken(&'a [u8], usize),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The path and query of the `Location`.
    pub(crate) fn location(&self) -> Option<String> {
        let location = self.header("location")?;
        match location.split_once("://") {
            Some((_, rest)) => Some(rest[rest.find('/')?..].to_owned()),
            None => Some(location.to_owned()),
        }
    }

    /// The beginning of the body, for messages.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{} {}", self.status, text.chars().take(200).collect::<String>().trim())
    }
}

/// A connection that is opened on demand and kept.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a request and reads its answer. An error means that none came, complete.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> io::Result<Response> {
        let outcome = self.exchange(method, target, headers, body);
        let keep = matches!(&outcome, Ok(r) if r.header("connection").is_none_or(|c| !c.eq_ignore_ascii_case("close")));
        if !keep {
            self.stream = None;
        }
        outcome
    }

    fn exchange(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> io::Result<Response> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(connect(self.address)?),
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !typed && !matches!(body, Body::None) {
            head += "Content-Type: application/octet-stream\r\n";
        }
        // A server may answer, and close, before it has read all of a body that it refuses.
        let sent = send(stream.get_mut(), head, body);
        if let Body::Broken(..) = body {
            sent?;
            return Err(io::Error::new(io::ErrorKind::Interrupted, "broken off on purpose"));
        }
        match receive(stream, method) {
            Ok(response) => Ok(response),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(BufReader::new(stream))
}

fn send(stream: &mut TcpStream, mut head: String, body: Body<'_>) -> io::Result<()> {
    match body {
        Body::None => head += "\r\n",
        Body::Whole(content) | Body::Broken(content, _) => {
            head += &format!("Content-Length: {}\r\n\r\n", content.len());
        }
        Body::Chunked(..) => {
            head += "Transfer-Encoding: chunked\r\n\r\n";
        }
    }
    stream.write_all(head.as_bytes())?;
    match body {
        Body::None => Ok(()),
        Body::Whole(content) => stream.write_all(content),
        Body::Broken(content, sent) => stream.write_all(&content[..sent.min(content.len())]),
        Body::Chunked(content, piece) => {
            for piece in content.chunks(piece.max(1)) {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                stream.write_all(piece)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")
        }
    }
}

fn receive(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Response> {
    let status_line = line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status: u16 = status.ok_or_else(|| invalid(&format!("status line {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let text = line(stream)?;
        if text.is_empty() {
            break;
        }
        let (name, value) =
            text.split_once(':').ok_or_else(|| invalid("header without a colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut response = Response { status, headers, body: Vec::new() };
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok(response);
    }
    if response.header("transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked")) {
        response.body = chunks(stream)?;
    } else {
        let length = response.header("content-length").and_then(|l| l.parse().ok());
        response.body = exactly(stream, length.ok_or_else(|| invalid("answer without a length"))?)?;
    }
    Ok(response)
}

fn chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| invalid("chunk size"))?;
        body.extend(exactly(stream, size)?);
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn exactly(stream: &mut BufReader<TcpStream>, length: u64) -> io::Result<Vec<u8>> {
    if length > BODY_BYTES_MAX {
        return Err(invalid("answer of more than 32 MiB"));
    }
    let mut body = Vec::new();
    stream.by_ref().take(length).read_to_end(&mut body)?;
    if body.len() as u64 == length {
        Ok(body)
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut short"))
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    stream.by_ref().take(64 << 10).read_line(&mut text)?;
    match text.strip_suffix('\n') {
        Some(text) => Ok(text.trim_end_matches('\r').to_owned()),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}
