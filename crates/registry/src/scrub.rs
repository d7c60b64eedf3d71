//! Reading a storage through, slowly, while it serves: the scrub.
//!
//! A pass makes a quick [`Check`](crate::Check) of links and manifests, and then reads every blob at a bounded rate
//! and compares it with its digest. Nothing is mended: what is found is shown, and for a person to
//! decide.
//!
//! How far it is stands in one note on the storage, so that a pass goes on after a restart. Of several
//! servers the one does it whose name is in the note; when the note gets old, another one takes it.
//! Two that take it at the same moment would only read the same twice.

mod note;
mod pass;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use oci::Digest;
use storage::{Driver, StorageError};

use crate::UploadId;
use crate::collection::Selection;
use crate::limits::{SCRUB_CLAIM_WAIT, SCRUB_LEASE, SCRUB_LOOK_INTERVAL, SCRUB_RECHECK_INTERVAL};
use crate::pace::Pace;

use note::Note;

/// How a storage is scrubbed.
#[derive(Clone)]
pub struct ScrubOptions {
    /// Time from the beginning of one pass to the next one's.
    pub interval: Duration,
    /// How much content is read in a second at most, in bytes.
    pub rate: Option<NonZeroU64>,
    /// Whether how far it is may be written to the storage. Otherwise every start begins anew, and
    /// every server does all of it.
    pub keeps_note: bool,
    /// The repositories that are fetched from other registries, which have what nobody asked for.
    pub cached: Option<Selection>,
}

impl fmt::Debug for ScrubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubOptions")
            .field("interval", &self.interval)
            .field("rate", &self.rate)
            .field("keeps_note", &self.keeps_note)
            .finish_non_exhaustive()
    }
}

/// What a scrub has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// Blobs that this process has read.
    pub blobs: u64,
    /// Content that this process has read, in bytes.
    pub bytes: u64,
    /// Blobs that this process could not read.
    pub failures: u64,
    /// Blobs that are damaged, whoever has found it.
    pub corrupt_blobs: u64,
    /// Errors of links and manifests in the last look at them, whoever made it.
    pub structure_errors: u64,
    /// When the last pass ended, whoever made it.
    pub last_pass: Option<SystemTime>,
    /// Whether this process is in the middle of a pass.
    pub is_running: bool,
}

/// A storage that is being scrubbed.
pub struct Scrub {
    driver: Arc<dyn Driver>,
    options: ScrubOptions,
    /// What this process is called in the note.
    id: String,
    pace: Pace,
    note: Mutex<Note>,
    blobs: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
    is_running: AtomicBool,
}

