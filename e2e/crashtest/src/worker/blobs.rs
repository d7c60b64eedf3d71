//! Every way to get a blob in, and out again.

use std::thread;

use oci::{Algorithm, Digest};

use super::sessions::{Resumed, Session, end_url, resume};
use super::{COMMON, NEW, Step, Stop, Worker, wanted};
use crate::http::{Body, Client};
use crate::ledger::{Content, Kind};
use crate::random;
use crate::report::count;

/// Blobs that all clients push, so that several push the same one at the same time.
const POPULAR_BLOBS: u64 = 12;
/// What is shorter than this may come twice by chance: of one byte there are 256.
const UNIQUE_BYTES_MIN: u64 = 16;
/// Size of a piece of a body with `Transfer-Encoding: chunked`.
const PIECE_BYTES: usize = 48 << 10;

/// A blob before it is pushed.
#[derive(Debug)]
struct Draft {
    seed: u64,
    bytes: Vec<u8>,
    digest: Digest,
}

impl Worker<'_> {
    /// A blob, the popular ones with a size that is theirs.
    fn draft(&mut self) -> Draft {
        let popular = self.random.percent(15);
        let seed = if popular { self.random.below(POPULAR_BLOBS) } else { self.random.next() };
        let mut sizes = random::Random::new(seed);
        let size_bytes = 1 + match sizes.below(100) {
            0..10 => 0,
            10..35 => sizes.below(200),
            35..65 => sizes.below(8 << 10),
            65..88 => sizes.below(256 << 10),
            88..97 => sizes.below(2 << 20),
            _ => (4 << 20) + sizes.below(4 << 20),
        };
        let bytes = random::content(seed, usize::try_from(size_bytes).unwrap_or(1));
        // Such a push makes the canonical name, too, which the ledger must not know of from elsewhere.
        let long = !popular && size_bytes >= UNIQUE_BYTES_MIN && self.random.percent(10);
        let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let digest = Digest::of(algorithm, &bytes);
        self.round.ledger.learn(digest, Content::Blob { seed, size_bytes: bytes.len() });
        Draft { seed, bytes, digest }
    }

    fn acknowledged(&mut self, repository: usize, digest: Digest, size_bytes: usize) {
        let blobs = &mut self.repositories[repository].blobs;
        if !blobs.contains(&digest) {
            blobs.push(digest);
        }
        count(&self.round.report.counters.acknowledged_blobs, 1);
        count(&self.round.report.counters.acknowledged_bytes, size_bytes as u64);
    }

    /// Pushes a blob in one of the ways there are.
    pub(super) fn push_blob(&mut self, repository: usize) -> Step {
        let draft = self.draft();
        if self.random.percent(30) {
            return self.push_in_one_request(repository, &draft);
        }
        self.start(repository, &draft)?;
        let size = draft.bytes.len();
        match self.random.below(4) {
            0 => {}
            1 => self.patch(&draft.bytes, size, false)?,
            2 => self.patch_in_chunks(&draft.bytes, size)?,
            _ => {
                // The last part comes with the request that ends the upload.
                let cut = self.random.index(size);
                self.patch_in_chunks(&draft.bytes, cut)?;
            }
        }
        self.end(repository, &draft.bytes)
    }

    /// `POST ?digest=`, and the way that is left when the server does not know it.
    fn push_in_one_request(&mut self, repository: usize, draft: &Draft) -> Step {
        let name = self.name(repository);
        let write = self.round.ledger.begin(&name, Kind::Blob(draft.digest), Some(draft.digest));
        let url = format!("/v2/{name}/blobs/uploads/?digest={}", draft.digest);
        let response = self.expect(&[201, 202], "POST", &url, &[], Body::Whole(&draft.bytes))?;
        if response.status == 202 {
            let url = end_url(&response.location().unwrap_or_default(), &draft.digest);
            self.expect(&[201], "PUT", &url, &[], Body::Whole(&draft.bytes))?;
        }
        self.round.ledger.acknowledge(&[write]);
        self.acknowledged(repository, draft.digest, draft.bytes.len());
        Ok(())
    }

    /// `POST`: from here on there is a session, the last of the list.
    fn start(&mut self, repository: usize, draft: &Draft) -> Step {
        let name = self.name(repository);
        let url = format!("/v2/{name}/blobs/uploads/");
        let response = self.expect(&[202], "POST", &url, &[], Body::Whole(&[]))?;
        let write = self.round.ledger.begin(&name, Kind::Blob(draft.digest), Some(draft.digest));
        let mut session = Session {
            repository: name,
            digest: draft.digest,
            seed: draft.seed,
            size_bytes: draft.bytes.len(),
            location: String::new(),
            acknowledged_bytes: 0,
            sent_bytes: 0,
            ending: false,
            write,
        };
        session.progress(&response, None)?;
        self.sessions.push(session);
        Ok(())
    }

    fn session(&mut self) -> Step<&mut Session> {
        self.sessions.last_mut().ok_or_else(|| Stop::Wrong("no upload was begun".into()))
    }

    /// `PATCH` with what comes up to `end`.
    fn patch(&mut self, content: &[u8], end: usize, ranged: bool) -> Step {
        let session = self.session()?;
        let start = session.acknowledged_bytes;
        if start == end {
            return Ok(());
        }
        session.sent_bytes = end;
        let url = session.location.clone();
        let range = format!("{start}-{}", end - 1);
        let headers = [("Content-Range", range.as_str())];
        let body = &content[start..end];
        let response = if ranged {
            self.expect(&[202], "PATCH", &url, &headers, Body::Whole(body))?
        } else {
            self.expect(&[202], "PATCH", &url, &[], Body::Chunked(body, PIECE_BYTES))?
        };
        self.session()?.progress(&response, Some(end))
    }

    fn patch_in_chunks(&mut self, content: &[u8], end: usize) -> Step {
        let chunks = 1 + self.random.index(4);
        for chunk in 1..=chunks {
            let streamed = self.random.percent(20);
            self.patch(content, end * chunk / chunks, !streamed)?;
        }
        Ok(())
    }

    /// `PUT` with what is left.
    fn end(&mut self, repository: usize, content: &[u8]) -> Step {
        let session = self.session()?;
        session.ending = true;
        session.sent_bytes = content.len();
        let (url, start) = (session.end_url(), session.acknowledged_bytes);
        self.expect(&[201], "PUT", &url, &[], Body::Whole(&content[start..]))?;
        self.ended(repository);
        Ok(())
    }

    fn ended(&mut self, repository: usize) {
        if let Some(session) = self.sessions.pop() {
            self.round.ledger.acknowledge(&[session.write]);
            self.acknowledged(repository, session.digest, session.size_bytes);
        }
    }

    /// A mount from one of the own repositories or the shared one.
    pub(super) fn mount(&mut self, repository: usize) -> Step {
        let from = if self.random.percent(50) { COMMON } else { NEW - repository };
        let Some(digest) = self.random.pick(&self.repositories[from].blobs).copied() else {
            return self.push_blob(from);
        };
        let (name, source) = (self.name(repository), self.name(from));
        let write = self.round.ledger.begin(&name, Kind::Blob(digest), Some(digest));
        let url = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={source}");
        self.expect(&[201], "POST", &url, &[], Body::Whole(&[]))?;
        self.round.ledger.acknowledge(&[write]);
        let blobs = &mut self.repositories[repository].blobs;
        if !blobs.contains(&digest) {
            blobs.push(digest);
        }
        count(&self.round.report.counters.acknowledged_mounts, 1);
        Ok(())
    }

    /// Deletes a blob that no manifest needs. One with another digest than the canonical is left:
    /// what its delete means for the other name is no question of crashes.
    pub(super) fn delete_blob(&mut self, repository: usize) -> Step {
        let here = &self.repositories[repository];
        let free = |d: &&Digest| d.algorithm() == Algorithm::Sha256 && !here.needed.contains(d);
        let free: Vec<Digest> = here.blobs.iter().filter(free).copied().collect();
        let Some(digest) = self.random.pick(&free).copied() else { return Ok(()) };
        let name = self.name(repository);
        self.repositories[repository].blobs.retain(|d| *d != digest);
        let write = self.round.ledger.begin(&name, Kind::Blob(digest), None);
        self.expect(&[202], "DELETE", &format!("/v2/{name}/blobs/{digest}"), &[], Body::None)?;
        self.round.ledger.acknowledge(&[write]);
        count(&self.round.report.counters.acknowledged_deletes, 1);
        Ok(())
    }

    /// An upload that is given up.
    pub(super) fn cancel_upload(&mut self, repository: usize) -> Step {
        let draft = self.draft();
        self.start(repository, &draft)?;
        self.patch(&draft.bytes, draft.bytes.len() / 2, true)?;
        let session = self.session()?;
        session.ending = true;
        let url = session.location.clone();
        self.expect(&[204], "DELETE", &url, &[], Body::None)?;
        if let Some(session) = self.sessions.pop() {
            self.round.ledger.refuse(&[session.write]);
        }
        Ok(())
    }

    /// An upload that nobody comes back to before the kill.
    pub(super) fn leave_upload(&mut self, repository: usize) -> Step {
        let draft = self.draft();
        self.start(repository, &draft)?;
        let end = self.random.index(draft.bytes.len());
        self.patch_in_chunks(&draft.bytes, end)?;
        Ok(())
    }

    /// A client that hangs up in mid-body and comes back.
    pub(super) fn hang_up(&mut self, repository: usize) -> Step {
        let draft = self.draft();
        self.start(repository, &draft)?;
        let sent = self.random.index(draft.bytes.len());
        let session = self.session()?;
        session.sent_bytes = sent;
        let url = session.location.clone();
        // With its range: the server may come to read it when the rest has arrived another way.
        let range = format!("0-{}", draft.bytes.len() - 1);
        let headers = [("Content-Range", range.as_str())];
        let broken = self.client.send("PATCH", &url, &headers, Body::Broken(&draft.bytes, sent));
        if let Err(error) = broken
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let address = self.round.address;
        match resume(address, self.session()?)? {
            Resumed::Completed => {}
            Resumed::Gone => return Err(Stop::Wrong(format!("{url}: gone after a hang-up"))),
        }
        count(&self.round.report.counters.hung_up, 1);
        self.ended(repository);
        Ok(())
    }

    /// Two clients send the same part of one upload at the same time: one of them gets it in.
    pub(super) fn race_patches(&mut self, repository: usize) -> Step {
        let draft = self.draft();
        self.start(repository, &draft)?;
        let size = draft.bytes.len();
        let address = self.round.address;
        let session = self.session()?;
        session.sent_bytes = size;
        let url = session.location.clone();
        let range = format!("0-{}", size - 1);
        let patch = || {
            let headers = [("Content-Range", range.as_str())];
            Client::new(address).send("PATCH", &url, &headers, Body::Whole(&draft.bytes))
        };
        let (one, other) = thread::scope(|scope| {
            let other = scope.spawn(patch);
            (patch(), other.join())
        });
        let Ok(other) = other else { return Err(Stop::Wrong("a client panicked".into())) };
        let mut taken = Vec::new();
        for response in [one?, other?] {
            let response = wanted(response, &[202, 409, 416], "PATCH", &url)?;
            if response.status == 202 {
                taken.push(response);
            }
        }
        let [taken] = &taken[..] else {
            return Err(Stop::Wrong(format!(
                "{url}: {} of 2 PATCHes at once were taken",
                taken.len()
            )));
        };
        self.session()?.progress(taken, Some(size))?;
        count(&self.round.report.counters.raced_patches, 1);
        self.end(repository, &draft.bytes)
    }
}
