//! The `inmemory` driver: a tree in the process's memory, for tests and throw-away registries.
//!
//! Its behaviour is that of the filesystem driver, down to directories that stay until they are
//! deleted. What it holds is bounded by nothing but the machine, as in Distribution.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Appender, ByteStream, Driver, Listing, ListingVersion, Object, Result, Stat, StorageError,
    StoragePath,
};

mod file;
mod tree;

use file::{File, Writer};
use tree::Tree;

/// A tree of directories and files in memory. Clones share the tree.
#[derive(Clone, Default)]
pub struct Memory {
    tree: Arc<Mutex<Tree>>,
}

impl Memory {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // Every operation leaves the tree whole before anything in it could panic.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: &StoragePath) -> Result<Arc<File>> {
        self.tree().file(path).ok_or_else(|| StorageError::NotFound { path: path.clone() })
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for Memory {
    fn name(&self) -> &'static str {
        "inmemory"
    }

    async fn get(&self, path: &StoragePath, limit_bytes: u64) -> Result<Bytes> {
        let content = self.file(path)?.snapshot();
        if content.size_bytes() > limit_bytes {
            return Err(StorageError::TooLarge {
                path: path.clone(),
                size_bytes: content.size_bytes(),
                limit_bytes,
            });
        }
        Ok(content.concatenated())
    }

    async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.tree().insert("write", path, Arc::new(File::with_content(content)))
    }

    async fn stat(&self, path: &StoragePath) -> Result<Stat> {
        self.tree().stat(path).ok_or_else(|| StorageError::NotFound { path: path.clone() })
    }

    async fn open(&self, path: &StoragePath) -> Result<Arc<dyn Object>> {
        Ok(Arc::new(MemoryObject { path: path.clone(), content: self.file(path)?.snapshot() }))
    }

    async fn append(&self, path: &StoragePath) -> Result<Box<dyn Appender>> {
        let mut tree = self.tree();
        let file = match tree.file(path) {
            Some(file) => file,
            None => {
                let file = Arc::new(File::default());
                tree.insert("append to", path, Arc::clone(&file))?;
                file
            }
        };
        let writer =
            Writer::claim(file).ok_or_else(|| StorageError::Busy { path: path.clone() })?;
        Ok(Box::new(MemoryAppender { path: path.clone(), writer }))
    }

    async fn publish(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        let mut tree = self.tree();
        let file = tree.file(from).ok_or_else(|| StorageError::NotFound { path: from.clone() })?;
        if from == to {
            return Ok(());
        }
        tree.insert("publish", to, file)?;
        tree.remove(from);
        Ok(())
    }

    async fn settle(&self, path: &StoragePath) -> Result<()> {
        match self.stat(path).await?.kind {
            crate::EntryKind::File => Ok(()),
            crate::EntryKind::Directory => Err(StorageError::NotFound { path: path.clone() }),
        }
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        if path.is_root() {
            return Err(StorageError::root_is_fixed("delete"));
        }
        if self.tree().remove(path) {
            Ok(())
        } else {
            Err(StorageError::NotFound { path: path.clone() })
        }
    }

    async fn delete_empty(&self, path: &StoragePath) -> Result<()> {
        let mut tree = self.tree();
        if !path.is_root() && tree.directory(path).is_some_and(tree::Directory::is_empty) {
            tree.remove(path);
        }
        Ok(())
    }

    async fn list(&self, path: &StoragePath) -> Result<Listing> {
        let tree = self.tree();
        let directory =
            tree.directory(path).ok_or_else(|| StorageError::NotFound { path: path.clone() })?;
        Ok(Listing { entries: directory.entries(), version: Some(directory.version()) })
    }

    async fn listing_version(&self, path: &StoragePath) -> Result<Option<ListingVersion>> {
        let tree = self.tree();
        let directory =
            tree.directory(path).ok_or_else(|| StorageError::NotFound { path: path.clone() })?;
        Ok(Some(directory.version()))
    }
}

#[derive(Debug)]
struct MemoryObject {
    path: StoragePath,
    content: file::Content,
}

impl Object for MemoryObject {
    fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        let complete = range.end <= self.content.size_bytes();
        let pieces = self.content.range(range).into_iter().map(Ok);
        let missing = (!complete).then(|| Err(StorageError::shorter_than_asked(&self.path)));
        Box::pin(futures_util::stream::iter(pieces.chain(missing)))
    }
}

#[derive(Debug)]
struct MemoryAppender {
    path: StoragePath,
    writer: Writer,
}

#[async_trait]
impl Appender for MemoryAppender {
    fn size_bytes(&self) -> u64 {
        self.writer.file().snapshot().size_bytes()
    }

    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        self.writer.file().append(&pieces);
        Ok(())
    }

    async fn truncate(&mut self, size_bytes: u64) -> Result<()> {
        if self.writer.file().truncate(size_bytes) {
            Ok(())
        } else {
            Err(StorageError::truncated_upwards(&self.path))
        }
    }

    async fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StoragePath {
        StoragePath::parse(text).unwrap()
    }

    mod conformance {
        use std::sync::Arc;

        use crate::Driver;
        use crate::memory::Memory;

        fn made() -> (Arc<dyn Driver>, ()) {
            (Arc::new(Memory::new()), ())
        }

        crate::conformance_tests!(every: made());
        crate::conformance_tests!(local: made());
        crate::conformance_tests!(tree: made());
    }

    #[tokio::test]
    async fn clones_share_the_tree() {
        let one = Memory::new();
        let other = one.clone();
        one.put(&path("/a/b"), Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(other.get(&path("/a/b"), 1).await.unwrap(), "x");
    }

    #[tokio::test]
    async fn a_version_never_comes_back() {
        let driver = Memory::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 {
            driver.put(&path("/d/f"), Bytes::new()).await.unwrap();
            assert!(seen.insert(driver.listing_version(&path("/d")).await.unwrap()));
            driver.delete(&path("/d")).await.unwrap();
        }
    }
}
