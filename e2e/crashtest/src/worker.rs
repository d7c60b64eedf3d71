//! One client of the load: it pushes, mounts, tags and deletes until the server is gone.

mod blobs;
mod manifests;
mod sessions;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use oci::Digest;

use crate::http::{Body, Client, Response};
use crate::ledger::{Content, Holdings, Ledger};
use crate::random::Random;
use crate::report::{Report, count};

pub(crate) use sessions::{Resumed, Session, resume};

/// The repository that all clients write to, and never delete manifests or blobs from.
pub(crate) const SHARED: &str = "crash/shared";

/// Why an operation did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// No answer came: the server is gone.
    Broken(io::Error),
    /// The answer is not what it must be.
    Wrong(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

pub(crate) type Step<T = ()> = Result<T, Stop>;

/// What all clients of a round share.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    pub(crate) number: u64,
    pub(crate) address: SocketAddr,
    pub(crate) ledger: &'a Ledger,
    pub(crate) report: &'a Report,
    /// Set before the server is killed.
    pub(crate) killed: &'a AtomicBool,
}

/// What a client knows to be in a repository.
#[derive(Debug)]
struct Repository {
    name: Arc<str>,
    blobs: Vec<Digest>,
    manifests: Vec<Digest>,
    tags: Vec<String>,
    /// What manifests refer to, which is never deleted: they could not be pushed again.
    needed: Vec<Digest>,
}

impl Repository {
    fn new(name: String, ledger: &Ledger) -> Self {
        let name: Arc<str> = name.into();
        ledger.learn_repository(&name);
        let Holdings { blobs, manifests, tags, .. } = ledger.holdings(&name);
        let mut needed = Vec::new();
        for digest in &manifests {
            if let Some(content) = ledger.content(digest)
                && let Content::Manifest(manifest) = &*content
            {
                needed.extend(&manifest.needs);
            }
        }
        Self { name, blobs, manifests, tags: tags.into_keys().collect(), needed }
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    round: &'a Round<'a>,
    client: Client,
    random: Random,
    /// Its own, one that is new in this round, and the shared one.
    repositories: [Repository; 3],
    sessions: Vec<Session>,
}

const NEW: usize = 1;
const COMMON: usize = 2;

impl<'a> Worker<'a> {
    pub(crate) fn new(round: &'a Round<'a>, id: usize, random: Random) -> Self {
        let repository = |name| Repository::new(name, round.ledger);
        Self {
            round,
            client: Client::new(round.address),
            random,
            repositories: [
                repository(format!("crash/w{id}")),
                repository(format!("crash/w{id}/r{}", round.number)),
                repository(SHARED.to_owned()),
            ],
            sessions: Vec::new(),
        }
    }

    /// Works until the server is gone, and hands back the uploads that it has not completed.
    pub(crate) fn run(mut self) -> Vec<Session> {
        while !self.round.killed.load(SeqCst) {
            match self.one() {
                Ok(()) => {}
                Err(Stop::Broken(error)) => {
                    if !self.round.killed.load(SeqCst) {
                        self.round.report.violation(format!(
                            "round {}: a connection broke while the server ran: {error}",
                            self.round.number
                        ));
                    } else {
                        count(&self.round.report.counters.cut_short, 1);
                    }
                    break;
                }
                Err(Stop::Wrong(what)) => {
                    self.round.report.violation(format!("round {}: {what}", self.round.number));
                }
            }
        }
        self.sessions
    }

    /// One operation, chosen at random.
    fn one(&mut self) -> Step {
        let own = self.random.index(2);
        let any = self.random.index(3);
        match self.random.below(100) {
            0..36 => self.push_blob(any),
            36..44 => self.mount(own),
            44..56 => self.push_image_by_tag(own),
            56..64 => self.push_image_by_digest(any),
            64..69 => self.push_referrer(own),
            69..75 => self.push_index(any),
            75..81 => self.tag_again(own),
            81..89 => self.tag_in_common(),
            89..91 => self.delete_tag(own),
            91..93 => self.delete_manifest(own),
            93..95 => self.delete_blob(own),
            95 => self.cancel_upload(any),
            96 => self.leave_upload(any),
            97 => self.hang_up(any),
            _ => self.race_patches(any),
        }
    }

    fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> Step<Response> {
        let sent = self.client.send(method, target, headers, body);
        sent.map_err(|error| {
            let target: String = target.chars().take(160).collect();
            Stop::Broken(std::io::Error::new(error.kind(), format!("{method} {target}: {error}")))
        })
    }

    /// Sends, and wants one of these statuses.
    fn expect(
        &mut self,
        statuses: &[u16],
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> Step<Response> {
        let response = self.send(method, target, headers, body)?;
        wanted(response, statuses, method, target)
    }

    fn name(&self, repository: usize) -> Arc<str> {
        Arc::clone(&self.repositories[repository].name)
    }
}

fn wanted(response: Response, statuses: &[u16], method: &str, target: &str) -> Step<Response> {
    if statuses.contains(&response.status) {
        return Ok(response);
    }
    let target: String = target.chars().take(160).collect();
    Err(Stop::Wrong(format!("{method} {target} answered {}", response.excerpt())))
}
