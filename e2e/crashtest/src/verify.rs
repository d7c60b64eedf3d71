//! What must be true after a restart, asked through the API.

mod listings;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;

use oci::{Algorithm, Digest};

use crate::http::{Body, Client, Response};
use crate::ledger::{Content, Key, Kind, Ledger, Value};
use crate::report::{Report, count};
use crate::worker::{Resumed, Session, Stop, resume};

const CONNECTIONS: usize = 4;
const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// A check of one volume through one server.
#[derive(Debug)]
pub(crate) struct Verification<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) ledger: &'a Ledger,
    pub(crate) report: &'a Report,
    /// For messages.
    pub(crate) when: String,
}

impl Verification<'_> {
    /// Checks what was touched since the last check, or everything; then what lists it.
    pub(crate) fn run(&self, everything: bool, sessions: Vec<Session>) {
        let registers = self.ledger.to_verify(everything);
        let mut repositories: BTreeSet<_> =
            registers.iter().map(|(key, _)| key.repository.clone()).collect();
        let share = registers.len().div_ceil(CONNECTIONS).max(1);
        thread::scope(|scope| {
            for part in registers.chunks(share) {
                scope.spawn(move || {
                    let mut client = Client::new(self.address);
                    for (key, allowed) in part {
                        self.register(&mut client, key, allowed);
                    }
                });
            }
        });
        for session in sessions {
            repositories.insert(session.repository.clone());
            self.session(session);
        }
        self.listings(&repositories);
    }

    fn violation(&self, text: String) {
        self.report.violation(format!("{}: {text}", self.when));
    }

    fn register(&self, client: &mut Client, key: &Key, allowed: &BTreeSet<Value>) {
        match self.observe(client, key) {
            Ok(value) => {
                if !allowed.contains(&value) {
                    let show = |v: &Value| v.map_or("absent".to_owned(), |d| d.to_string());
                    let allowed: Vec<String> = allowed.iter().map(show).collect();
                    self.violation(format!(
                        "{key} is {}, and must be {}",
                        show(&value),
                        allowed.join(" or ")
                    ));
                }
                self.ledger.settle(key, value);
            }
            Err(text) => self.violation(format!("{key}: {text}")),
        }
    }

    /// What a register holds, with its content compared byte for byte.
    fn observe(&self, client: &mut Client, key: &Key) -> Result<Value, String> {
        let repository = &key.repository;
        let (target, accept) = match &key.kind {
            Kind::Blob(digest) => (format!("/v2/{repository}/blobs/{digest}"), "*/*"),
            Kind::Manifest(digest) => {
                (format!("/v2/{repository}/manifests/{digest}"), ANY_MANIFEST)
            }
            Kind::Tag(tag) => (format!("/v2/{repository}/manifests/{tag}"), ANY_MANIFEST),
        };
        let response = client
            .send("GET", &target, &[("Accept", accept)], Body::None)
            .map_err(|error| format!("GET {target}: {error}"))?;
        let c = &self.report.counters;
        match response.status {
            200 => {}
            404 if is_json_error(&response) => {
                count(&c.verified_absences, 1);
                return Ok(None);
            }
            _ => return Err(format!("GET {target} answered {}", response.excerpt())),
        }
        let algorithm = match &key.kind {
            Kind::Blob(digest) | Kind::Manifest(digest) => digest.algorithm(),
            Kind::Tag(_) => Algorithm::Sha256,
        };
        let digest = Digest::of(algorithm, &response.body);
        self.compare(&digest, &response)?;
        match &key.kind {
            Kind::Blob(wanted) | Kind::Manifest(wanted) if *wanted != digest => {
                return Err(format!("{} bytes with the digest {digest}", response.body.len()));
            }
            Kind::Blob(_) => count(&c.verified_blobs, 1),
            Kind::Manifest(_) => count(&c.verified_manifests, 1),
            Kind::Tag(_) => count(&c.verified_tags, 1),
        }
        Ok(Some(digest))
    }

    /// The body is what was pushed under its digest, and a manifest says its type.
    fn compare(&self, digest: &Digest, response: &Response) -> Result<(), String> {
        let Some(content) = self.ledger.content(digest) else {
            let bytes = response.body.len();
            return Err(format!("{bytes} bytes that nobody pushed, digest {digest}"));
        };
        if !content.equals(&response.body) {
            return Err(format!("the content of {digest} differs from what was pushed"));
        }
        if let Content::Manifest(manifest) = &*content {
            let media_type = response.header("content-type").unwrap_or_default();
            if media_type != manifest.media_type {
                return Err(format!(
                    "{digest}, a {}, is served as {media_type}",
                    manifest.media_type
                ));
            }
        }
        Ok(())
    }

    /// An upload that the kill cut short goes on from where the server says it is.
    fn session(&self, mut session: Session) {
        let kind = Kind::Blob(session.digest);
        let ending = session.ending;
        let write = self.ledger.begin(&session.repository, kind.clone(), Some(session.digest));
        match resume(self.address, &mut session) {
            Ok(Resumed::Completed) => {
                self.ledger.acknowledge(&[write]);
                count(&self.report.counters.resumed_uploads, 1);
                let key = Key { repository: session.repository, kind };
                let mut client = Client::new(self.address);
                self.register(&mut client, &key, &[Some(session.digest)].into());
            }
            // Completed or given up, and nobody heard of it.
            Ok(Resumed::Gone) if ending => {
                self.ledger.refuse(&[write]);
                count(&self.report.counters.gone_uploads, 1);
            }
            Ok(Resumed::Gone) => {
                self.ledger.refuse(&[write]);
                self.violation(format!(
                    "upload {} of which {} bytes were acknowledged is gone",
                    session.location, session.acknowledged_bytes
                ));
            }
            Err(Stop::Wrong(text)) => self.violation(format!("an upload taken up again: {text}")),
            Err(Stop::Broken(error)) => {
                self.violation(format!("an upload taken up again: no answer: {error}"));
            }
        }
    }
}

/// Whether it is the error of the API, and no page of some other part of the server.
fn is_json_error(response: &Response) -> bool {
    let json: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
    json.is_some_and(|j| j["errors"][0]["code"].is_string())
}
