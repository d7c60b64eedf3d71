//! Credentials from a command.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use proxy::{Credentials, Upstream, UpstreamError};
use tempfile::TempDir;

use crate::fake::{Admission, FakeRegistry};
use crate::{MANIFEST, OCI_MANIFEST, asking, name, reference, with_credentials};

/// A command that writes down how it was called.
fn command(directory: &TempDir, script: &str, lifetime: Option<Duration>) -> Credentials {
    let path = directory.path().join("helper");
    let calls = directory.path().join("calls");
    let text = format!("#!/bin/sh\necho \"$1 $(cat)\" >> {}\n{script}\n", calls.display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Credentials::Helper { command: path, url: "https://up.example.com".to_owned(), lifetime }
}

fn calls(directory: &TempDir) -> Vec<String> {
    let text = fs::read_to_string(directory.path().join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn registry(admission: Admission) -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    registry.put_manifest("a", Some("v1"), OCI_MANIFEST, MANIFEST);
    registry.admit(admission);
    registry
}

async fn ask(upstream: &Upstream) -> Result<(), UpstreamError> {
    upstream.resolve(&name("a"), &reference("v1"), &asking()).await.map(|_| ())
}

const USER: &str = r#"echo '{"ServerURL":"x","Username":"u","Secret":"pw"}'"#;

#[tokio::test]
async fn its_answer_is_used_as_long_as_is_said() {
    for (lifetime, expected) in
        [(None, 1), (Some(Duration::ZERO), 3), (Some(Duration::from_secs(60)), 1)]
    {
        let directory = TempDir::new().unwrap();
        let registry = registry(Admission::Basic("u", "pw")).await;
        let upstream = with_credentials(&registry, command(&directory, USER, lifetime));
        assert!(calls(&directory).is_empty(), "the start does not need it");
        for _ in 0..3 {
            ask(&upstream).await.unwrap();
        }
        let calls = calls(&directory);
        assert_eq!(calls.len(), expected, "{lifetime:?}");
        assert_eq!(calls[0], "get https://up.example.com");
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let directory = TempDir::new().unwrap();
    let registry = registry(Admission::tokens_for("", "refresh")).await;
    let script = r#"echo '{"Username":"<token>","Secret":"refresh"}'"#;
    let upstream = with_credentials(&registry, command(&directory, script, None));
    ask(&upstream).await.unwrap();
    let seen = registry.seen();
    let exchange = seen.iter().find(|seen| seen.path.starts_with("/token")).unwrap();
    assert_eq!((exchange.method.as_str(), exchange.path.as_str()), ("POST", "/token"));
    assert_eq!(
        exchange.body,
        "service=fake&scope=repository%3Aa%3Apull&grant_type=refresh_token&client_id=wharf\
         &refresh_token=refresh"
    );
}

#[tokio::test]
async fn commands_that_fail() {
    for (script, expected) in [
        ("echo credentials not found; exit 1", "credentials not found"),
        ("echo broken >&2; exit 3", "broken"),
        ("echo '{\"Username\":\"u\",\"Secret\":5,\"x\":\"topsecret\"}'", "did not write"),
        ("head -c 100000 /dev/zero", "more than 65536 bytes"),
    ] {
        let directory = TempDir::new().unwrap();
        let registry = registry(Admission::Basic("u", "pw")).await;
        let upstream = with_credentials(&registry, command(&directory, script, None));
        let error = ask(&upstream).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Credentials { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("topsecret"), "{error}");
    }
    let missing = Credentials::Helper {
        command: "/nonexistent/helper".into(),
        url: String::new(),
        lifetime: None,
    };
    let registry = registry(Admission::Basic("u", "pw")).await;
    let error = ask(&with_credentials(&registry, missing)).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/helper can't be run"), "{error}");
}
