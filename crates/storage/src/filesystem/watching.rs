//! Being told of changes, by inotify.
//!
//! The kernel queues an event before the call that makes the change returns, whichever process
//! makes it. So whoever empties the queue first knows of everything that was finished before, and
//! there is no task that reads it: every question does, without waiting.
//!
//! Watched is every directory on the way from the root to a source, since inotify watches
//! directories and not paths (`registration`, `table`). What can't be seen in this way is not
//! watched: what lies behind symbolic links or on another filesystem than the root, and roots on
//! filesystems that change without the kernel's doing ([`WATCHED_FILESYSTEMS`]). Two things happen
//! without events: a mount over a directory, which the list of mounts tells of, and another
//! directory in the place of the root, for which the root is looked at with each question. Not
//! noticed is what is written to a file through a memory map, or by another name that it was given
//! after the watch began; nothing that writes a registry does either.

use std::fmt;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use rustix::io::Errno;

use super::Filesystem;
use super::volume::Volume;
use crate::StoragePath;
use crate::limits::{EVENT_BUFFER_BYTES, FOLLOWING_WATCHES_MAX};
use crate::watch::{EntryChange, Follow, NotWatched, Source, Watch, Watcher};

mod registration;
mod table;

use registration::Registration;
use table::{Subscription, Table};

/// Filesystems whose every change is made by this kernel and told of, by the magic number in
/// `statfs(2)`. Not overlayfs, where a change below it is not told of; not ZFS, whose rollback
/// tells nobody.
const WATCHED_FILESYSTEMS: [u32; 6] = [
    0x0000_EF53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x0102_1994, // tmpfs
    0xF2F5_2010, // F2FS
    0x3153_464A, // JFS
];

/// What is watched below one root.
pub(super) struct Watching {
    root: PathBuf,
    device: u64,
    inotify: OwnedFd,
    /// `/proc/self/mountinfo`, which polls as urgent once after each change to the mounts.
    mounts: File,
    table: Mutex<Table>,
    watches_max: usize,
    /// How many watches there were in answers that were dropped since the last sweep.
    dropped: AtomicUsize,
    said_that_it_is_full: AtomicBool,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Watching {
    /// Gets ready to watch. Where that can't be done, the log says why, and `None` is returned.
    pub(super) fn begin(root: &Path, device: u64, watches_max: usize) -> Option<Arc<Self>> {
        let begun = Self::try_begin(root, device, watches_max);
        if let Err(reason) = &begun {
            tracing::info!(
                root = %root.display(), reason,
                "changes to the storage can't be watched: listings are checked at each request"
            );
        }
        begun.ok().map(Arc::new)
    }

    fn try_begin(root: &Path, device: u64, watches_max: usize) -> Result<Self, String> {
        let kind = rustix::fs::statfs(root).map_err(|e| e.to_string())?.f_type;
        if !WATCHED_FILESYSTEMS.iter().any(|&watched| i128::from(watched) == i128::from(kind)) {
            return Err(format!("its filesystem (type {kind:#x}) does not tell of every change"));
        }
        let metadata = fs::metadata(root).map_err(|e| e.to_string())?;
        if metadata.dev() != device {
            return Err("it is not on the filesystem it was on at the start".into());
        }
        let mounts = File::open("/proc/self/mountinfo")
            .map_err(|e| format!("/proc/self/mountinfo can't be read: {e}"))?;
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(|e| format!("inotify can't be used (fs.inotify.max_user_instances?): {e}"))?;
        Ok(Self {
            root: root.to_owned(),
            device,
            inotify,
            mounts,
            table: Mutex::default(),
            watches_max,
            dropped: AtomicUsize::new(0),
            said_that_it_is_full: AtomicBool::new(false),
        })
    }

    fn locate(&self, path: &str) -> PathBuf {
        let mut located = self.root.clone().into_os_string();
        located.push(path);
        located.into()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in everything that has happened until now.
    fn catch_up(&self) {
        // Held until the end: whoever comes second must find everything taken in.
        let mut table = self.table();
        if table.is_empty() {
            // What is in the queue was about what is not watched any more.
            return self.read_events(&mut table);
        }
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled =
            [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&self.mounts, PollFlags::PRI)];
        let answered = rustix::event::poll(&mut polled, Some(&now));
        let [has_events, has_mounts] = polled.map(|polled| !polled.revents().is_empty());
        if answered.is_err() || has_mounts || !self.is_root_in_place(&table) {
            table.kill_all();
        }
        if answered.is_err() || has_events {
            self.read_events(&mut table);
        }
    }

    fn is_root_in_place(&self, table: &Table) -> bool {
        fs::metadata(&self.root)
            .is_ok_and(|found| found.dev() == self.device && table.has_root(found.ino()))
    }

    fn read_events(&self, table: &mut Table) {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BUFFER_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    table.take_in(event.wd(), event.events(), name);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return table.kill_all(),
            }
        }
    }

    fn say_once_that_it_is_full(&self) {
        if !self.said_that_it_is_full.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "no more changes can be watched: raise fs.inotify.max_user_watches for faster \
                 listings"
            );
        }
    }

    /// Whether answers were dropped since this was last asked.
    fn were_dropped(&self) -> bool {
        self.dropped.swap(0, Ordering::Relaxed) > 0
    }
}

