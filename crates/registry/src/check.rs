//! Checking a registry's storage, and mending what can be mended (`fsck`).
//!
//! The content of every blob is compared with its digest first; then, of each repository, the links,
//! what its manifests refer to, and its tags. What the blobs are like is remembered in some 24 bytes
//! for each, so that a link costs one read, and what nothing leads to shows at the end.
//!
//! The registry may serve meanwhile. A push writes data before links and tags last, so tags are read
//! before what they name: whatever a link names was there before it. What seems damaged is looked at
//! again, together with what led to it, before it is reported, and once more before it is mended.
//!
//! Nothing is ever deleted. A link is written anew where its content is known beyond doubt; whatever
//! can't be mended is moved to the quarantine, and moved back if somebody turns out to have mended it
//! just then.

mod blobs;
mod content;
mod error;
mod kind;
mod known;
mod links;
mod manifests;
mod quarantine;
mod references;
mod report;
mod repositories;
mod tags;
mod tally;

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use oci::Digest;
use storage::{Driver, Entry, EntryKind, Pages, StoragePath, found};
use tokio::sync::Semaphore;

use crate::collection::Selection;
use crate::limits::{CHECK_CONCURRENCY, CHECK_CONCURRENCY_MAX, CHECK_FAILURES_IN_A_ROW_MAX};
use crate::pace::Pace;
use crate::{RepositoryPattern, layout};

pub(crate) use content::{Content, Reading};
pub use error::CheckError;
use error::Failure;
pub use kind::{Kind, Severity};
use known::{Fingerprint, KnownBlob, KnownBlobs};
use quarantine::Repaired;
pub use report::{Checked, End, Finding, Group, Outcome, Phase, Report, Snapshot, Weighed};
use tally::Tally;

/// How a registry is checked.
#[derive(Clone)]
pub struct CheckOptions {
    /// Mend what can be mended.
    pub repair: bool,
    /// Don't read the content of blobs: only manifests are read, and blobs whose size is not what a
    /// manifest says.
    pub quick: bool,
    /// Only these repositories, and the blobs that they have.
    pub repositories: Option<RepositoryPattern>,
    /// How many things are looked at at once; between 1 and [`CHECK_CONCURRENCY_MAX`].
    pub concurrency: usize,
    /// How much content is read in a second at most, in bytes.
    pub rate: Option<NonZeroU64>,
    /// The repositories that are fetched from other registries, which have what nobody asked for.
    pub cached: Option<Selection>,
}

impl fmt::Debug for CheckOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckOptions")
            .field("repair", &self.repair)
            .field("quick", &self.quick)
            .field("repositories", &self.repositories)
            .field("concurrency", &self.concurrency)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            repair: false,
            quick: false,
            repositories: None,
            concurrency: CHECK_CONCURRENCY,
            rate: None,
            cached: None,
        }
    }
}

/// A registry that is being checked.
pub struct Check {
    driver: Arc<dyn Driver>,
    options: CheckOptions,
    tally: Tally,
    pace: Pace,
    /// What is known of the blobs by now.
    gathered: Mutex<Vec<KnownBlob>>,
    /// The same, once all of them were looked at.
    known: OnceLock<KnownBlobs>,
    /// The blobs to be looked at, where these are not all of them.
    wanted: OnceLock<Vec<Fingerprint>>,
    /// A permit for each thing that may be worked on at once.
    turns: Semaphore,
    is_stopped: AtomicBool,
    has_given_up: AtomicBool,
}

