//! TLS on an accepted connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError as CertificateFault, Error as TlsFault, PeerIncompatible,
};
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::trouble::Trouble;
use crate::exchange::Peer;

/// What Go's server tells a client that speaks HTTP where TLS is spoken.
const PLAIN_HTTP_ANSWER: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Bytes by which HTTP is told from TLS: every record of TLS has a head of five.
const LOOK_BYTES: usize = 5;

/// Why a connection did not get to TLS.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the client sent an HTTP request to this HTTPS server")]
    PlainHttp,
    #[error("it took longer than {} seconds", .0.as_secs())]
    Slow(Duration),
    #[error("{}", explain(.0))]
    Failed(io::Error),
}

/// Makes TLS connections of accepted ones, and says in the log what goes wrong with it.
#[derive(Debug)]
pub(super) struct Handshakes {
    server: Arc<tls::Server>,
    timeout: Duration,
    refused: Trouble,
}

impl Handshakes {
    pub(super) fn new(server: Arc<tls::Server>, timeout: Duration) -> Self {
        Self { server, timeout, refused: Trouble::default() }
    }

    /// The connection once its handshake is done; `None` when that failed, and when there is nothing
    /// to follow (a challenge of ACME). Runs in the task of the connection.
    pub(super) async fn accept(
        &self,
        connection: Connection,
        peer: Peer,
    ) -> Option<TlsStream<Connection>> {
        let outcome = match tokio::time::timeout(self.timeout, self.shake(connection)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Slow(self.timeout)),
        };
        match outcome {
            Ok(mut stream) if tls::is_challenge(stream.get_ref().1) => {
                // Whether it gets to the authority is for the authority to find out.
                let _ = tokio::time::timeout(self.timeout, stream.shutdown()).await;
                None
            }
            Ok(stream) => Some(stream),
            Err(failure) => {
                self.log(&failure, peer);
                None
            }
        }
    }

    /// Whom the client's certificate stands for, if it showed one that was checked.
    pub(super) fn client_identity(&self, stream: &TlsStream<Connection>) -> Option<Arc<str>> {
        self.server.client_identity(stream.get_ref().1).map(Arc::from)
    }

    async fn shake(&self, mut connection: Connection) -> Result<TlsStream<Connection>, Failure> {
        let begin = connection.look_ahead(LOOK_BYTES, is_text).await.map_err(Failure::Failed)?;
        if begin.len() == LOOK_BYTES && is_text(begin) {
            connection.write_all(PLAIN_HTTP_ANSWER).await.map_err(Failure::Failed)?;
            // Then it lingers, so that the client reads the answer.
            connection.shutdown().await.map_err(Failure::Failed)?;
            return Err(Failure::PlainHttp);
        }
        let accepting = TlsAcceptor::from(self.server.config()).accept(connection);
        match accepting.into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, mut connection)) => {
                // The alert that says why is on its way; without this it could be lost to a reset.
                let _ = connection.shutdown().await;
                Err(Failure::Failed(error))
            }
        }
    }

    /// What a person has to do something about is a warning, but not for each try of a client that
    /// tries for ever. The rest are scanners, probes that only connect, and broken networks.
    fn log(&self, failure: &Failure, peer: Peer) {
        if is_for_a_person(failure)
            && let Some(others) = self.refused.is_due()
        {
            tracing::warn!(%peer, reason = %failure, others, "TLS handshake failed");
        } else {
            tracing::debug!(%peer, reason = %failure, "TLS handshake failed");
        }
    }
}

/// Whether this can be the beginning of an HTTP request: a method and perhaps the target's slash.
fn is_text(begin: &[u8]) -> bool {
    begin.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'/' | b'*'))
}

fn fault(error: &io::Error) -> Option<&TlsFault> {
    error.get_ref()?.downcast_ref()
}

fn is_for_a_person(failure: &Failure) -> bool {
    match failure {
        Failure::PlainHttp => true,
        Failure::Slow(_) => false,
        Failure::Failed(error) => match fault(error) {
            None | Some(TlsFault::InvalidMessage(_) | TlsFault::PeerMisbehaved(_)) => false,
            Some(TlsFault::AlertReceived(alert)) => {
                !matches!(alert, AlertDescription::CloseNotify | AlertDescription::UserCanceled)
            }
            Some(_) => true,
        },
    }
}

