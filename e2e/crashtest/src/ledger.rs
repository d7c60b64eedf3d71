//! What was asked of the registry and what it acknowledged.
//!
//! Every blob, manifest and tag of a repository is a register that requests write to. A write that
//! was answered is over; one that was cut short may have happened or not. After a crash a register
//! may hold what any write left that no later acknowledged write has replaced for certain, and
//! nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Digest;

use crate::random;

/// Something that a registry keeps under a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Blob(Digest),
    Manifest(Digest),
    Tag(String),
}

/// Where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) repository: Arc<str>,
    pub(crate) kind: Kind,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::Blob(digest) => write!(f, "blob {}@{digest}", self.repository),
            Kind::Manifest(digest) => write!(f, "manifest {}@{digest}", self.repository),
            Kind::Tag(tag) => write!(f, "tag {}:{tag}", self.repository),
        }
    }
}

/// What it holds; nothing before its first write and after a delete.
pub(crate) type Value = Option<Digest>;

/// What a digest stands for.
#[derive(Debug)]
pub(crate) enum Content {
    Blob { seed: u64, size_bytes: usize },
    Manifest(Manifest),
}

/// A manifest as it was made.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// The blobs or manifests that it needs in its repository.
    pub(crate) needs: Vec<Digest>,
    pub(crate) subject: Option<Digest>,
}

impl Content {
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Blob { size_bytes, .. } => *size_bytes,
            Self::Manifest(manifest) => manifest.bytes.len(),
        }
    }

    pub(crate) fn equals(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Blob { seed, size_bytes } => {
                bytes.len() == *size_bytes && random::content(*seed, *size_bytes) == bytes
            }
            Self::Manifest(manifest) => manifest.bytes == bytes,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Unknown,
    Acknowledged { at: u64 },
    Refused,
}

#[derive(Debug, Clone)]
struct Write {
    value: Value,
    begun: u64,
    outcome: Outcome,
}

/// A write that was begun.
#[derive(Debug, Clone)]
pub(crate) struct WriteId {
    key: Key,
    index: usize,
}

#[derive(Debug, Default)]
struct Register {
    writes: Vec<Write>,
    touched: bool,
}

impl Register {
    /// Every value that it may hold.
    fn allowed(&self) -> BTreeSet<Value> {
        let replaced = |write: &Write| {
            let Outcome::Acknowledged { at } = write.outcome else { return false };
            self.writes.iter().any(|later| {
                later.begun > at && matches!(later.outcome, Outcome::Acknowledged { .. })
            })
        };
        let begun = self.writes.iter().filter(|w| w.outcome != Outcome::Refused);
        let mut allowed: BTreeSet<Value> =
            begun.filter(|w| !replaced(w)).map(|w| w.value).collect();
        if !self.writes.iter().any(|w| matches!(w.outcome, Outcome::Acknowledged { .. })) {
            allowed.insert(None);
        }
        allowed
    }
}

#[derive(Debug, Default)]
struct State {
    clock: u64,
    registers: HashMap<Key, Register>,
    contents: HashMap<Digest, Arc<Content>>,
    repositories: BTreeSet<Arc<str>>,
}

