//! What is watched, who wants to know, and what becomes of an event. Makes no system calls.
//!
//! Directories are known by their path within the storage, `""` being the root. One is in the
//! table only together with all directories above it, and only as long as no event has said that
//! its path leads to something else now: so a path that is in the table leads to the directory
//! that the kernel watches, up to events that have not been read yet.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::inotify::{ReadFlags, WatchFlags};

use crate::limits::JOURNAL_CHANGES_MAX;
use crate::path::{is_component, is_temporary_file};
use crate::watch::EntryChange;

/// What changes the names in a directory, or where the directory is.
pub(super) const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);
/// That, and what changes the files in it. Only asked for where a file matters: it makes the
/// kernel mark every entry of the directory that it has in memory.
pub(super) const CONTENT: WatchFlags = NAMES.union(WatchFlags::MODIFY).union(WatchFlags::ATTRIB);

/// The end of a watch, or what ends it.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    is_over: AtomicBool,
    /// What is told of the directory that is followed.
    journal: Option<Mutex<Vec<EntryChange>>>,
}

impl Subscription {
    pub(super) fn to_changes() -> Self {
        Self { journal: Some(Mutex::default()), ..Self::default() }
    }

    /// Whether something has happened that it was about.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn take_changes(&self) -> Vec<EntryChange> {
        let journal = self.journal.as_ref();
        journal.map_or_else(Vec::new, |journal| {
            std::mem::take(&mut *journal.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    fn note(&self, name: &str, change: Happening) {
        let Some(journal) = &self.journal else { return self.end() };
        let is_directory = match change {
            // Perhaps a symbolic link, which counts as what it leads to.
            Happening::Appeared { is_directory: false } => return self.end(),
            Happening::Appeared { is_directory: true } => true,
            Happening::Vanished => false,
            Happening::Changed => return,
        };
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() >= JOURNAL_CHANGES_MAX {
            journal.clear();
            return self.end();
        }
        journal.push(EntryChange { name: name.into(), is_directory });
    }
}

/// What a subscription wants to know of a directory.
#[derive(Debug)]
pub(super) enum Interest {
    /// Whatever happens to the entry of a name.
    Entry(Box<str>),
    /// That entries come or go.
    Listing,
}

/// What has happened to an entry.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Appeared { is_directory: bool },
    Vanished,
    Changed,
}

#[derive(Debug)]
struct Node {
    wd: i32,
    mask: WatchFlags,
    interests: Vec<(Interest, Weak<Subscription>)>,
    /// At which length the interests are next searched for those that nobody has any more.
    prune_at: usize,
    /// Names that were seen to belong to plain files without other names, or to nothing.
    plain: Vec<Box<str>>,
}

impl Node {
    fn tell(&mut self, name: &str, happening: Happening) {
        self.plain.retain(|plain| **plain != *name);
        for (interest, subscription) in &self.interests {
            let concerned = match interest {
                Interest::Entry(entry) => **entry == *name,
                Interest::Listing => !matches!(happening, Happening::Changed),
            };
            let Some(subscription) = concerned.then(|| subscription.upgrade()).flatten() else {
                continue;
            };
            match interest {
                Interest::Entry(_) => subscription.end(),
                Interest::Listing => subscription.note(name, happening),
            }
        }
        self.forget_the_unheard();
    }

    /// Whoever was told once that it is over need not be told again.
    fn forget_the_unheard(&mut self) {
        self.interests.retain(|(_, s)| s.upgrade().is_some_and(|s| !s.is_over()));
        self.prune_at = (2 * self.interests.len()).max(16);
    }
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    nodes: BTreeMap<Box<str>, Node>,
    /// The paths of the nodes, by watch descriptor.
    paths: HashMap<i32, Box<str>>,
    /// The inode of the root that is watched.
    root_inode: u64,
    /// Watches of the kernel that nobody needs any more.
    doomed: HashSet<i32>,
    /// How many watches are being added right now, and may have events before they are known.
    adding: usize,
    /// The watches that had events while they were not known.
    unclaimed: HashSet<i32>,
}

/// The path above, and the last name of one that is not the root's.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many watches of the kernel there are.
    pub(super) fn watches(&self) -> usize {
        self.nodes.len() + self.doomed.len()
    }

    /// Whether a directory is watched for at least this.
    pub(super) fn has(&self, path: &str, mask: WatchFlags) -> bool {
        self.nodes.get(path).is_some_and(|node| node.mask.contains(mask))
    }

    /// Whether a name is known to belong to a plain file, or to nothing.
    pub(super) fn is_plain(&self, directory: &str, name: &str) -> bool {
        self.nodes.get(directory).is_some_and(|node| node.plain.iter().any(|p| **p == *name))
    }

    /// Remembers that, unless something has happened since `subscription` began.
    pub(super) fn set_plain(&mut self, path: &str, subscription: &Subscription) {
        let (directory, name) = split(path);
        if let Some(node) = self.nodes.get_mut(directory).filter(|_| !subscription.is_over()) {
            node.plain.push(name.into());
        }
    }

    /// Has a subscription told of what happens in a directory.
    pub(super) fn subscribe(
        &mut self,
        directory: &str,
        interest: Interest,
        subscription: &Arc<Subscription>,
    ) {
        let Some(node) = self.nodes.get_mut(directory) else { return subscription.end() };
        if node.interests.len() >= node.prune_at {
            node.forget_the_unheard();
        }
        node.interests.push((interest, Arc::downgrade(subscription)));
    }

    /// To be called before a watch is added, and then [`Table::claim`] or [`Table::give_up`].
    pub(super) fn begin_adding(&mut self) {
        self.adding += 1;
    }

    pub(super) fn give_up(&mut self) {
        self.adding -= 1;
        if self.adding == 0 {
            self.unclaimed.clear();
        }
    }

    /// Whether this is the root that is watched.
    pub(super) const fn has_root(&self, inode: u64) -> bool {
        self.root_inode == inode
    }

    /// Takes in a watch that was added for a path and its inode, on behalf of a subscription that is told of
    /// everything on the way there. Ends it when the path may lead elsewhere by now.
    pub(super) fn claim(
        &mut self,
        path: &str,
        (wd, inode): (i32, u64),
        mask: WatchFlags,
        subscription: &Subscription,
    ) {
        if self.paths.get(&wd).is_some_and(|known| **known != *path) {
            // The directory was moved here, or is mounted twice. One path has to do.
            let other = self.paths[&wd].clone();
            self.kill(&other);
        }
        if self.unclaimed.contains(&wd) {
            subscription.end();
        }
        self.give_up();
        let parent_is_there = path.is_empty() || self.nodes.contains_key(split(path).0);
        match self.nodes.get_mut(path) {
            _ if subscription.is_over() || !parent_is_there => subscription.end(),
            Some(node) if node.wd == wd => node.mask |= mask,
            // One of the two is out of date.
            Some(_) => subscription.end(),
            None => {
                let (interests, plain) = (Vec::new(), Vec::new());
                self.nodes.insert(path.into(), Node { wd, mask, interests, prune_at: 16, plain });
                self.paths.insert(wd, path.into());
                if path.is_empty() {
                    self.root_inode = inode;
                }
            }
        }
        if self.paths.contains_key(&wd) {
            self.doomed.remove(&wd);
        } else {
            self.doomed.insert(wd);
        }
    }

    /// Takes in an event. `name` is `None` where it has none, or none that is text.
    pub(super) fn take_in(&mut self, wd: i32, event: ReadFlags, name: Option<&str>) {
        use ReadFlags as F;
        if event.contains(F::QUEUE_OVERFLOW) {
            return self.kill_all();
        }
        let Some(path) = self.paths.get(&wd) else {
            if event.contains(F::IGNORED) {
                self.doomed.remove(&wd);
            }
            if self.adding > 0 {
                self.unclaimed.insert(wd);
            }
            return;
        };
        if event.intersects(F::IGNORED | F::UNMOUNT | F::DELETE_SELF | F::MOVE_SELF) {
            let path = path.clone();
            self.kill(&path);
            if event.contains(F::IGNORED) {
                self.doomed.remove(&wd);
            }
            return;
        }
        let is_directory = event.contains(F::ISDIR);
        let Some(name) = name else { return };
        if !is_component(name) || (is_temporary_file(name) && !is_directory) {
            return;
        }
        let happening = if event.intersects(F::CREATE | F::MOVED_TO) {
            Happening::Appeared { is_directory }
        } else if event.intersects(F::DELETE | F::MOVED_FROM) {
            Happening::Vanished
        } else {
            Happening::Changed
        };
        let below = format!("{path}/{name}");
        if let Some(node) = self.nodes.get_mut(path) {
            node.tell(name, happening);
        }
        if !matches!(happening, Happening::Changed) {
            self.kill(&below);
        }
    }

    /// A path leads to something else, or to nothing: ends what is about it and what is below it.
    fn kill(&mut self, path: &str) {
        // '0' comes after '/': what lies between is what is below.
        let below: Vec<_> = self
            .nodes
            .range::<str, _>((
                std::ops::Bound::Included(format!("{path}/").as_str()),
                std::ops::Bound::Excluded(format!("{path}0").as_str()),
            ))
            .map(|(path, _)| path.clone())
            .collect();
        for path in below.iter().map(|path| &**path).chain([path]) {
            let Some(node) = self.nodes.remove(path) else { continue };
            self.paths.remove(&node.wd);
            self.doomed.insert(node.wd);
            for subscription in node.interests.iter().filter_map(|(_, s)| s.upgrade()) {
                subscription.end();
            }
        }
    }

    /// Nothing that was known is certain any more.
    pub(super) fn kill_all(&mut self) {
        self.kill("");
    }

    /// Gives up what nobody is interested in any more.
    pub(super) fn sweep(&mut self) {
        let Self { nodes, paths, doomed, .. } = self;
        nodes.retain(|_, node| {
            node.forget_the_unheard();
            let is_wanted = !node.interests.is_empty();
            if !is_wanted {
                paths.remove(&node.wd);
                doomed.insert(node.wd);
            }
            is_wanted
        });
    }

    /// The watches to be taken from the kernel.
    pub(super) fn take_doomed(&mut self) -> Vec<i32> {
        self.doomed.drain().collect()
    }
}

#[cfg(test)]
mod tests;