impl Check {
    /// A check that has not begun yet.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, mut options: CheckOptions) -> Arc<Self> {
        options.concurrency = options.concurrency.clamp(1, CHECK_CONCURRENCY_MAX);
        Arc::new(Self {
            driver,
            tally: Tally::default(),
            pace: Pace::new(options.rate),
            gathered: Mutex::default(),
            known: OnceLock::new(),
            wanted: OnceLock::new(),
            turns: Semaphore::new(options.concurrency),
            is_stopped: AtomicBool::new(false),
            has_given_up: AtomicBool::new(false),
            options,
        })
    }

    /// Has it end soon, in order.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// How far it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.tally.snapshot()
    }

    /// Checks everything. What can't be looked at is in the report, and the rest goes on. To be
    /// called once.
    ///
    /// # Errors
    /// [`CheckError`] when it can't even begin.
    pub async fn run(self: &Arc<Self>) -> Result<Report, CheckError> {
        self.look_around().await?;
        if self.options.repositories.is_some() {
            self.gather_wanted().await;
        }
        self.check_blobs().await;
        self.check_aliases().await;
        self.check_repositories().await;
        let is_complete = self.options.repositories.is_none() && !self.is_ending();
        let [orphans, unused] = if is_complete { self.weigh_unreferenced() } else { [None; 2] };
        if is_complete && orphans.is_some_and(|orphans| orphans.blobs > 0) {
            self.name_orphans().await;
        }
        let end = if self.is_stopped.load(Ordering::Relaxed) {
            End::Stopped
        } else if self.has_given_up.load(Ordering::Relaxed) {
            End::GaveUp
        } else {
            End::Finished
        };
        let Self { options, .. } = &**self;
        Ok(self.tally.report(end, options.repair, options.quick, orphans, unused))
    }

    /// Looks whether there is a registry, and whether its content is there at all: a disk that is not
    /// mounted is nothing to repair.
    async fn look_around(&self) -> Result<(), CheckError> {
        let path = layout::registry();
        if found(self.driver.stat(&path).await).map_err(CheckError::Storage)?.is_none() {
            return Err(CheckError::NothingThere { path });
        }
        let has_any = async |path: StoragePath| {
            let page = found(self.driver.list_page(&path, None, 1).await);
            page.map(|page| page.is_some_and(|entries| !entries.is_empty()))
        };
        if self.options.repair
            && has_any(layout::repositories()).await.map_err(CheckError::Storage)?
            && !has_any(layout::blobs()).await.map_err(CheckError::Storage)?
        {
            return Err(CheckError::NoBlobs { path: layout::blobs() });
        }
        Ok(())
    }

    /// Whether nothing new shall be begun.
    fn is_ending(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed) || self.has_given_up.load(Ordering::Relaxed)
    }

    /// Reports what could not be looked at, and gives up when there was too much of it.
    fn failed(&self, path: &StoragePath, failure: &Failure) {
        let Failure::Storage(error) = failure else { return };
        let in_a_row = self.tally.storage_failed();
        self.tally.found(Finding::new(Kind::Unreadable, path, error.to_string()));
        if in_a_row >= CHECK_FAILURES_IN_A_ROW_MAX {
            self.has_given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Reports something and what came of its repair, unless it was mended by somebody else.
    fn report(&self, finding: Finding, repaired: Result<Repaired, Failure>) {
        let (outcome, result) = match repaired {
            Ok(Repaired::Elsewhere) | Err(Failure::Stopped) => return,
            Ok(Repaired::NotTried) => (Outcome::Reported, None),
            Ok(Repaired::Mended(how)) => (Outcome::Mended, Some(how)),
            Ok(Repaired::SetAside(path)) => (Outcome::SetAside, Some(format!("moved to {path}"))),
            Ok(Repaired::Remains(why)) => (Outcome::Remains, Some(why)),
            Err(Failure::Storage(error)) => (Outcome::Remains, Some(error.to_string())),
        };
        self.tally.found(Finding { outcome, result, ..finding });
    }

    /// Reports what can't be mended here, or need not.
    fn report_only(&self, finding: Finding) {
        self.report(finding, Ok(Repaired::NotTried));
    }

    /// The names of the directories within a directory. What can't be listed is reported, and has
    /// none.
    async fn directories(&self, path: &StoragePath) -> Vec<Box<str>> {
        let (mut names, mut pages) = (Vec::new(), Pages::of(path.clone()));
        while let Some(entries) = self.next_page(&mut pages).await {
            let is_directory = |entry: &Entry| entry.kind == EntryKind::Directory;
            names.extend(entries.into_iter().filter(is_directory).map(|entry| entry.name));
        }
        names
    }

    /// The next entries of a directory, none of which were temporary files. What can't be listed is
    /// reported, and at its end.
    async fn next_page(&self, pages: &mut Pages) -> Option<Vec<Entry>> {
        if self.is_ending() {
            return None;
        }
        match pages.next(&*self.driver).await {
            Ok(entries) => entries,
            Err(error) => {
                self.failed(pages.path(), &error.into());
                None
            }
        }
    }
}

/// Whether a digest is that of no content at all.
fn is_of_nothing(digest: &Digest) -> bool {
    *digest == Digest::of(digest.algorithm(), b"")
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("driver", &self.driver)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
