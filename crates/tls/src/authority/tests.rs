//! Certificates from an authority of one's own, as clients see them, and what is in their way.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::{SignedDuration, ToSpan as _};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;
use crate::certificate::Facts;
use crate::testing::{Authority, options};

fn request(directory: &Path, hosts: &[&str]) -> Request {
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    Request { hosts, directory: directory.to_owned(), days: 825 }
}

fn refused(request: &Request) -> String {
    issue(request).unwrap_err().to_string()
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

/// Whether a client that trusts the authority takes the certificate for a name.
fn is_trusted(files: &Files, name: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(chain(&files.authority).remove(0)).unwrap();
    let provider = std::sync::Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let chain = chain(&files.certificate);
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::now()).is_ok()
}

#[test]
fn clients_that_trust_the_authority_trust_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("made/certs");
    let request = request(&out, &["nas.lan", "192.168.1.10", "fd00::10", "*.home.lan"]);
    let issued = issue(&request).unwrap();
    assert!(!issued.reused_authority && !issued.renewed);
    for name in ["nas.lan", "192.168.1.10", "fd00::10", "registry.home.lan"] {
        assert!(is_trusted(&issued.files, name), "{name}");
    }
    for name in ["other.lan", "192.168.1.11", "home.lan"] {
        assert!(!is_trusted(&issued.files, name), "{name}");
    }
    for (name, mode) in
        [("ca.crt", 0o644), ("ca.key", 0o600), ("domain.crt", 0o644), ("domain.key", 0o600)]
    {
        let metadata = out.join(name).metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    assert_eq!(contents(&out).len(), 4);
    crate::Server::load(options(&out)).unwrap();
}

#[test]
fn the_certificate_is_what_clients_ask_for() {
    let directory = tempfile::tempdir().unwrap();
    let issued = issue(&request(directory.path(), &["nas.lan"])).unwrap();
    let chain = chain(&issued.files.certificate);
    assert_eq!(chain.len(), 2, "with the authority's");
    let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth);
    assert!(!leaf.is_ca());
    let facts = Facts::of(&chain[0]).unwrap();
    assert_eq!(facts.not_after, issued.until);
    // Including the last second, and not more than Apple's limit.
    let lifetime = facts.not_after.duration_since(facts.not_before) + SignedDuration::from_secs(1);
    assert_eq!(lifetime, SignedDuration::from_hours(825 * 24));
    let authority = Facts::of(&chain[1]).unwrap();
    assert!(authority.is_authority);
    assert_eq!(authority.not_after, issued.authority_until);
    assert!(authority.not_after > Timestamp::now() + SignedDuration::from_hours(24 * 3600));
}

#[test]
fn an_authority_is_kept_and_the_certificate_renewed() {
    let directory = tempfile::tempdir().unwrap();
    issue(&request(directory.path(), &["nas.lan"])).unwrap();
    let before = contents(directory.path());
    let issued = issue(&request(directory.path(), &["nas.lan", "nas"])).unwrap();
    assert!(issued.reused_authority && issued.renewed);
    let after = contents(directory.path());
    assert_eq!(before["ca.crt"], after["ca.crt"]);
    assert_eq!(before["ca.key"], after["ca.key"]);
    assert_ne!(before["domain.crt"], after["domain.crt"]);
    assert_ne!(before["domain.key"], after["domain.key"]);
    assert!(is_trusted(&issued.files, "nas"));
    assert_eq!(after.len(), 4, "no temporary files");
}

#[test]
fn two_directories_have_authorities_with_different_names() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let subject = |directory: &Path| {
        let issued = issue(&request(directory, &["nas.lan"])).unwrap();
        let chain = chain(&issued.files.authority);
        let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
        parsed.subject().to_string()
    };
    let (one, two) = (subject(one.path()), subject(two.path()));
    assert!(one.contains("wharf local authority"), "{one}");
    assert_ne!(one, two);
}

/// Each is refused with what to do, and changes nothing.
#[test]
fn what_is_in_the_way_is_left_alone() {
    let stranger = Authority::new("stranger").server("nas.lan");
    let foreign_authority = Authority::new("somebody");
    type Prepare<'a> = Box<dyn Fn(&Path) + 'a>;
    let own = |directory: &Path| drop(issue(&request(directory, &["nas.lan"])).unwrap());
    let cases: [(Prepare<'_>, &str); 8] = [
        (
            Box::new(|d| std::fs::write(d.join("domain.crt"), &stranger.certificate).unwrap()),
            "did not come from",
        ),
        (
            Box::new(|d| std::fs::write(d.join("domain.key"), &stranger.key).unwrap()),
            "domain.key is there and did not come from",
        ),
        (
            Box::new(|d| {
                own(d);
                std::fs::write(d.join("domain.crt"), &stranger.certificate).unwrap();
            }),
            "move it and its key away",
        ),
        (
            Box::new(|d| {
                own(d);
                std::fs::remove_file(d.join("ca.key")).unwrap();
            }),
            "put the missing one back",
        ),
        (
            Box::new(|d| {
                own(d);
                std::fs::remove_file(d.join("ca.crt")).unwrap();
            }),
            "there is",
        ),
        (
            Box::new(|d| {
                own(d);
                std::fs::write(d.join("ca.crt"), &foreign_authority.pem).unwrap();
            }),
            "does not belong to ca.key",
        ),
        (
            Box::new(|d| {
                std::fs::write(d.join("ca.crt"), &stranger.certificate).unwrap();
                std::fs::write(d.join("ca.key"), &stranger.key).unwrap();
            }),
            "is not an authority's certificate",
        ),
        (
            Box::new(|d| {
                own(d);
                std::fs::write(d.join("ca.crt"), "-----BEGIN CERTIFICATE-----\nMII").unwrap();
            }),
            "half written",
        ),
    ];
    for (prepare, part) in cases {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let before = contents(directory.path());
        let error = refused(&request(directory.path(), &["nas.lan"]));
        assert!(error.contains(part), "{part}: {error}");
        assert_eq!(before, contents(directory.path()), "{part}");
    }
}

#[test]
fn nothing_lives_longer_than_its_authority_which_expires() {
    let directory = tempfile::tempdir().unwrap();
    let request = Request { days: 3650, ..request(directory.path(), &["nas.lan"]) };
    let made = issue(&request).unwrap();
    let years_later = Timestamp::now() + SignedDuration::from_hours(24 * 365 * 5);
    let issued = super::issue::issue(&request, years_later).unwrap();
    assert_eq!(issued.until, made.authority_until);
    let after = made.authority_until + 1.second();
    let error = super::issue::issue(&request, after).unwrap_err().to_string();
    assert!(
        error.contains("expired at") && error.contains("move ca.crt and ca.key away"),
        "{error}"
    );
}

#[test]
fn no_hosts_and_no_lifetime() {
    let directory = tempfile::tempdir().unwrap();
    assert!(refused(&request(directory.path(), &[])).contains("at least one host"));
    for days in [0, u32::MAX] {
        let request = Request { days, ..request(directory.path(), &["nas.lan"]) };
        assert!(refused(&request).contains("the default is 825"));
    }
    assert!(contents(directory.path()).is_empty());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refused(&request(&file.join("certs"), &["nas.lan"]));
    assert!(error.contains("cannot write") && error.contains("file/certs"), "{error}");
}
