//! The tree of directories and files.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::file::File;
use crate::path::is_temporary_file;
use crate::{Entry, EntryKind, ListingVersion, Result, Stat, StorageError, StoragePath};

#[derive(Debug)]
enum Node {
    File(Arc<File>),
    Directory(Directory),
}

/// A directory: its entries, and when they last changed.
#[derive(Debug)]
pub(super) struct Directory {
    nodes: BTreeMap<Box<str>, Node>,
    /// Taken from [`Tree::generation`] at each change, so that no directory ever has a version
    /// twice, not even one that was deleted and made again.
    generation: u64,
    modified: SystemTime,
}

impl Directory {
    fn new(generation: u64) -> Self {
        Self { nodes: BTreeMap::new(), generation, modified: SystemTime::now() }
    }

    fn touch(&mut self, generation: u64) {
        self.generation = generation;
        self.modified = SystemTime::now();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn version(&self) -> ListingVersion {
        ListingVersion(self.generation.into())
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let entry = |name: &str, node: &Node| {
            let kind = match node {
                Node::File(_) if is_temporary_file(name) => return None,
                Node::File(_) => EntryKind::File,
                Node::Directory(_) => EntryKind::Directory,
            };
            Some(Entry { name: name.into(), kind })
        };
        self.nodes.iter().filter_map(|(name, node)| entry(name, node)).collect()
    }
}

/// The whole tree.
#[derive(Debug)]
pub(super) struct Tree {
    root: Directory,
    generation: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: Directory::new(0), generation: 0 }
    }
}

impl Tree {
    pub(super) fn directory(&self, path: &StoragePath) -> Option<&Directory> {
        path.components().try_fold(&self.root, |directory, name| match directory.nodes.get(name) {
            Some(Node::Directory(below)) => Some(below),
            _ => None,
        })
    }

    pub(super) fn file(&self, path: &StoragePath) -> Option<Arc<File>> {
        match self.directory(&path.parent()?)?.nodes.get(path.file_name())? {
            Node::File(file) => Some(Arc::clone(file)),
            Node::Directory(_) => None,
        }
    }

    pub(super) fn stat(&self, path: &StoragePath) -> Option<Stat> {
        if let Some(file) = self.file(path) {
            let (size_bytes, modified) = file.size_and_time();
            return Some(Stat { kind: EntryKind::File, size_bytes, modified });
        }
        let modified = self.directory(path)?.modified;
        Some(Stat { kind: EntryKind::Directory, size_bytes: 0, modified })
    }

    /// Puts a file at the path, in place of the file that may be there.
    pub(super) fn insert(
        &mut self,
        operation: &'static str,
        path: &StoragePath,
        file: Arc<File>,
    ) -> Result<()> {
        let conflict = |kind: io::ErrorKind| StorageError::from_write(operation, path, kind.into());
        self.generation += 1;
        let Some(parent) = path.parent() else {
            return Err(conflict(io::ErrorKind::IsADirectory));
        };
        let mut directory = &mut self.root;
        for name in parent.components() {
            if !directory.nodes.contains_key(name) {
                directory.touch(self.generation);
                let below = Directory::new(self.generation);
                directory.nodes.insert(name.into(), Node::Directory(below));
            }
            match directory.nodes.get_mut(name) {
                Some(Node::Directory(below)) => directory = below,
                _ => return Err(conflict(io::ErrorKind::NotADirectory)),
            }
        }
        if let Some(Node::Directory(_)) = directory.nodes.get(path.file_name()) {
            return Err(conflict(io::ErrorKind::IsADirectory));
        }
        directory.nodes.insert(path.file_name().into(), Node::File(file));
        directory.touch(self.generation);
        Ok(())
    }

    /// Removes what lies at the path, with everything below it. Whether there was anything.
    pub(super) fn remove(&mut self, path: &StoragePath) -> bool {
        let Some(parent) = path.parent() else { return false };
        self.generation += 1;
        let mut directory = &mut self.root;
        for name in parent.components() {
            match directory.nodes.get_mut(name) {
                Some(Node::Directory(below)) => directory = below,
                _ => return false,
            }
        }
        let removed = directory.nodes.remove(path.file_name()).is_some();
        if removed {
            directory.touch(self.generation);
        }
        removed
    }
}
