//! Beginning a watch: everything on the way to each source, from the root down.
//!
//! At each step the subscription is told of the next name *before* that name is looked at, so that
//! whatever happens to it afterwards ends the subscription. System calls are made without the lock.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;

use super::Watching;
use super::table::{CONTENT, Interest, NAMES, Subscription, Table, split};
use crate::watch::{NotWatched, Source};

pub(super) struct Registration {
    subscription: Arc<Subscription>,
    sources: Vec<Source>,
    watches_max: usize,
    /// How many of the sources are done.
    done: usize,
    /// The directories on the way that are watched, and those that are absent.
    watched: HashSet<Box<str>>,
    absent: HashSet<Box<str>>,
    /// The directories of which every entry, and the paths of which this one, are subscribed to.
    listings: HashSet<Box<str>>,
    entries: HashSet<Box<str>>,
}

/// What has to be done before a source can be attached.
enum Need {
    /// Watch a directory for this.
    Add(Box<str>, WatchFlags),
    /// Look whether a path leads to a plain file, or to nothing.
    Look(Box<str>),
}

/// The key of a path in the table.
fn key(source: &Source) -> &str {
    let (Source::Listing(path) | Source::File(path)) = source;
    if path.is_root() { "" } else { path.as_str() }
}

impl Registration {
    pub(super) fn new(subscription: Subscription, sources: &[Source], watches_max: usize) -> Self {
        Self {
            subscription: Arc::new(subscription),
            sources: sources.to_vec(),
            watches_max,
            done: 0,
            watched: HashSet::new(),
            absent: HashSet::new(),
            listings: HashSet::new(),
            entries: HashSet::new(),
        }
    }

    pub(super) fn subscription(&self) -> &Arc<Subscription> {
        &self.subscription
    }

    pub(super) fn watches(&self) -> usize {
        self.watched.len()
    }

    /// Whether the directory of a listing was not there.
    pub(super) fn is_absent(&self) -> bool {
        !self.absent.is_empty()
    }

    /// Goes as far as it gets without a system call. Whether that is to the end.
    pub(super) fn attach_known(&mut self, watching: &Watching) -> Result<bool, NotWatched> {
        Ok(self.attach(watching)?.is_none())
    }

    /// Goes to the end. Blocks on the disk.
    pub(super) fn complete(&mut self, watching: &Watching) -> Result<(), NotWatched> {
        // What happens meanwhile may undo what was done, but not forever.
        for _ in 0..self.needs_max() {
            match self.attach(watching)? {
                Some(Need::Add(path, mask)) => self.add(watching, path, mask)?,
                Some(Need::Look(path)) => self.look(watching, &path)?,
                None => return Ok(()),
            }
        }
        Err(NotWatched::Impossible)
    }

    /// No registration has more needs than this: one for each directory and again for what is in
    /// it, those that are absent included, and one for each source.
    fn needs_max(&self) -> usize {
        2 * self.watches_max + 3 * self.sources.len() + 2
    }

    fn attach(&mut self, watching: &Watching) -> Result<Option<Need>, NotWatched> {
        loop {
            if self.subscription.is_over() {
                return Err(NotWatched::Impossible);
            }
            if self.watched.len() > self.watches_max {
                return Err(NotWatched::Impossible);
            }
            if self.done == self.sources.len() {
                return Ok(None);
            }
            // For one source at a time, so that others get their turn.
            if let Some(need) = self.attach_next(&mut watching.table()) {
                return Ok(Some(need));
            }
            self.done += 1;
        }
    }

    fn attach_next(&mut self, table: &mut Table) -> Option<Need> {
        let Self { subscription, watched, absent, listings, entries, .. } = self;
        let source = &self.sources[self.done];
        let path = key(source);
        let directory = if matches!(source, Source::File(_)) { split(path).0 } else { path };
        // Down from the deepest directory that is done.
        let mut at = directory;
        while !watched.contains(at) && !at.is_empty() {
            at = split(at).0;
        }
        if watched.is_empty() {
            if !table.has("", NAMES) {
                return Some(Need::Add("".into(), NAMES));
            }
            watched.insert("".into());
        }
        let mut end = at.len();
        while end < directory.len() {
            let parent = &directory[..end];
            let next = directory[end + 1..].find('/').map_or(directory.len(), |at| end + 1 + at);
            let child = &directory[..next];
            if !listings.contains(parent) && entries.insert(child.into()) {
                let entry = Interest::Entry(directory[end + 1..next].into());
                table.subscribe(parent, entry, subscription);
            }
            if absent.contains(child) {
                return None;
            }
            if !table.has(child, NAMES) {
                return Some(Need::Add(child.into(), NAMES));
            }
            watched.insert(child.into());
            end = next;
        }
        if directory.len() == path.len() {
            if listings.insert(path.into()) {
                table.subscribe(path, Interest::Listing, subscription);
            }
            return None;
        }
        let name = split(path).1;
        if entries.insert(path.into()) {
            table.subscribe(directory, Interest::Entry(name.into()), subscription);
        }
        if !table.has(directory, CONTENT) {
            return Some(Need::Add(directory.into(), CONTENT));
        }
        (!table.is_plain(directory, name)).then(|| Need::Look(path.into()))
    }