/// A subscription and its place.
#[derive(Debug)]
struct Subscribed {
    watching: Arc<Watching>,
    subscription: Arc<Subscription>,
    watches: usize,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.watching.dropped.fetch_add(self.watches.max(1), Ordering::Relaxed);
    }
}

impl Watch for Subscribed {
    fn is_current(&self) -> bool {
        if self.subscription.is_over() {
            return false;
        }
        self.watching.catch_up();
        !self.subscription.is_over()
    }

    fn watches(&self) -> usize {
        self.watches
    }
}

impl Follow for Subscribed {
    fn changes(&self) -> Option<Vec<EntryChange>> {
        self.is_current().then(|| self.subscription.take_changes())
    }
}

#[async_trait]
impl Watcher for Filesystem {
    async fn watch(
        &self,
        sources: &[Source],
        watches_max: usize,
    ) -> Result<Box<dyn Watch>, NotWatched> {
        let registration = Registration::new(Subscription::default(), sources, watches_max);
        let (watching, registration) = register(&self.volume, registration).await?;
        Ok(Box::new(subscribed(watching, &registration)))
    }

    async fn follow(&self, directory: &StoragePath) -> Result<Box<dyn Follow>, NotWatched> {
        let sources = [Source::Listing(directory.clone())];
        let subscription = Subscription::to_changes();
        let registration = Registration::new(subscription, &sources, FOLLOWING_WATCHES_MAX);
        let (watching, registration) = register(&self.volume, registration).await?;
        if registration.is_absent() {
            return Err(NotWatched::Impossible);
        }
        Ok(Box::new(subscribed(watching, &registration)))
    }
}

async fn register(
    volume: &Arc<Volume>,
    mut registration: Registration,
) -> Result<(Arc<Watching>, Registration), NotWatched> {
    let watching = volume.watching().cloned().ok_or(NotWatched::Impossible)?;
    // So that what is found to be watched already is.
    watching.catch_up();
    if registration.attach_known(&watching)? {
        return Ok((watching, registration));
    }
    let work = {
        let watching = Arc::clone(&watching);
        move |_: &Volume| Ok(registration.complete(&watching).map(|()| registration))
    };
    let registered = volume.blocking("watch", &StoragePath::root(), work).await;
    let registration = registered.map_err(|_| NotWatched::Impossible)??;
    Ok((watching, registration))
}

fn subscribed(watching: Arc<Watching>, registration: &Registration) -> Subscribed {
    let subscription = Arc::clone(registration.subscription());
    Subscribed { watching, subscription, watches: registration.watches() }
}
