//! The subdirectories of a directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use storage::watch::EntryChange;
use storage::{Entry, EntryKind, Listing};

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
}

/// One subdirectory.
#[derive(Debug)]
pub(crate) struct Directory {
    name: Box<str>,
    /// Set once the link of a tag was seen to be there. It only ever vanishes together with its
    /// directory, so this may be remembered as long as the listing; that it is *not* there may
    /// not. (Links of manifests and layers do vanish by themselves, and are not remembered.)
    confirmed: AtomicBool,
}

impl Directory {
    fn new(name: Box<str>) -> Self {
        Self { name, confirmed: AtomicBool::new(false) }
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
}

impl Clone for Directory {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), confirmed: self.is_confirmed().into() }
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
        Self { edition: next_edition(), chunks, entries, name_bytes, is_partial }
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
        self.first_from(name).is_some_and(|found| &*found.name == name)
    }

    /// The listing after these changes.
    pub(super) fn changed(&self, changes: Vec<EntryChange>) -> Self {
        let mut changed = Self {
            edition: next_edition(),
            chunks: self.chunks.clone(),
            entries: self.entries,
            name_bytes: self.name_bytes,
            is_partial: self.is_partial,
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
}
