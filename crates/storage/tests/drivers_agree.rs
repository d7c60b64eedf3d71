//! The same random operations on the memory driver and on the filesystem driver have the same
//! outcomes and leave the same tree.

#![expect(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, EntryKind, Result, StorageError, StoragePath};

#[derive(Debug, Clone)]
enum Operation {
    Put(StoragePath, usize),
    Append(StoragePath, usize),
    Truncate(StoragePath, u64),
    Publish(StoragePath, StoragePath),
    Delete(StoragePath),
    DeleteEmpty(StoragePath),
    Get(StoragePath, u64),
    Stat(StoragePath),
    List(StoragePath),
}

/// What an operation came to, without what differs between drivers.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done(String),
    NotFound(StoragePath),
    TooLarge(u64),
    Refused,
}

fn outcome(result: Result<String>) -> Outcome {
    match result {
        Ok(text) => Outcome::Done(text),
        Err(StorageError::NotFound { path }) => Outcome::NotFound(path),
        Err(StorageError::TooLarge { size_bytes, .. }) => Outcome::TooLarge(size_bytes),
        Err(_) => Outcome::Refused,
    }
}

async fn run(driver: &dyn Driver, operation: &Operation) -> Outcome {
    use Operation as O;
    let done = |()| "done".to_owned();
    outcome(match operation {
        O::Put(path, length) => driver.put(path, vec![b'p'; *length].into()).await.map(done),
        O::Append(path, length) => append(driver, path, *length).await,
        O::Truncate(path, size) => truncate(driver, path, *size).await,
        O::Publish(from, to) => driver.publish(from, to).await.map(done),
        O::Delete(path) => driver.delete(path).await.map(done),
        O::DeleteEmpty(path) => driver.delete_empty(path).await.map(done),
        O::Get(path, limit) => driver.get(path, *limit).await.map(|got| format!("{got:?}")),
        O::Stat(path) => {
            driver.stat(path).await.map(|stat| format!("{:?} {}", stat.kind, stat.size_bytes))
        }
        O::List(path) => driver.list(path).await.map(|list| format!("{:?}", list.entries)),
    })
}

async fn append(driver: &dyn Driver, path: &StoragePath, length: usize) -> Result<String> {
    let mut appender = driver.append(path).await?;
    appender.append(vec![vec![b'a'; length].into(), Bytes::from_static(b"b")]).await?;
    Ok(appender.size_bytes().to_string())
}

async fn truncate(driver: &dyn Driver, path: &StoragePath, size: u64) -> Result<String> {
    let mut appender = driver.append(path).await?;
    appender.truncate(size).await?;
    Ok(appender.size_bytes().to_string())
}

/// Everything that is stored, directories as `None`.
async fn tree(driver: &dyn Driver) -> BTreeMap<StoragePath, Option<Bytes>> {
    let mut found = BTreeMap::new();
    let mut left = vec![StoragePath::root()];
    while let Some(directory) = left.pop() {
        for entry in driver.list(&directory).await.unwrap().entries {
            let path = directory.join(&entry.name).unwrap();
            if entry.kind == EntryKind::Directory {
                found.insert(path.clone(), None);
                left.push(path);
            } else {
                let content = driver.get(&path, u64::MAX).await.unwrap();
                found.insert(path, Some(content));
            }
        }
    }
    found
}

/// Few names and little depth, so that the operations meet.
fn path() -> impl Strategy<Value = StoragePath> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4)
        .prop_map(|names| StoragePath::parse(format!("/{}", names.join("/"))).unwrap())
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation as O;
    prop_oneof![
        3 => (path(), 0..5_usize).prop_map(|(path, length)| O::Put(path, length)),
        3 => (path(), 0..5_usize).prop_map(|(path, length)| O::Append(path, length)),
        1 => (path(), 0..5_u64).prop_map(|(path, size)| O::Truncate(path, size)),
        3 => (path(), path()).prop_map(|(from, to)| O::Publish(from, to)),
        1 => path().prop_map(O::Delete),
        1 => path().prop_map(O::DeleteEmpty),
        1 => (path(), 0..5_u64).prop_map(|(path, limit)| O::Get(path, limit)),
        1 => path().prop_map(O::Stat),
        1 => path().prop_map(O::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn drivers_agree(operations in prop::collection::vec(operation(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::new();
        let filesystem = Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
        runtime.block_on(async {
            for operation in &operations {
                let expected = run(&memory, operation).await;
                let got = run(&filesystem, operation).await;
                prop_assert_eq!(expected, got, "{:?}", operation);
                prop_assert_eq!(tree(&memory).await, tree(&filesystem).await, "{:?}", operation);
            }
            Ok(())
        })?;
    }
}
