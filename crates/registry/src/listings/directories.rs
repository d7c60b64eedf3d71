//! The subdirectories of a directory.

use std::cmp::Ordering as Order;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci::Digest;
use storage::watch::EntryChange;
use storage::{Entry, EntryKind, Listing};

use super::target::{Target, Unread};
use crate::limits::LISTING_CHUNK_ENTRIES;

/// The subdirectories of a directory, sorted by the bytes of their names. Never changes: after a
/// change there is another one, which shares most of its chunks with the one before.
#[derive(Debug)]
pub(crate) struct Directories {
    edition: u64,
    /// None is empty.
    chunks: Vec<Arc<Vec<Directory>>>,
    entries: usize,
    name_bytes: usize,
    /// There may be more behind them.
    is_partial: bool,
    /// Since when it is noted what tags name; none while nobody asked.
    noting_since: Mutex<Option<Instant>>,
}

/// One subdirectory.
#[derive(Debug)]
pub(crate) struct Directory {
    name: Box<str>,
    /// Set once the link of a tag was seen to be there. It only ever vanishes together with its
    /// directory, so this may be remembered as long as the listing; that it is *not* there may
    /// not. (Links of manifests and layers do vanish by themselves, and are not remembered.)
    confirmed: AtomicBool,
    /// What the tag in it names, as far as that is known.
    target: Target,
}

impl Directory {
    fn new(name: Box<str>) -> Self {
        Self { name, confirmed: AtomicBool::new(false), target: Target::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    pub(crate) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Whether the tag in it may name this manifest; `Err` when it has to be read.
    pub(crate) fn may_name(&self, manifest: &Digest) -> Result<bool, Unread> {
        self.target.may_be(manifest)
    }
}

impl Clone for Directory {
    fn clone(&self) -> Self {
        let confirmed = self.is_confirmed().into();
        Self { name: self.name.clone(), confirmed, target: self.target.clone() }
    }
}

fn next_edition() -> u64 {
    static EDITIONS: AtomicU64 = AtomicU64::new(1);
    EDITIONS.fetch_add(1, Ordering::Relaxed)
}

impl Directories {
    pub(super) fn new(listing: Listing) -> Self {
        Self::among(listing.entries, false)
    }

    /// Those of a page of at most `limit` entries.
    pub(crate) fn of_page(entries: Vec<Entry>, limit: usize) -> Self {
        let is_partial = entries.len() >= limit;
        Self::among(entries, is_partial)
    }

    fn among(entries: Vec<Entry>, is_partial: bool) -> Self {
        let directories = entries.into_iter().filter(|e| e.kind == EntryKind::Directory);
        let mut directories = directories.map(|e| Directory::new(e.name)).peekable();
        let (mut chunks, mut entries, mut name_bytes) = (Vec::new(), 0, 0);
        while directories.peek().is_some() {
            let chunk: Vec<_> = directories.by_ref().take(LISTING_CHUNK_ENTRIES).collect();
            entries += chunk.len();
            name_bytes += chunk.iter().map(|d| d.name.len()).sum::<usize>();
            chunks.push(Arc::new(chunk));
        }
        let edition = next_edition();
        Self { edition, chunks, entries, name_bytes, is_partial, noting_since: Mutex::default() }
    }

    /// Tells this listing from every other one that there was since the start.
    pub(crate) const fn edition(&self) -> u64 {
        self.edition
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.entries
    }

    /// Whether there may be more behind them.
    pub(crate) const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// All subdirectories.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Directory> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The subdirectories whose names sort behind `last`.
    pub(crate) fn after(&self, last: Option<&str>) -> impl Iterator<Item = &Directory> {
        let is_passed = |d: &Directory| last.is_some_and(|last| &*d.name <= last);
        let first = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_passed));
        let rest = &self.chunks[first..];
        let skipped = rest.first().map_or(0, |chunk| chunk.partition_point(is_passed));
        rest.iter().flat_map(|chunk| chunk.iter()).skip(skipped)
    }

