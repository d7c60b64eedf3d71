//! Listening sockets.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use super::address::ListenAddress;
use super::connection::Socket;
use super::systemd;
use crate::exchange::Peer;
use crate::limits::LISTEN_BACKLOG;

/// A socket that takes connections.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    /// A socket file of ours, to be removed at the end.
    file: Option<PathBuf>,
    tls: Option<Arc<tls::Server>>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address can't be used.
    #[error("could not listen on {address}: {source}{}", hint(.source))]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is a file where the socket should be.
    #[error("file {} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// systemd passed more than one socket.
    #[error("found {0} socket-activation listeners, only expected 1")]
    TooMany(usize),
    /// systemd passed something that can't be used.
    #[error("the socket that systemd passed can't be used: {0}")]
    Activation(io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ": another process listens there; stop it, or set http.addr",
        io::ErrorKind::PermissionDenied => ": ports below 1024 need CAP_NET_BIND_SERVICE",
        _ => "",
    }
}

impl Listener {
    /// The socket that systemd passed (`sd_listen_fds(3)`), if it passed one.
    ///
    /// # Errors
    /// [`ListenError::TooMany`], [`ListenError::Activation`].
    pub fn from_systemd() -> Result<Option<Self>, ListenError> {
        Ok(systemd::listener()?.map(|kind| Self { kind, file: None, tls: None }))
    }

    /// Listens on an address.
    ///
    /// # Errors
    /// [`ListenError::Bind`]; [`ListenError::NotASocket`] when the path of a unix socket is taken
    /// by something else. A socket that is there is replaced.
    pub async fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { address: address.to_string(), source };
        match address {
            ListenAddress::Tcp { host, port } => {
                let listener = bind_tcp(host, *port).await.map_err(failed)?;
                lengthen_backlog(&listener);
                Ok(Self { kind: Kind::Tcp(listener), file: None, tls: None })
            }
            ListenAddress::Unix(path) => {
                remove_socket(path).map_err(failed)??;
                let listener = UnixListener::bind(path).map_err(failed)?;
                lengthen_backlog(&listener);
                Ok(Self { kind: Kind::Unix(listener), file: Some(path.clone()), tls: None })
            }
        }
    }

    /// Speaks TLS on its connections, each with the certificate that is current when it comes.
    #[must_use]
    pub fn with_tls(mut self, server: Arc<tls::Server>) -> Self {
        self.tls = Some(server);
        self
    }

    pub(super) fn tls(&self) -> Option<&Arc<tls::Server>> {
        self.tls.as_ref()
    }

    /// The address it really listens on, with the port that was free.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn local_address(&self) -> io::Result<std::net::SocketAddr> {
        match &self.kind {
            Kind::Tcp(listener) => listener.local_addr(),
            Kind::Unix(_) => Err(io::Error::other("a unix socket has no network address")),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Neither matters enough to refuse the connection.
                let _ = stream.set_nodelay(true);
                let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
                Ok((Socket::Tcp(stream), Peer::Tcp(address)))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), Peer::Unix))
            }
        }
    }
}

impl fmt::Display for Listener {
    /// The address, for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, &self.file, self.local_address()) {
            (Kind::Tcp(_), _, Ok(address)) => address.fmt(f),
            (_, Some(path), _) => path.display().fmt(f),
            _ => f.write_str("a socket passed by systemd"),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.file {
            // Whoever starts next removes it as well.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Without a host, IPv6 and IPv4 alike; where there is no IPv6, IPv4.
async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    if !host.is_empty() {
        return TcpListener::bind((host, port)).await;
    }
    match TcpListener::bind(("::", port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        outcome => outcome,
    }
}

/// The standard library has 128 connections wait at most. Should the system refuse, that will do.
fn lengthen_backlog(listener: &impl AsFd) {
    let _ = rustix::net::listen(listener, LISTEN_BACKLOG);
}

/// Removes what an earlier process left; anything but a socket stays.
fn remove_socket(path: &Path) -> io::Result<Result<(), ListenError>> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map(Ok),
        Ok(_) => Ok(Err(ListenError::NotASocket(path.to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_left_over_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let address = ListenAddress::Unix(path.clone());
        // Dropped without being removed, as by a killed process.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(listener.to_string(), path.display().to_string());
        drop(listener);
        assert!(!path.exists());

        std::fs::write(&path, "x").unwrap();
        let error = Listener::bind(&address).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("file {} exists and is not a socket", path.display())
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }

    #[tokio::test]
    async fn an_occupied_port_says_what_to_do() {
        let first = Listener::bind(&ListenAddress::tcp("127.0.0.1:0").unwrap()).await.unwrap();
        let address = ListenAddress::tcp(&first.to_string()).unwrap();
        let error = Listener::bind(&address).await.unwrap_err().to_string();
        assert!(error.contains(&first.to_string()) && error.contains("http.addr"), "{error}");
    }
}