impl Scrub {
    /// A scrub that has not begun yet.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, options: ScrubOptions) -> Arc<Self> {
        Arc::new(Self {
            pace: Pace::new(options.rate),
            driver,
            options,
            id: UploadId::random().to_string(),
            note: Mutex::default(),
            blobs: AtomicU64::default(),
            bytes: AtomicU64::default(),
            failures: AtomicU64::default(),
            is_running: AtomicBool::default(),
        })
    }

    /// What was found by now.
    #[must_use]
    pub fn status(&self) -> ScrubStatus {
        let note = self.note();
        ScrubStatus {
            blobs: self.blobs.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            failures: self.failures.load(Relaxed),
            corrupt_blobs: note.corrupt.len() as u64,
            structure_errors: note.structure_errors,
            last_pass: note.last_pass,
            is_running: self.is_running.load(Relaxed),
        }
    }

    /// The blobs that are damaged, the first
    /// [`SCRUB_CORRUPT_BLOBS_MAX`](crate::limits::SCRUB_CORRUPT_BLOBS_MAX) of them.
    #[must_use]
    pub fn corrupt_blobs(&self) -> BTreeSet<Digest> {
        self.note().corrupt.clone()
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scrubs for ever; dropping the future ends it, and the next start goes on. `changed` is told
    /// whenever something may have.
    pub async fn run(&self, changed: impl Fn(&ScrubStatus) + Send + Sync) {
        let mut has_failed = false;
        loop {
            let pause = match self.turn(&changed).await {
                Ok(pause) => {
                    has_failed = false;
                    pause
                }
                Err(error) => {
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::warn!(%error, "the storage could not be scrubbed; trying again");
                    }
                    self.is_running.store(false, Relaxed);
                    SCRUB_LOOK_INTERVAL
                }
            };
            changed(&self.status());
            tokio::time::sleep(pause).await;
        }
    }

    /// Does what is to be done now; returns how long to wait for the next time.
    ///
    /// # Errors
    /// When the note can't be read or written.
    pub async fn turn(
        &self,
        changed: &(impl Fn(&ScrubStatus) + Send + Sync),
    ) -> Result<Duration, StorageError> {
        if self.options.keeps_note {
            let read = note::read(&*self.driver).await?;
            *self.note() = read.unwrap_or_default();
        }
        let now = SystemTime::now();
        let (is_taken, begun, is_due, rechecked) = {
            let note = self.note();
            let is_fresh = note.noted.is_some_and(|noted| is_within(noted, now, SCRUB_LEASE));
            let is_taken = is_fresh && note.holder.as_ref().is_some_and(|h| *h != self.id);
            let is_due = note.begun.is_none_or(|b| !is_within(b, now, self.options.interval));
            (is_taken, note.is_in_pass, is_due, note.rechecked)
        };
        let needs_recheck = !self.note().corrupt.is_empty()
            && rechecked.is_none_or(|then| !is_within(then, now, SCRUB_RECHECK_INTERVAL));
        let is_pass = begun || is_due;
        if is_taken || !(is_pass || needs_recheck) || !self.claim().await? {
            return Ok(SCRUB_LOOK_INTERVAL.min(self.options.interval));
        }
        let outcome = tokio::select! {
            outcome = self.work(is_pass, changed) => Some(outcome),
            lost = self.keep_claim() => lost.map(|()| None)?,
        };
        self.is_running.store(false, Relaxed);
        let Some(outcome) = outcome else {
            tracing::info!("another server goes on scrubbing the storage");
            return Ok(SCRUB_LOOK_INTERVAL);
        };
        // Whoever is next need not wait until the note is old.
        self.note().holder = None;
        self.write_note().await?;
        outcome.map(|()| SCRUB_LOOK_INTERVAL.min(self.options.interval))
    }

    async fn work(
        &self,
        is_pass: bool,
        changed: &(impl Fn(&ScrubStatus) + Send + Sync),
    ) -> Result<(), StorageError> {
        if is_pass { self.pass(changed).await } else { self.recheck(changed).await }
    }

    /// Writes this process's name into the note; whether it is still there after a moment.
    async fn claim(&self) -> Result<bool, StorageError> {
        self.note().holder = Some(self.id.clone());
        self.write_note().await?;
        if !self.options.keeps_note {
            return Ok(true);
        }
        tokio::time::sleep(SCRUB_CLAIM_WAIT).await;
        self.is_ours().await
    }

    async fn is_ours(&self) -> Result<bool, StorageError> {
        let read = note::read(&*self.driver).await?;
        Ok(read.is_some_and(|note| note.holder.as_ref() == Some(&self.id)))
    }

    /// Says again and again that this process is at it; ends when another one says so.
    async fn keep_claim(&self) -> Result<(), StorageError> {
        loop {
            tokio::time::sleep(SCRUB_LOOK_INTERVAL).await;
            if self.options.keeps_note && !self.is_ours().await? {
                return Ok(());
            }
            self.write_note().await?;
        }
    }

    async fn write_note(&self) -> Result<(), StorageError> {
        if !self.options.keeps_note {
            return Ok(());
        }
        let content = {
            let mut note = self.note();
            note.noted = Some(SystemTime::now());
            note.encode()
        };
        note::write(&*self.driver, content).await
    }
}

/// Whether something was so lately, or in the future, which is a clock that was set back.
fn is_within(then: SystemTime, now: SystemTime, age: Duration) -> bool {
    now.duration_since(then).is_ok_and(|passed| passed < age)
        || then.duration_since(now).is_ok_and(|ahead| ahead < age)
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrub").field("options", &self.options).finish_non_exhaustive()
    }
}
