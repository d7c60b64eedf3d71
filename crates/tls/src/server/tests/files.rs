//! What is said about files that can't be used, and about those that can but shouldn't.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};

use crate::Server;
use crate::testing::{Authority, Client, Files, Pair, logged};

fn error(files: &Files) -> String {
    Server::load(files.options()).unwrap_err().to_string()
}

fn good() -> (Authority, Pair) {
    let authority = Authority::new("test");
    let pair = authority.server("nas.lan");
    (authority, pair)
}

#[test]
fn a_missing_file_is_named() {
    let (_, pair) = good();
    for name in ["domain.crt", "domain.key"] {
        let files = Files::with(&pair);
        std::fs::remove_file(files.path(name)).unwrap();
        let error = error(&files);
        assert!(error.contains(name) && error.contains("No such file"), "{error}");
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let (_, pair) = good();
    let files = Files::with(&pair);
    // A directory can't be read as a file by root either, whom permissions don't stop.
    std::fs::remove_file(files.path("domain.key")).unwrap();
    std::fs::create_dir(files.path("domain.key")).unwrap();
    let message = error(&files);
    assert!(message.contains("cannot read the key") && message.contains("domain.key"), "{message}");
    if rustix::process::geteuid().is_root() {
        return;
    }
    let files = Files::with(&pair);
    let permissions = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(files.path("domain.key"), permissions).unwrap();
    let message = error(&files);
    assert!(message.contains("Permission denied"), "{message}");
}

#[test]
fn key_and_certificate_of_different_pairs() {
    let (authority, pair) = good();
    let files = Files::with(&pair);
    files.put("domain.key", authority.server("nas.lan").key);
    let error = error(&files);
    assert!(error.contains("does not belong to the certificate"), "{error}");
    assert!(error.contains("domain.key") && error.contains("domain.crt"), "{error}");
}

#[test]
fn a_chain_in_the_wrong_order_is_a_pair_that_does_not_fit() {
    let (authority, pair) = good();
    let files = Files::with(&pair);
    files.put("domain.crt", format!("{}{}", authority.pem, pair.certificate));
    let error = error(&files);
    assert!(error.contains("has to come first"), "{error}");
}

/// Wherever a file is cut, it is refused, and the message names it.
#[test]
fn half_written_files() {
    let (_, pair) = good();
    for (name, whole) in [("domain.crt", &pair.certificate), ("domain.key", &pair.key)] {
        for length in (0..whole.trim_end().len()).step_by(7) {
            let files = Files::with(&pair);
            files.put(name, &whole[..length]);
            let error = error(&files);
            assert!(error.contains(name), "cut at {length}: {error}");
        }
    }
    let files = Files::with(&pair);
    files.put("domain.crt", &pair.certificate[..200]);
    let error = error(&files);
    assert!(
        error.contains("half written: the line '-----END CERTIFICATE-----' is missing"),
        "{error}"
    );
}

#[test]
fn what_is_no_certificate_or_key() {
    let (_, pair) = good();
    let damaged = pair.certificate.replacen("MII", "AAA", 1);
    for (name, content, part) in [
        ("domain.crt", "", "the file is empty"),
        ("domain.key", "\n", "the file is empty"),
        ("domain.crt", "hello", "'-----BEGIN CERTIFICATE-----'"),
        ("domain.key", "hello", "'-----BEGIN PRIVATE KEY-----'"),
        ("domain.crt", &pair.key, "certificate and key swapped?"),
        ("domain.key", &pair.certificate, "certificate and key swapped?"),
        ("domain.crt", &damaged, "damaged"),
    ] {
        let files = Files::with(&pair);
        files.put(name, content);
        let error = error(&files);
        assert!(error.contains(part) && error.contains(name), "{name} {content}: {error}");
    }
    let files = Files::with(&pair);
    let pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IGJ5dGVz\n-----END PRIVATE KEY-----\n";
    files.put("domain.key", pem);
    let error = error(&files);
    assert!(error.contains("cannot be used"), "{error}");
    assert!(!error.contains("c2VjcmV0") && !error.contains("secret bytes"), "{error}");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let (_, pair) = good();
    let files = Files::with(&pair);
    let large = std::fs::File::create(files.path("domain.crt")).unwrap();
    large.set_len(crate::limits::FILE_SIZE_BYTES_MAX + 1).unwrap();
    let error = error(&files);
    assert!(error.contains("larger than"), "{error}");
}

/// To open a pipe would wait for somebody who writes into it.
#[test]
fn what_is_no_file_is_not_opened() {
    let (_, pair) = good();
    let files = Files::with(&pair);
    std::fs::remove_file(files.path("domain.crt")).unwrap();
    let made = Command::new("mkfifo").arg(files.path("domain.crt")).status().unwrap();
    assert!(made.success());
    let (sender, receiver) = std::sync::mpsc::channel();
    let options = files.options();
    std::thread::spawn(move || sender.send(Server::load(options).unwrap_err().to_string()));
    let error = receiver.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
    assert!(error.contains("domain.crt") && error.contains("not a file"), "{error}");
}

#[test]
fn an_encrypted_key_is_named_as_such() {
    let (_, pair) = good();
    for (label, header) in [
        ("ENCRYPTED PRIVATE KEY", ""),
        ("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"),
    ] {
        let files = Files::with(&pair);
        let pem = format!("-----BEGIN {label}-----\n{header}AAAA\n-----END {label}-----\n");
        files.put("domain.key", pem);
        let error = error(&files);
        assert!(error.contains("encrypted with a password"), "{error}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_served_and_complained_about() {
    let authority = Authority::new("test");
    let pair = authority.expired("nas.lan");
    let files = Files::with(&pair);
    let (server, log) = logged(|| Server::load(files.options()).unwrap());
    assert!(log.contains("ERROR") && log.contains("expired at 2021-01-01"), "{log}");
    let client = Client::trusting(&authority);
    let error = client.connect(&server).await.unwrap_err();
    assert!(error.contains("CertificateExpired"), "{error}");
    let seen = client.trusting_all().connect(&server).await.unwrap();
    assert_eq!(seen.certificate, pair.der());
    let until = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_609_459_200);
    assert_eq!(server.expires(), Some(until));
}

#[test]
fn a_certificate_without_alternative_names_is_complained_about() {
    let authority = Authority::new("test");
    let pair = authority.sign("nas.lan", |params| params.subject_alt_names.clear());
    let files = Files::with(&pair);
    let (_, log) = logged(|| Server::load(files.options()).unwrap());
    assert!(log.contains("WARN") && log.contains("wharf cert new"), "{log}");
}

#[tokio::test]
async fn keys_of_other_kinds_and_forms() {
    let (authority, _) = good();
    for algorithm in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(["nas.lan".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let files = Files::with(&Pair { certificate, key: key.serialize_pem() });
        let server = Server::load(files.options()).unwrap();
        Client::trusting(&authority).trusting_all().connect(&server).await.unwrap();
    }
}

/// As guides make them, with the system's own tool: a key in PKCS #1 or SEC 1 form, text around the
/// PEM, and a certificate of version 1.
#[tokio::test]
async fn what_openssl_makes() {
    let (authority, pair) = good();
    for key in [
        "openssl genrsa -traditional -out domain.key 2048",
        "openssl ecparam -name prime256v1 -genkey -out domain.key",
    ] {
        let files = Files::with(&pair);
        let script = format!(
            "{key} && openssl req -new -key domain.key -subj /CN=nas.lan -out r && \
             openssl x509 -req -in r -signkey domain.key -days 9 -text -out domain.crt"
        );
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]).current_dir(files.directory.path());
        let made = shell.output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let server = Server::load(files.options()).unwrap();
        Client::trusting(&authority).trusting_all().connect(&server).await.unwrap();
    }
}
