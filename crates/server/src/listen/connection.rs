//! One connection's socket, with the two things hyper leaves to others: a client that stops
//! reading, and a client that is still sending when the answer is done.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

use super::slots::Slot;
use crate::limits::{LINGER_BYTES_MAX, LINGER_TIMEOUT};

/// A stream socket of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! delegate {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

/// A socket that fails when the other side does not read for some time, and that, once this side
/// has finished, keeps taking what still comes for a while: closing a socket with unread data in it
/// resets the connection, and the client would lose the answer that says why its request was
/// refused.
#[derive(Debug)]
pub(super) struct Connection {
    /// Taken out only when this is dropped.
    socket: Option<Socket>,
    /// Given back when the socket is closed.
    slot: Option<Slot>,
    /// What has been looked at and not been read yet.
    ahead: Vec<u8>,
    write_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    /// The other side has said that it will send no more.
    seen_end: bool,
    /// This side has said so.
    shut_down: bool,
}

impl Connection {
    pub(super) fn new(socket: Socket, slot: Slot, write_timeout: Duration) -> Self {
        Self {
            socket: Some(socket),
            slot: Some(slot),
            ahead: Vec::new(),
            write_timeout,
            stall: None,
            seen_end: false,
            shut_down: false,
        }
    }

    /// The first bytes that come, `wanted` of them unless the client sends fewer and no more, or
    /// they are not what `goes_on` looks for. They will be read as if nobody had looked.
    pub(super) async fn look_ahead(
        &mut self,
        wanted: usize,
        goes_on: impl Fn(&[u8]) -> bool,
    ) -> io::Result<&[u8]> {
        let mut ahead = std::mem::take(&mut self.ahead);
        while ahead.len() < wanted {
            let mut buffer = [0; 16];
            let room = (wanted - ahead.len()).min(buffer.len());
            let n = self.read(&mut buffer[..room]).await?;
            ahead.extend_from_slice(&buffer[..n]);
            if n == 0 || !goes_on(&ahead) {
                break;
            }
        }
        self.ahead = ahead;
        Ok(&self.ahead)
    }

    fn socket(&mut self) -> io::Result<&mut Socket> {
        self.socket.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Passes on the outcome of a write, unless it has been pending for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let deadline = Instant::now() + self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let n = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..n]);
            self.ahead.drain(..n);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let wanted = buffer.remaining();
        let outcome = delegate!(self.socket()?, stream => Pin::new(stream).poll_read(cx, buffer));
        if let Poll::Ready(result) = &outcome {
            let nothing = wanted > 0 && buffer.filled().len() == before;
            self.seen_end |= result.is_err() || nothing;
        }
        outcome
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = delegate!(self.socket()?, stream => Pin::new(stream).poll_write(cx, bytes));
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = delegate!(
            self.socket()?,
            stream => Pin::new(stream).poll_write_vectored(cx, pieces)
        );
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = delegate!(self.socket()?, stream => Pin::new(stream).poll_flush(cx));
        self.watch(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        delegate!(self.socket()?, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(socket), slot) = (self.socket.take(), self.slot.take()) else { return };
        if !self.shut_down || self.seen_end {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER_TIMEOUT, linger(socket, slot)));
        }
    }
}

/// Takes what still comes until the client closes.
async fn linger(mut socket: Socket, _slot: Option<Slot>) {
    let mut buffer = vec![0; 16 << 10];
    let mut left = LINGER_BYTES_MAX;
    loop {
        let read = delegate!(&mut socket, stream => stream.read(&mut buffer).await);
        match read {
            Ok(0) | Err(_) => return,
            Ok(n) if n as u64 >= left => return,
            Ok(n) => left -= n as u64,
        }
    }
}
