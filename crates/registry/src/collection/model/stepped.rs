//! A storage on which every operation waits for its turn.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use storage::memory::Memory;
use storage::{
    Appender, Driver, EntryKind, Listing, ListingVersion, Object, Result, Stat, StorageError,
    StoragePath,
};

use crate::claims::Clock;

/// What all actors share.
#[derive(Debug)]
pub(super) struct Stage {
    memory: Memory,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether operations wait for their turn.
    is_stepped: bool,
    /// Whose turn it is.
    turn: Option<usize>,
    /// Which actors wait, with whoever has to be told of their turn.
    waiting: Vec<Vec<Waker>>,
    /// What each actor has come to know, and when.
    histories: Vec<u64>,
    times: HashMap<StoragePath, SystemTime>,
    ticks: u64,
    /// When each actor did what it measures time from, by the operation.
    marks: Vec<HashMap<&'static str, u64>>,
    /// The last operation of each actor.
    last: Vec<&'static str>,
    /// What the storage hashes to, until it changes.
    known: Option<u64>,
}

/// Longer than anybody measures, in ticks.
const AGES: u64 = 21;

impl Stage {
    pub(super) fn new(actors: usize, clock: Clock) -> Arc<Self> {
        let state = State {
            waiting: vec![Vec::new(); actors],
            histories: vec![0; actors],
            marks: vec![HashMap::new(); actors],
            last: vec![""; actors],
            ..State::default()
        };
        Arc::new(Self { memory: Memory::new(), clock, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has operations wait for their turn from now on, or not any more.
    pub(super) fn set_stepped(&self, is_stepped: bool) {
        let mut state = self.state();
        state.is_stepped = is_stepped;
        state.histories.fill(0);
        state.marks.fill(HashMap::new());
    }

    pub(super) fn give_turn(&self, actor: usize) {
        let mut state = self.state();
        state.turn = Some(actor);
        let waiting = std::mem::take(&mut state.waiting[actor]);
        drop(state);
        waiting.iter().for_each(Waker::wake_by_ref);
    }

    pub(super) fn is_waiting(&self, actor: usize) -> bool {
        !self.state().waiting[actor].is_empty()
    }

    /// An actor was killed.
    pub(super) fn forget(&self, actor: usize) {
        self.state().waiting[actor].clear();
    }

    pub(super) fn pass(&self, ticks: u64) {
        self.state().ticks += ticks;
    }

    /// A number for the state of everything: what lies there, what everybody knows, and how much
    /// of the time that they measure is over.
    pub(super) async fn fingerprint(&self, left: (u32, u32)) -> u64 {
        let known = self.state().known;
        let storage = match known {
            Some(known) => known,
            None => self.hash_storage().await,
        };
        let mut state = self.state();
        state.known = Some(storage);
        let mut hasher = DefaultHasher::new();
        (storage, &state.histories, left).hash(&mut hasher);
        for marks in &state.marks {
            let mut ages: Vec<_> =
                marks.iter().map(|(what, at)| (*what, (state.ticks - at).min(AGES))).collect();
            ages.sort_unstable();
            ages.hash(&mut hasher);
        }
        hasher.finish()
    }

    async fn hash_storage(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut todo = vec![StoragePath::root()];
        while let Some(path) = todo.pop() {
            for entry in self.memory.list(&path).await.unwrap().entries {
                let path = path.join(&entry.name).unwrap();
                known_path(&path).hash(&mut hasher);
                if entry.kind == EntryKind::Directory {
                    todo.push(path);
                    continue;
                }
                let content = self.memory.get(&path, u64::MAX).await.unwrap();
                (known_content(&path, &content), self.is_old(&path)).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Of times, only that matters.
    fn is_old(&self, path: &StoragePath) -> bool {
        let age = self.clock.now().duration_since(self.time(path));
        age.is_ok_and(|age| age > super::explorer::GRACE)
    }

    fn time(&self, path: &StoragePath) -> SystemTime {
        self.state().times.get(path).copied().unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Whether an actor can see there what another one does: not in an upload, which is nobody else's,
/// and not where nobody writes, or deletes anything before the push is over.
fn is_shared(path: &str) -> bool {
    let constant = [
        "/_uploads",
        "/sha384",
        "/sha512",
        "/collection/lease",
        "/wharf/v1/eviction",
        "/wharf/v1/pulls",
        "/scheduler-state.json",
    ];
    let directories = ["/docker/registry/v2/repositories", "/docker/registry/v2/blobs"];
    !constant.iter().any(|part| path.contains(part)) && !directories.contains(&path)
}

/// A path without what is drawn by lot in it, and without times.
fn known_path(path: &StoragePath) -> &str {
    let text = path.as_str();
    match text.strip_prefix("/wharf/v1/collection/") {
        Some(rest) if rest.starts_with("lists/") => "/wharf/v1/collection/lists/",
        Some(rest) if rest.starts_with("pins/") => text.rsplit_once('.').unwrap().0,
        Some(_) => text,
        None => text.split_inclusive("/_uploads/").next().unwrap(),
    }
}

/// A content without what is drawn by lot in it.
fn known_content<'a>(path: &StoragePath, content: &'a [u8]) -> &'a [u8] {
    match known_path(path) {
        "/wharf/v1/collection/announced" => b"",
        "/wharf/v1/collection/lists/" | "/wharf/v1/collection/batch" => content.get(31..).unwrap(),
        // When an upload was started, by the clock on the wall; nobody else looks at it.
        upload if upload.ends_with("/_uploads/") => b"",
        _ => content,
    }
}

/// The storage as one actor has it.
#[derive(Debug, Clone)]
pub(super) struct Stepped {
    pub(super) stage: Arc<Stage>,
    pub(super) actor: usize,
}

impl Stepped {
    /// Waits for its turn, where anything depends on it.
    async fn turn(&self, path: &StoragePath) {
        let is_shared = is_shared(path.as_str());
        poll_fn(|context| {
            let mut state = self.stage.state();
            if !state.is_stepped || !is_shared {
                return Poll::Ready(());
            }
            if state.turn == Some(self.actor) {
                state.turn = None;
                return Poll::Ready(());
            }
            state.waiting[self.actor].push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Notes what an operation has told its actor.
    fn learn<T>(
        &self,
        what: &'static str,
        path: &StoragePath,
        outcome: &Result<T>,
        told: impl std::hash::Hash,
    ) {
        let mut state = self.stage.state();
        let mut hasher = DefaultHasher::new();
        let outcome = match outcome {
            Ok(_) => 0_u8,
            Err(error) if error.is_not_found() => 1,
            Err(_) => 2,
        };
        let path = known_path(path);
        (state.histories[self.actor], what, path, outcome, told).hash(&mut hasher);
        state.histories[self.actor] = hasher.finish();
        let measured = match (what, path) {
            ("get", "/wharf/v1/collection/announced") => "view",
            ("get", "/wharf/v1/collection/batch") => "waiting for a batch",
            ("put", "/wharf/v1/collection/announced") => "announced",
            ("put", "/wharf/v1/collection/batch") => "batch",
            _ => "",
        };
        let goes_on = measured == state.last[self.actor] && measured == "waiting for a batch";
        state.last[self.actor] = measured;
        if !measured.is_empty() && !goes_on {
            let ticks = state.ticks;
            state.marks[self.actor].insert(measured, ticks);
        }
    }

    /// Notes that an operation may have changed the storage.
    fn changed(&self) {
        self.stage.state().known = None;
    }

    fn touch(&self, path: &StoragePath) {
        let now = self.stage.clock.now();
        self.stage.state().times.insert(path.clone(), now);
    }
}

#[async_trait]
impl Driver for Stepped {
    fn name(&self) -> &'static str {
        "stepped"
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        self.turn(path).await;
        let found = self.stage.memory.get(path, limit_bytes).await;
        let told = found.as_ref().map(|content| known_content(path, content)).ok();
        self.learn("get", path, &found, told);
        found
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.turn(path).await;
        self.changed();
        let done = self.stage.memory.put(path, content).await;
        self.touch(path);
        self.learn("put", path, &done, ());
        done
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        self.turn(path).await;
        let mut found = self.stage.memory.stat(path).await;
        let time = self.stage.time(path);
        if let Ok(stat) = &mut found {
            stat.modified = time;
        }
        let told = found.as_ref().map(|stat| (stat.size_bytes, self.stage.is_old(path))).ok();
        self.learn("stat", path, &found, told);
        found
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        self.turn(path).await;
        let found = self.stage.memory.open(path).await;
        self.learn("open", path, &found, ());
        found
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        self.turn(path).await;
        self.changed();
        let found = self.stage.memory.append(path).await;
        self.learn("append", path, &found, ());
        found
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        self.turn(to).await;
        self.changed();
        let done = self.stage.memory.publish(from, to).await;
        self.touch(to);
        self.learn("publish", to, &done, ());
        done
    }

    async fn settle(&self, path: &StoragePath) -> Result<()> {
        // It changes nothing, and what it finds is not looked at.
        self.stage.memory.settle(path).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.turn(path).await;
        self.changed();
        let done = self.stage.memory.delete(path).await;
        self.learn("delete", path, &done, ());
        done
    }

    async fn delete_empty(&self, path: &StoragePath) -> Result<()> {
        self.turn(path).await;
        self.changed();
        let done = self.stage.memory.delete_empty(path).await;
        self.learn("delete empty", path, &done, ());
        done
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        self.turn(path).await;
        let mut found = self.stage.memory.list(path).await;
        if let Ok(listing) = &mut found {
            // What is remembered of listings is no concern of this.
            listing.version = None;
        }
        let told = found.as_ref().ok().map(|listing| {
            let known = listing.entries.iter().map(|entry| path.join(&entry.name).unwrap());
            known.map(|path| known_path(&path).to_owned()).collect::<Vec<_>>()
        });
        self.learn("list", path, &found, told);
        found
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        match self.stage.memory.stat(path).await?.kind {
            EntryKind::Directory => Ok(None),
            EntryKind::File => Err(StorageError::NotFound { path: path.clone() }),
        }
    }
}