    fn add(
        &mut self,
        watching: &Watching,
        path: Box<str>,
        mask: WatchFlags,
    ) -> Result<(), NotWatched> {
        self.make_room(watching)?;
        watching.table().begin_adding();
        let added = match watching.add(&path, mask) {
            // There may be some that nobody needs any more.
            Err(Errno::NOSPC) => {
                watching.make_room();
                watching.add(&path, mask)
            }
            added => added,
        };
        let mut table = watching.table();
        match added {
            Ok(watch) => {
                table.claim(&path, watch, mask, &self.subscription);
                return Ok(());
            }
            Err(_) => table.give_up(),
        }
        drop(table);
        match added {
            // A file in the place of a directory is as good as nothing. But one that was seen to be
            // watched has gone in the meantime.
            Err(Errno::NOENT | Errno::NOTDIR)
                if !path.is_empty() && !self.watched.contains(&path) =>
            {
                self.absent.insert(path);
                Ok(())
            }
            Err(Errno::NOSPC) => {
                watching.say_once_that_it_is_full();
                Err(NotWatched::Full)
            }
            _ => Err(NotWatched::Impossible),
        }
    }

    fn make_room(&self, watching: &Watching) -> Result<(), NotWatched> {
        let is_full = || watching.table().watches() >= watching.watches_max;
        if is_full() {
            watching.make_room();
            if is_full() {
                return Err(NotWatched::Full);
            }
        }
        Ok(())
    }

    /// A symbolic link leads to what is not watched, and a file of two names is changed by either.
    fn look(&self, watching: &Watching, path: &str) -> Result<(), NotWatched> {
        let is_plain = match watching.look(path) {
            Ok(found) => {
                found.dev() == watching.device && (found.is_dir() || is_of_one_name(&found))
            }
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
        };
        if !is_plain {
            return Err(NotWatched::Impossible);
        }
        watching.table().set_plain(path, &self.subscription);
        Ok(())
    }
}

fn is_of_one_name(found: &Metadata) -> bool {
    found.is_file() && found.nlink() == 1
}

impl Watching {
    fn look(&self, path: &str) -> io::Result<Metadata> {
        fs::symlink_metadata(self.locate(path))
    }

    /// Adds a watch of the kernel; returns it with the inode that was found. What is a symbolic
    /// link or on another filesystem is refused.
    fn add(&self, path: &str, mask: WatchFlags) -> Result<(i32, u64), Errno> {
        let located = self.locate(path);
        let mut flags = mask | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
        let found = if path.is_empty() {
            fs::metadata(&located)
        } else {
            flags |= WatchFlags::DONT_FOLLOW;
            fs::symlink_metadata(&located)
        };
        let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let found = found.map_err(errno)?;
        if found.is_symlink() || found.dev() != self.device {
            return Err(Errno::XDEV);
        }
        Ok((inotify::add_watch(&self.inotify, &located, flags)?, found.ino()))
    }

    /// Takes from the kernel what nobody needs any more.
    fn make_room(&self) {
        let doomed = {
            let mut table = self.table();
            if self.were_dropped() {
                table.sweep();
            }
            table.take_doomed()
        };
        for wd in doomed {
            // It fails for one that has ended by itself.
            inotify::remove_watch(&self.inotify, wd).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoragePath;

    /// No event is read between the two, so nothing but the refusal tells of the change.
    #[test]
    fn a_known_directory_that_has_gone_ends_it() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        let device = fs::metadata(root.path()).unwrap().dev();
        let Some(watching) = Watching::begin(root.path(), device, 100) else {
            println!("NOT RUN: changes can't be watched on this filesystem");
            return;
        };
        let path = |text| StoragePath::parse(text).unwrap();
        let register = |source| Registration::new(Subscription::default(), &[source], 10);
        let mut names = register(Source::Listing(path("/a")));
        names.complete(&watching).unwrap();
        let mut content = register(Source::File(path("/a/link")));
        assert_eq!(content.attach_known(&watching), Ok(false));
        fs::remove_dir(root.path().join("a")).unwrap();
        assert_eq!(content.complete(&watching), Err(NotWatched::Impossible));
    }
}
