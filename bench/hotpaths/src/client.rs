//! A client that costs next to nothing: it sends what it is given and reads one answer.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection that is kept alive.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The head of an answer, and its body.
pub(crate) struct Answer<'a> {
    head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 1 << 20] })
    }

    /// A request with a body. Fails unless the answer has this status.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        content_type: &str,
        body: &[u8],
        status: u16,
    ) -> Result<Answer<'_>> {
        let length = body.len();
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(&request, status).await
    }

    /// Sends a whole request and reads the answer to it, which has a body unless the request is a
    /// HEAD. Fails unless the answer has this status.
    pub(crate) async fn send(&mut self, request: &[u8], status: u16) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut got = 0;
        let head_end = loop {
            got += self.read(got).await?;
            if let Some(at) = self.buffer[..got].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..head_end])?;
        let said: u16 = head.get(9..12).context("a status line")?.parse()?;
        ensure!(said == status, "the answer is {said}, not {status}: {head}");
        let length: usize = match header(head, "content-length") {
            _ if request.starts_with(b"HEAD ") => 0,
            Some(length) => length.parse()?,
            None => bail!("no Content-Length: {head}"),
        };
        while got < head_end + length {
            got += self.read(got).await?;
        }
        ensure!(got == head_end + length, "more came than the answer has");
        let head = std::str::from_utf8(&self.buffer[..head_end])?;
        Ok(Answer { head, body: &self.buffer[head_end..got] })
    }

    async fn read(&mut self, at: usize) -> Result<usize> {
        ensure!(at < self.buffer.len(), "the answer is larger than the buffer");
        let count = self.stream.read(&mut self.buffer[at..]).await?;
        ensure!(count > 0, "the server hung up");
        Ok(count)
    }
}