impl State {
    const fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// What a repository holds for certain.
#[derive(Debug, Default, Clone)]
pub(crate) struct Holdings {
    pub(crate) blobs: Vec<Digest>,
    pub(crate) manifests: Vec<Digest>,
    pub(crate) tags: BTreeMap<String, Digest>,
    /// Manifests that were deleted, or whose push did not take place.
    pub(crate) absent_manifests: Vec<Digest>,
}

/// The record of everything, for one volume.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<State>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn learn(&self, digest: Digest, content: Content) {
        self.lock().contents.insert(digest, Arc::new(content));
    }

    pub(crate) fn content(&self, digest: &Digest) -> Option<Arc<Content>> {
        self.lock().contents.get(digest).cloned()
    }

    /// A repository that some request names from now on.
    pub(crate) fn learn_repository(&self, repository: &Arc<str>) {
        self.lock().repositories.insert(Arc::clone(repository));
    }

    pub(crate) fn repositories(&self) -> BTreeSet<Arc<str>> {
        self.lock().repositories.clone()
    }

    /// A request that will write `value` is about to be sent.
    pub(crate) fn begin(&self, repository: &Arc<str>, kind: Kind, value: Value) -> WriteId {
        let mut state = self.lock();
        let begun = state.tick();
        let key = Key { repository: Arc::clone(repository), kind };
        let register = state.registers.entry(key.clone()).or_default();
        register.touched = true;
        register.writes.push(Write { value, begun, outcome: Outcome::Unknown });
        WriteId { key, index: register.writes.len() - 1 }
    }

    /// The request was answered with success.
    pub(crate) fn acknowledge(&self, writes: &[WriteId]) {
        let mut state = self.lock();
        let at = state.tick();
        set_outcome(&mut state, writes, Outcome::Acknowledged { at });
    }

    /// The request was answered, and changed nothing.
    pub(crate) fn refuse(&self, writes: &[WriteId]) {
        set_outcome(&mut self.lock(), writes, Outcome::Refused);
    }

    /// Everything that was written to since the last call, or all there is, with what it may hold.
    pub(crate) fn to_verify(&self, everything: bool) -> Vec<(Key, BTreeSet<Value>)> {
        let mut state = self.lock();
        let mut list = Vec::new();
        for (key, register) in &mut state.registers {
            if std::mem::take(&mut register.touched) || everything {
                list.push((key.clone(), register.allowed()));
            }
        }
        list.sort();
        list
    }

    /// A register was found to hold this.
    pub(crate) fn settle(&self, key: &Key, value: Value) {
        let mut state = self.lock();
        let at = state.tick();
        if let Some(register) = state.registers.get_mut(key) {
            let outcome = Outcome::Acknowledged { at };
            register.writes = vec![Write { value, begun: at, outcome }];
        }
    }

    /// The tags of a repository that may name a manifest now.
    pub(crate) fn tags_that_may_name(&self, repository: &str, digest: Digest) -> Vec<String> {
        let state = self.lock();
        let here = state.registers.iter().filter(|(key, _)| &*key.repository == repository);
        let tags = here.filter_map(|(key, register)| match &key.kind {
            Kind::Tag(tag) if register.allowed().contains(&Some(digest)) => Some(tag.clone()),
            _ => None,
        });
        tags.collect()
    }

    /// What a repository holds; only while nothing is in flight.
    pub(crate) fn holdings(&self, repository: &str) -> Holdings {
        let state = self.lock();
        let mut holdings = Holdings::default();
        for (key, register) in &state.registers {
            if &*key.repository != repository {
                continue;
            }
            // Not what a request that went wrong may or may not have left.
            let allowed = register.allowed();
            let (Some(&value), 1) = (allowed.first(), allowed.len()) else { continue };
            match (&key.kind, value) {
                (Kind::Blob(digest), Some(_)) => holdings.blobs.push(*digest),
                (Kind::Manifest(digest), Some(_)) => holdings.manifests.push(*digest),
                (Kind::Manifest(digest), None) => holdings.absent_manifests.push(*digest),
                (Kind::Tag(tag), Some(digest)) => {
                    holdings.tags.insert(tag.clone(), digest);
                }
                (Kind::Blob(_) | Kind::Tag(_), None) => {}
            }
        }
        holdings.blobs.sort();
        holdings.manifests.sort();
        holdings
    }
}

fn set_outcome(state: &mut State, writes: &[WriteId], outcome: Outcome) {
    for id in writes {
        let register = state.registers.get_mut(&id.key);
        if let Some(write) = register.and_then(|r| r.writes.get_mut(id.index)) {
            write.outcome = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::Algorithm;

    fn digest(n: u8) -> Digest {
        Digest::of(Algorithm::Sha256, &[n])
    }

    /// Writes in order; `Some(true)` acknowledged, `Some(false)` refused, `None` cut short.
    fn allowed(writes: &[(Value, Option<bool>)]) -> BTreeSet<Value> {
        let (ledger, repository) = (Ledger::default(), "a".into());
        for (value, outcome) in writes {
            let id = [ledger.begin(&repository, Kind::Tag("t".into()), *value)];
            match outcome {
                Some(true) => ledger.acknowledge(&id),
                Some(false) => ledger.refuse(&id),
                None => {}
            }
        }
        ledger.to_verify(false).remove(0).1
    }

    #[test]
    fn one_client_after_the_other() {
        let (a, b) = (Some(digest(1)), Some(digest(2)));
        let yes = Some(true);
        assert_eq!(allowed(&[(a, yes)]), [a].into());
        assert_eq!(allowed(&[(a, None)]), [None, a].into());
        assert_eq!(allowed(&[(a, yes), (b, yes)]), [b].into());
        assert_eq!(allowed(&[(a, yes), (b, None)]), [a, b].into());
        assert_eq!(allowed(&[(a, yes), (None, yes)]), [None].into());
        assert_eq!(allowed(&[(a, yes), (None, None)]), [None, a].into());
        assert_eq!(allowed(&[(a, yes), (b, Some(false))]), [a].into());
        assert_eq!(allowed(&[(a, None), (b, yes)]), [a, b].into());
    }

    #[test]
    fn two_clients_at_once() {
        let (ledger, repository) = (Ledger::default(), "a".into());
        let tag = || Kind::Tag("t".into());
        let (a, b) = (Some(digest(1)), Some(digest(2)));
        let first = ledger.begin(&repository, tag(), a);
        let second = ledger.begin(&repository, tag(), b);
        ledger.acknowledge(&[second]);
        ledger.acknowledge(&[first]);
        let (key, values) = ledger.to_verify(false).remove(0);
        assert_eq!(values, [a, b].into());
        ledger.settle(&key, a);
        assert_eq!(ledger.to_verify(true).remove(0).1, [a].into());
        assert!(ledger.to_verify(false).is_empty());
        assert_eq!(ledger.holdings("a").tags["t"], digest(1));
    }
}
