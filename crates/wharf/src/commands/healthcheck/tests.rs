//! Against real sockets and real TLS.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::*;

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";
const FAILING: &str = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"checks\":{\"disk\":\"gone\"}}\n";

/// Takes one connection, reads a request's head and sends `answer`.
fn serve_once(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || respond(&mut listener.accept().unwrap().0, answer));
    port
}

fn respond(stream: &mut (impl Read + Write), answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"GET /readyz HTTP/1.1\r\nHost: "), "{}", head.escape_ascii());
    stream.write_all(answer.as_bytes()).unwrap();
    stream.flush().unwrap();
}

fn at(port: u16, tls: Option<target::Tls>) -> Target {
    let url = format!("http://127.0.0.1:{port}");
    Target { tls, ..Target::from_url(&url).unwrap() }
}

#[test]
fn the_status_decides() {
    let told = ask_in_time(at(serve_once(GOOD), None)).unwrap();
    assert!(told.ends_with("/readyz: 200"), "{told}");
    let told = ask_in_time(at(serve_once(FAILING), None)).unwrap_err();
    assert!(told.ends_with("503 {\"checks\":{\"disk\":\"gone\"}}"), "{told}");
    let told = ask_in_time(at(serve_once("SSH-2.0-x\r\n"), None)).unwrap_err();
    assert!(told.ends_with("the answer is not HTTP"), "{told}");
    assert!(ask_in_time(at(serve_once(""), None)).is_err());
}

#[test]
fn nobody_there_and_somebody_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = ask_in_time(at(port, None)).unwrap_err();
    assert!(told.contains("within 3 seconds"), "{told}");
    drop(listener);
    let told = ask_in_time(at(port, None)).unwrap_err();
    assert!(told.contains("refused"), "{told}");
}

#[test]
fn a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || respond(&mut listener.accept().unwrap().0, GOOD));
    let target = Target { endpoint: Endpoint::Unix(path), ..at(1, None) };
    assert_eq!(ask_in_time(target).map(|told| told.ends_with("/readyz: 200")), Ok(true));
}

/// A server with a certificate that nobody trusts; with `clients`, only for those with one.
fn serve_tls_once(versions: &[&'static rustls::SupportedProtocolVersion], clients: bool) -> u16 {
    let made = rcgen::generate_simple_self_signed(["registry.invalid".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = if clients {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(config).unwrap();
        respond(&mut rustls::Stream::new(&mut connection, &mut socket), GOOD);
    });
    port
}

fn tls(asks_for_certificate: bool) -> Option<target::Tls> {
    Some(target::Tls { server_name: "localhost".to_owned(), asks_for_certificate })
}

#[test]
fn any_certificate_will_do() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let told = ask_in_time(at(serve_tls_once(&[version], false), tls(false))).unwrap();
        assert!(told.starts_with("https://") && told.ends_with(": 200"), "{told}");
    }
}

#[test]
fn a_server_that_asks_for_a_certificate_is_well_if_it_is_meant_to() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let told = ask_in_time(at(serve_tls_once(&[version], true), tls(true))).unwrap();
        assert!(told.ends_with("asks for a client certificate, as configured"), "{told}");
        assert!(ask_in_time(at(serve_tls_once(&[version], true), tls(false))).is_err());
    }
    // Silence is no alert.
    assert!(ask_in_time(at(serve_once(""), tls(true))).is_err());
}