    /// The first subdirectory whose name is `from` or sorts behind it.
    pub(crate) fn first_from(&self, from: &str) -> Option<&Directory> {
        let is_before = |d: &Directory| &*d.name < from;
        let first = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_before));
        let chunk = self.chunks.get(first)?;
        chunk.get(chunk.partition_point(is_before))
    }

    /// Whether there is a subdirectory of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Directory> {
        self.first_from(name).filter(|found| &*found.name == name)
    }

    /// The listing after these changes.
    pub(super) fn changed(&self, changes: Vec<EntryChange>) -> Self {
        let mut changed = Self {
            edition: next_edition(),
            chunks: self.chunks.clone(),
            entries: self.entries,
            name_bytes: self.name_bytes,
            is_partial: self.is_partial,
            noting_since: Mutex::new(self.noting_since()),
        };
        for change in changes {
            changed.change(change);
        }
        changed
    }

    fn change(&mut self, EntryChange { name, is_directory }: EntryChange) {
        let is_before = |d: &Directory| *d.name < *name;
        let at = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_before));
        // What sorts behind everything goes to the end of the last chunk.
        let at = at.min(self.chunks.len().saturating_sub(1));
        if self.chunks.is_empty() {
            self.chunks.push(Arc::default());
        }
        let chunk = &self.chunks[at];
        let within = chunk.partition_point(is_before);
        // Whatever is there now is another one than before.
        let was_there = chunk.get(within).is_some_and(|d| *d.name == *name);
        if was_there || is_directory {
            let name_len = name.len();
            let chunk = Arc::make_mut(&mut self.chunks[at]);
            if was_there {
                chunk.remove(within);
                self.entries -= 1;
                self.name_bytes -= name_len;
            }
            if is_directory {
                chunk.insert(within, Directory::new(name));
                self.entries += 1;
                self.name_bytes += name_len;
            }
            if chunk.len() > 2 * LISTING_CHUNK_ENTRIES {
                let second = chunk.split_off(LISTING_CHUNK_ENTRIES);
                self.chunks.insert(at + 1, Arc::new(second));
            }
        }
        if self.chunks[at].is_empty() {
            self.chunks.remove(at);
        }
    }

    /// Begins to note what tags name, if that was not done yet. What was noted is forgotten when it
    /// may be older than `age_max`.
    pub(crate) fn begin_noting(&self, age_max: Option<Duration>) {
        let mut since = self.noting_since.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = since.zip(age_max).is_some_and(|(since, max)| since.elapsed() > max);
        if is_old {
            self.all().for_each(|directory| directory.target.forget());
        }
        if since.is_none() || is_old {
            *since = Some(Instant::now());
        }
    }

    fn noting_since(&self) -> Option<Instant> {
        *self.noting_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which manifest the tag in this directory names, by its canonical digest.
    pub(crate) fn note_named(&self, name: &str, unread: Unread, manifest: &Digest) {
        if let Some(directory) = self.find(name) {
            directory.target.note(unread, manifest);
        }
    }

    /// Forgets what the tag in this directory names.
    pub(super) fn forget_named(&self, name: &str) {
        if let Some(directory) = self.find(name) {
            directory.target.forget();
        }
    }

    /// Takes over what was noted in an earlier listing of the same directory. To be done before
    /// anybody else has this one.
    pub(super) fn inherit(&mut self, earlier: &Self) {
        let since = earlier.noting_since();
        if since.is_none() {
            return;
        }
        self.noting_since = Mutex::new(since);
        let mut earlier = earlier.all().peekable();
        let chunks = self.chunks.iter_mut().filter_map(Arc::get_mut);
        for directory in chunks.flat_map(|chunk| chunk.iter_mut()) {
            while let Some(before) = earlier.peek() {
                match before.name.cmp(&directory.name) {
                    Order::Greater => break,
                    Order::Equal => directory.target = before.target.clone(),
                    Order::Less => {}
                }
                earlier.next();
            }
        }
    }

    pub(super) fn weight_bytes(&self) -> u64 {
        (128 + self.entries * size_of::<Directory>() + self.name_bytes) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn directories(names: &BTreeSet<String>) -> Directories {
        let entry = |name: &String| Entry { name: (**name).into(), kind: EntryKind::Directory };
        Directories::new(Listing { entries: names.iter().map(entry).collect(), version: None })
    }

    fn names<'a>(found: impl Iterator<Item = &'a Directory>) -> Vec<String> {
        found.map(|d| d.name().to_owned()).collect()
    }

    /// Enough names for several chunks, and changes to few of them.
    fn name() -> impl Strategy<Value = String> {
        (0..2000_u32).prop_map(|number| format!("{number}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn changes_lead_to_what_listing_anew_would_show(
            mut expected in prop::collection::btree_set(name(), 0..1500),
            changes in prop::collection::vec((name(), any::<bool>()), 0..200),
            asked in prop::collection::vec(name(), 20),
        ) {
            let before = directories(&expected);
            let before_names = names(before.all());
            let list = changes.iter().map(|(name, is_directory)| {
                EntryChange { name: (**name).into(), is_directory: *is_directory }
            });
            let changed = before.changed(list.collect());
            for (name, is_directory) in changes {
                if is_directory { expected.insert(name); } else { expected.remove(&name); }
            }
            prop_assert_eq!(names(changed.all()), Vec::from_iter(expected.clone()));
            prop_assert_eq!(changed.len(), expected.len());
            prop_assert_eq!(changed.weight_bytes(), directories(&expected).weight_bytes());
            prop_assert_ne!(changed.edition(), before.edition());
            prop_assert_eq!(names(before.all()), before_names);
            for last in asked {
                let behind = expected.iter().filter(|name| **name > last).cloned();
                prop_assert_eq!(names(changed.after(Some(&last))), Vec::from_iter(behind));
                prop_assert_eq!(changed.contains(&last), expected.contains(&last));
                let from = expected.range(last.clone()..).next().map(String::as_str);
                prop_assert_eq!(changed.first_from(&last).map(Directory::name), from);
            }
        }
    }

    #[test]
    fn many_names_at_one_place_split_the_chunk() {
        let mut all = directories(&BTreeSet::new());
        for number in 0..10 * LISTING_CHUNK_ENTRIES {
            let name = format!("{number:06}").into();
            all = all.changed(vec![EntryChange { name, is_directory: true }]);
        }
        assert!(all.chunks.iter().all(|chunk| chunk.len() <= 2 * LISTING_CHUNK_ENTRIES));
        assert!(all.all().map(Directory::name).is_sorted());
        assert_eq!(names(all.after(None)).len(), 10 * LISTING_CHUNK_ENTRIES);
    }

    #[test]
    fn what_was_confirmed_stays_so_until_it_is_another_one() {
        let before = directories(&["a", "b"].map(str::to_owned).into());
        before.all().for_each(Directory::confirm);
        let change = |name: &str| EntryChange { name: name.into(), is_directory: true };
        let after = before.changed(vec![change("b"), change("c")]);
        let confirmed: Vec<_> = after.all().map(Directory::is_confirmed).collect();
        assert_eq!(confirmed, [true, false, false]);
    }

    #[test]
    fn what_tags_name_is_taken_over_unless_it_is_forgotten() {
        let digest = Digest::of(oci::Algorithm::Sha256, b"");
        let known = |found: &Directories| -> Vec<String> {
            names(found.all().filter(|d| d.may_name(&digest) == Ok(true)))
        };
        let before = directories(&["a", "b", "c", "e"].map(str::to_owned).into());
        let mut unasked = directories(&["a"].map(str::to_owned).into());
        for directory in before.all() {
            let unread = directory.may_name(&digest).unwrap_err();
            before.note_named(directory.name(), unread, &digest);
        }
        unasked.inherit(&before);
        assert_eq!(known(&unasked), [""; 0], "nobody asked for it to be noted");
        before.begin_noting(None);
        before.forget_named("b");
        before.forget_named("none");
        let mut after = directories(&["a", "b", "d", "e", "f"].map(str::to_owned).into());
        after.inherit(&before);
        assert_eq!(known(&after), ["a", "e"]);
        let change = EntryChange { name: "a".into(), is_directory: true };
        let changed = after.changed(vec![change]);
        assert_eq!(known(&changed), ["e"], "it may be another one");
        changed.begin_noting(Some(Duration::from_secs(3600)));
        assert_eq!(known(&changed), ["e"]);
        changed.begin_noting(Some(Duration::ZERO));
        assert_eq!(known(&changed), [""; 0]);
    }
}
