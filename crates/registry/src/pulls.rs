//! When manifests were last pulled, for rules that ask for it.
//!
//! A pull is noted in memory, which takes a look at a table when it was noted a moment ago. Every
//! minute and at the end what is new is written down beside the registry, by each server into a file
//! of its own for each repository and day, so that none ever writes what another one reads or clears
//! away. A server that is killed loses what it noted in the last minute.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::{Reference, RepositoryName};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::Registry;
use crate::limits::{PULL_RESOLUTION, PULLS_NOTED_MAX};

mod file;
mod flush;
mod times;

pub(crate) use times::PullTimes;

const SHARDS: usize = 16;

/// How many entries one part of the table has at most.
const SHARD_ENTRIES_MAX: usize = PULLS_NOTED_MAX / SHARDS;

/// [`PULL_RESOLUTION`] in minutes.
const RESOLUTION_MINUTES: u32 = (PULL_RESOLUTION.as_secs() / 60) as u32;

/// A time in minutes since 1970.
fn minute_of(time: SystemTime) -> u32 {
    let minutes = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
    u32::try_from(minutes).unwrap_or(u32::MAX)
}

/// The latest time that a minute stands for.
fn end_of(minute: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(60 * (u64::from(minute) + 1)) + PULL_RESOLUTION
}

/// The minute up to which nobody asks for what was pulled, who asks for as much as this.
pub(crate) fn oldest(now: SystemTime, asked_for: Duration) -> u32 {
    // A day more is of no weight.
    let time = now.checked_sub(asked_for + Duration::from_secs(24 * 3600));
    time.map_or(0, minute_of)
}

/// The day of a minute.
const fn day_of(minute: u32) -> u32 {
    minute / (24 * 60)
}

/// What this process knows of pulls.
pub(crate) struct Pulls {
    /// What tells its files from those of others.
    server: Uuid,
    hasher: RandomState,
    shards: [RwLock<Shard>; SHARDS],
    /// Told when there is so much that it should be written down before its time.
    crowded: Notify,
    /// How many there was no room for since that was last told.
    lost: AtomicU64,
    /// Held while files are read and written.
    flushing: tokio::sync::Mutex<()>,
}

type Shard = HashMap<u64, Noted, BuildHasherDefault<Plain>>;

/// Takes the hash that it is given.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Something that was pulled.
struct Noted {
    name: RepositoryName,
    reference: Reference,
    minute: AtomicU32,
    /// The minute that was written down; 0 for none.
    written: AtomicU32,
}

impl Noted {
    fn is_written(&self) -> bool {
        self.written.load(Ordering::Relaxed) >= self.minute.load(Ordering::Relaxed)
    }
}

impl Default for Pulls {
    fn default() -> Self {
        Self {
            server: Uuid::new_v4(),
            hasher: RandomState::new(),
            shards: Default::default(),
            crowded: Notify::new(),
            lost: AtomicU64::new(0),
            flushing: tokio::sync::Mutex::default(),
        }
    }
}

impl Pulls {
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The table itself goes by the low bits.
        &self.shards[(hash >> 60) as usize % SHARDS]
    }

    /// Notes a pull. Nothing is allocated, and nothing written, when it was noted lately.
    fn note(&self, name: &RepositoryName, reference: &Reference, minute: u32) {
        let hash = self.hasher.hash_one((name, reference));
        {
            let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
            if let Some(noted) = shard.get(&hash) {
                // What shares its hash with something else is noted as that, which is out of the
                // question.
                if noted.minute.load(Ordering::Relaxed) + RESOLUTION_MINUTES <= minute {
                    noted.minute.store(minute, Ordering::Relaxed);
                }
                return;
            }
        }
        self.add(hash, name, reference, minute);
    }

    #[cold]
    fn add(&self, hash: u64, name: &RepositoryName, reference: &Reference, minute: u32) {
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_ENTRIES_MAX {
            shard.retain(|_, noted| !noted.is_written());
        }
        if shard.len() >= SHARD_ENTRIES_MAX / 2 {
            self.crowded.notify_one();
        }
        if shard.len() >= SHARD_ENTRIES_MAX {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (name, reference) = (name.clone(), reference.clone());
        let (minute, written) = (AtomicU32::new(minute), AtomicU32::new(0));
        shard.entry(hash).or_insert(Noted { name, reference, minute, written });
    }
}

impl Registry {
    /// Notes that a client pulled a manifest, if anybody wants to know.
    #[inline]
    pub fn note_pull(&self, name: &RepositoryName, reference: &Reference) {
        if let Some(pulls) = &self.pulls {
            pulls.note(name, reference, minute_of(self.claims.clock().now()));
        }
    }

    /// Whether pulls are noted.
    #[must_use]
    pub const fn notes_pulls(&self) -> bool {
        self.pulls.is_some()
    }

    /// Waits until so much was pulled that it should be written down before its time.
    pub async fn pulls_crowded(&self) {
        match &self.pulls {
            Some(pulls) => pulls.crowded.notified().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
