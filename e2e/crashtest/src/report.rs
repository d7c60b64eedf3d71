//! What went wrong, and how much was tried.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// No more violations than this are printed; a run ends soon after.
pub(crate) const VIOLATIONS_MAX: usize = 200;
/// No more than this of each of them.
const VIOLATION_CHARS_MAX: usize = 600;

macro_rules! counters {
    ($($name:ident: $text:literal,)*) => {
        /// How often what happened.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }
        impl Counters {
            /// A line for each.
            pub(crate) fn lines(&self) -> Vec<String> {
                vec![$(format!("{:>9}  {}", self.$name.load(Relaxed), $text),)*]
            }
        }
    };
}

counters! {
    kills: "kills",
    kills_at_start: "of them while the server was starting",
    acknowledged_blobs: "blob pushes acknowledged",
    acknowledged_bytes: "bytes in them",
    acknowledged_mounts: "mounts acknowledged",
    acknowledged_manifests: "manifest pushes acknowledged",
    acknowledged_deletes: "deletes acknowledged",
    cut_short: "requests in flight at a kill",
    verified_blobs: "blobs compared byte for byte after a restart",
    verified_manifests: "manifests compared byte for byte",
    verified_tags: "tags checked",
    verified_absences: "deletes and pushes that did not take place, found absent",
    resumed_uploads: "uploads resumed after a restart and completed",
    gone_uploads: "uploads cut short in their last request, gone after the restart",
    hung_up: "uploads that a client left in mid-body and resumed",
    raced_patches: "pairs of PATCHes sent at once to one upload",
    walked_files: "files of volumes checked",
    walked_bytes: "bytes of blobs on volumes hashed",
    temporary_files: "temporary files left behind by kills",
    upload_directories: "upload directories left behind by kills",
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) counters: Counters,
    violations: Mutex<Vec<String>>,
    slowest_start: Mutex<Duration>,
}

impl Report {
    /// Something that must not be.
    pub(crate) fn violation(&self, text: String) {
        let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        if violations.len() < VIOLATIONS_MAX {
            println!(
                "crash: WRONG: {}",
                text.chars().take(VIOLATION_CHARS_MAX).collect::<String>()
            );
        }
        violations.push(text);
    }

    pub(crate) fn violations(&self) -> usize {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn started_in(&self, time: Duration) {
        let mut slowest = self.slowest_start.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = (*slowest).max(time);
    }

    /// The table at the end.
    pub(crate) fn print(&self) {
        for line in self.counters.lines() {
            println!("{line}");
        }
        let slowest = self.slowest_start.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{:>9}  ms for the slowest start after a kill", slowest.as_millis());
        println!("{:>9}  violations", self.violations());
    }

    /// What makes a run without violations worth nothing: a load that hardly took place.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let c = &self.counters;
        let kills = c.kills.load(Relaxed);
        let mut missing = Vec::new();
        for (counter, least, what) in [
            (&c.acknowledged_blobs, kills, "blob pushes"),
            (&c.acknowledged_manifests, kills, "manifest pushes"),
            (&c.acknowledged_deletes, kills / 10, "deletes"),
            (&c.acknowledged_mounts, kills / 10, "mounts"),
            (&c.cut_short, kills / 2, "requests in flight at a kill"),
            (&c.verified_blobs, kills, "blobs verified"),
            (&c.verified_manifests, kills, "manifests verified"),
        ] {
            if counter.load(Relaxed) < least {
                missing.push(what);
            }
        }
        missing
    }
}
