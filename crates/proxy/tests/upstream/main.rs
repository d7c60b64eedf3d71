//! The client of an upstream, against a registry that does what it is told, also what is wrong.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

#[path = "../support/fake.rs"]
mod fake;

mod blobs;
mod endpoints;
mod helpers;
mod lists;
mod manifests;
mod redirects;
mod tls;
mod tokens;
mod writing;

use std::time::Duration;

use fake::FakeRegistry;
use futures_util::StreamExt as _;
use oci::{Reference, RepositoryName};
use proxy::{
    Asking, BlobBody, Credentials, NameRules, Secret, TlsOptions, Upstream, UpstreamError,
    UpstreamOptions,
};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn options(endpoints: &[String]) -> UpstreamOptions {
    UpstreamOptions {
        name: "up".to_owned(),
        endpoints: endpoints.iter().map(|url| url.parse().unwrap()).collect(),
        credentials: Credentials::Anonymous,
        tls: TlsOptions::default(),
        names: NameRules::default(),
        answer_timeout: Duration::from_secs(20),
        body_idle_timeout: Duration::from_secs(20),
    }
}

/// For what hangs: no test is to wait for long.
fn impatient(endpoints: &[String]) -> Upstream {
    let timeout = Duration::from_millis(500);
    let options = options(endpoints);
    Upstream::new(UpstreamOptions {
        answer_timeout: timeout,
        body_idle_timeout: timeout,
        ..options
    })
    .unwrap()
}

fn user(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.to_owned(), password: Secret::new(password) }
}

/// The client of a registry.
fn upstream(registry: &FakeRegistry) -> Upstream {
    Upstream::new(options(&[registry.url()])).unwrap()
}

fn with_credentials(registry: &FakeRegistry, credentials: Credentials) -> Upstream {
    Upstream::new(UpstreamOptions { credentials, ..options(&[registry.url()]) }).unwrap()
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn asking() -> Asking {
    Asking::default()
}

/// All bytes of a blob, and how it ended.
async fn all(mut body: BlobBody) -> (Vec<u8>, Option<UpstreamError>) {
    let mut bytes = Vec::new();
    while let Some(piece) = body.pieces.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}
