//! What a configuration points at, and files that can't be read.

use std::{fs, os::unix::net::UnixListener};

use super::*;

#[test]
fn what_is_missing_or_wrong_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(at("file"), "").unwrap();
    let _listener = UnixListener::bind(at("old.sock")).unwrap();
    let filesystem =
        |root: &str| format!("version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n");
    for (text, expected) in [
        (filesystem(&at("")), None),
        (filesystem(&at("not/there/yet")), None),
        (filesystem(&at("file")), Some("config.yml:3:31: storage.filesystem.rootdirectory: ")),
        (filesystem(&at("file/below")), Some("storage.filesystem.rootdirectory: ")),
        (with(&format!("http: {{net: unix, addr: {}}}", at("new.sock"))), None),
        (with(&format!("http: {{net: unix, addr: {}}}", at("old.sock"))), None),
        (
            with(&format!("http: {{net: unix, addr: {}}}", at("file"))),
            Some("exists and is not a socket"),
        ),
        (with(&format!("http: {{tls: {{certificate: {0}, key: {0}}}}}", at("file"))), None),
        (
            with(&format!("http: {{tls: {{certificate: {}, key: {}}}}}", at("file"), at("no"))),
            Some("http.tls.key: "),
        ),
        (
            with(&format!(
                "http: {{tls: {{certificate: {0}, key: {0}, clientcas: [{1}]}}}}",
                at("file"),
                at("no")
            )),
            Some("http.tls.clientcas: "),
        ),
        (
            with(&format!("auth: {{htpasswd: {{realm: r, path: {}}}}}", at(""))),
            Some("is a directory"),
        ),
        (
            with(&format!(
                "proxy: {{upstreams: [{{url: 'https://h', prefix: a, tls: {{rootcas: {0}}}}}, {{url: 'https://h', tls: {{rootcas: [{0}, {1}]}}}}]}}",
                at("file"),
                at("no")
            )),
            Some("proxy.upstreams.1.tls.rootcas: "),
        ),
        (
            with(&format!(
                "proxy:\n  remoteurl: https://h\n  upstreams:\n    - {{url: 'https://h', prefix: a, gar: {{keyfile: {}}}}}",
                at("no")
            )),
            Some("config.yml:7:"),
        ),
    ] {
        let found = clean(&text, &[]).check_files();
        match expected {
            None => assert_eq!(found, vec![], "{text}"),
            Some(expected) => {
                assert_eq!(found.len(), 1, "{text}: {found:?}");
                assert!(found[0].to_string().contains(expected), "{found:?}");
            }
        }
    }
    // Looking changes nothing.
    assert!(!dir.path().join("not").exists());
}

#[test]
fn files_that_cant_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let none = Environment::default();
    let message = |name: &str| load_file(&dir.path().join(name), &none).unwrap_err().to_string();
    fs::write(dir.path().join("latin1"), b"version: 0.1\n# \xe4\n").unwrap();
    fs::write(dir.path().join("big"), vec![b' '; limits::FILE_SIZE_BYTES_MAX + 1]).unwrap();
    fs::write(dir.path().join("good"), with("")).unwrap();
    assert!(message("absent").contains("absent: can't be read: No such file or directory"));
    assert!(message("").contains("can't be read"));
    assert!(message("latin1").ends_with("is not UTF-8 text (line 2)"));
    assert!(message("big").ends_with("is larger than 1048576 bytes"));
    assert!(load_file(&dir.path().join("good"), &none).is_ok());
}
