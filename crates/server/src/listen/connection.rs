//! One connection's socket, with the two things hyper leaves to others: a client that stops
//! reading, and a client that is still sending when the answer is done.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::slots::Slot;
use super::stall::Stall;
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

impl Socket {
    /// Sends what there is room for, without waiting to be told by the system that there is.
    fn send_now(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut nothing = SendAncillaryBuffer::default();
        Ok(delegate!(self, stream => sendmsg(stream, pieces, &mut nothing, flags))?)
    }
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
    stall: Option<Stall>,
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

    /// Passes on the outcome of a write of these pieces, unless there has been no room for too
    /// long.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let Some(socket) = &self.socket else { return outcome };
        let stall = self.stall.get_or_insert_with(|| Stall::new(self.write_timeout));
        loop {
            ready!(stall.poll_look(cx));
            match socket.send_now(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if stall.took_nothing() {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                }
                Ok(bytes) => {
                    stall.took(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                failed => return Poll::Ready(failed),
            }
        }
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
        self.watch(cx, &[IoSlice::new(bytes)], outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = delegate!(
            self.socket()?,
            stream => Pin::new(stream).poll_write_vectored(cx, pieces)
        );
        self.watch(cx, pieces, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Never has to wait: nothing is kept here.
        delegate!(self.socket()?, stream => Pin::new(stream).poll_flush(cx))
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::super::slots::Slots;
    use super::*;
    use crate::exchange::Peer;

    const TIMEOUT: Duration = Duration::from_millis(800);

    /// A connection and its client, which has little room of its own.
    async fn pair() -> (Connection, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::net::TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(64 << 10).unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, address) = listener.accept().await.unwrap();
        let slots = Slots::new(1, 0, Vec::new());
        let slot = slots.take(slots.wait().await.unwrap(), Peer::Tcp(address)).unwrap();
        (Connection::new(Socket::Tcp(stream), slot, TIMEOUT), client)
    }

    /// Sends without end to a client that reads so much every tenth of the time, and begins when
    /// there is no more room: after how much time the client is cut, if it is at all.
    async fn cut_after(read_bytes: usize, longest: Duration) -> Option<Duration> {
        let (mut connection, mut client) = pair().await;
        let piece = vec![7; 256 << 10];
        while let Ok(sent) = tokio::time::timeout(TIMEOUT / 4, connection.write_all(&piece)).await {
            sent.unwrap();
        }
        let begun = Instant::now();
        let sending = async {
            while let Ok(()) = connection.write_all(&piece).await {}
            begun.elapsed()
        };
        let reading = async {
            let mut buffer = vec![0; read_bytes];
            loop {
                client.read_exact(&mut buffer).await.unwrap();
                tokio::time::sleep(TIMEOUT / 10).await;
            }
        };
        tokio::select! {
            after = sending => Some(after),
            () = reading => None,
            () = tokio::time::sleep(longest) => None,
        }
    }

    #[tokio::test]
    async fn who_takes_little_is_not_cut_and_who_takes_next_to_nothing_is() {
        // The system's buffer for it is far from a third empty after this time.
        assert_eq!(cut_after(32 << 10, TIMEOUT * 3).await, None);
        for read_bytes in [0, 8] {
            let after = cut_after(read_bytes, TIMEOUT * 20).await.expect("cut");
            assert!(after >= TIMEOUT / 2, "{after:?}");
        }
    }
}