/// The reason, with the words that Go uses for it where people look for those, and what to do.
fn explain(error: &io::Error) -> String {
    use AlertDescription as A;
    let Some(fault) = fault(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "the client went away (EOF)".to_owned(),
            _ => error.to_string(),
        };
    };
    match fault {
        TlsFault::AlertReceived(A::UnknownCA) => {
            "remote error: tls: unknown certificate authority: the client does not trust this \
             server's certificate; give it the CA's certificate (docker: \
             /etc/docker/certs.d/HOST:PORT/ca.crt)"
                .to_owned()
        }
        TlsFault::AlertReceived(A::BadCertificate | A::CertificateUnknown) => {
            "remote error: tls: bad certificate: the client does not accept this server's \
             certificate; look whether it names the host that the client connects to, and whether \
             the client has the CA's certificate"
                .to_owned()
        }
        TlsFault::AlertReceived(A::CertificateExpired) => {
            "remote error: tls: expired certificate: this server's certificate has expired, or the \
             client's clock is wrong"
                .to_owned()
        }
        TlsFault::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        TlsFault::NoCertificatesPresented => {
            "tls: client didn't provide a certificate, which http.tls.clientauth requires"
                .to_owned()
        }
        TlsFault::InvalidCertificate(CertificateFault::BadEncoding) => {
            "tls: failed to parse the client's certificate".to_owned()
        }
        TlsFault::InvalidCertificate(CertificateFault::BadSignature) => {
            "tls: invalid signature by the client's certificate: the client has another key than \
             the certificate's, or one of a kind that can't be used, such as RSA with less than \
             2048 bits"
                .to_owned()
        }
        TlsFault::InvalidCertificate(reason) => {
            let reason = match reason {
                CertificateFault::Other(reason) => reason.0.to_string(),
                reason => reason.to_string(),
            };
            format!(
                "tls: failed to verify the client's certificate against http.tls.clientcas: {reason}"
            )
        }
        TlsFault::PeerIncompatible(
            PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "tls: client offered only unsupported versions; TLS 1.2 or newer is needed, or what \
              http.tls.minimumtls says"
            .to_owned(),
        TlsFault::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
        ) => "tls: no cipher suite supported by both client and server; see http.tls.ciphersuites"
            .to_owned(),
        fault => format!("tls: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::OtherError;

    use super::*;

    #[test]
    fn http_is_told_from_tls() {
        for request in ["GET /v2/", "HEAD / ", "POST /", "PUT /v2", "PATCH ", "DELETE", "OPTIONS"] {
            assert!(is_text(&request.as_bytes()[..LOOK_BYTES]), "{request}");
        }
        for other in [&b"\x16\x03\x01\x02\x00"[..], b"\x80\x2e\x01\x00\x02", b"SSH-2", b"get /"] {
            assert!(!is_text(other), "{other:?}");
        }
    }

    #[test]
    fn reasons_say_what_to_do() {
        let text = |fault| explain(&io::Error::new(io::ErrorKind::InvalidData, fault));
        let unknown = text(TlsFault::AlertReceived(AlertDescription::UnknownCA));
        assert!(unknown.starts_with("remote error: tls: unknown certificate authority"));
        assert!(unknown.contains("does not trust this server's certificate"), "{unknown}");
        assert!(text(TlsFault::NoCertificatesPresented).contains("http.tls.clientauth"));
        let certificate = |fault| text(TlsFault::InvalidCertificate(fault));
        let unknown = certificate(CertificateFault::UnknownIssuer);
        assert!(unknown.ends_with("against http.tls.clientcas: UnknownIssuer"), "{unknown}");
        let other = OtherError(Arc::new(io::Error::other("in words")));
        let other = certificate(CertificateFault::Other(other));
        assert!(other.ends_with("against http.tls.clientcas: in words"), "{other}");
        // These come where clientcas has no say, too.
        for fault in [CertificateFault::BadEncoding, CertificateFault::BadSignature] {
            let reason = certificate(fault);
            assert!(reason.contains("client's certificate"), "{reason}");
            assert!(!reason.contains("clientcas"), "{reason}");
        }
        let eof = explain(&io::ErrorKind::UnexpectedEof.into());
        assert_eq!(eof, "the client went away (EOF)");
    }

    #[test]
    fn noise_is_no_warning() {
        let failed = |fault| Failure::Failed(io::Error::new(io::ErrorKind::InvalidData, fault));
        assert!(is_for_a_person(&failed(TlsFault::AlertReceived(AlertDescription::UnknownCA))));
        assert!(is_for_a_person(&failed(TlsFault::NoCertificatesPresented)));
        assert!(!is_for_a_person(&failed(TlsFault::AlertReceived(AlertDescription::UserCanceled))));
        assert!(!is_for_a_person(&Failure::Failed(io::ErrorKind::UnexpectedEof.into())));
        assert!(!is_for_a_person(&Failure::Slow(Duration::from_secs(10))));
    }
}
