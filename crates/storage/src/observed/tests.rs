use std::sync::{Mutex, PoisonError};

use super::*;
use crate::memory::Memory;

#[derive(Debug, Default)]
struct Told(Mutex<Vec<(Action, Outcome)>>);

impl Observer for Told {
    fn observed(&self, action: Action, _: Duration, outcome: Outcome) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((action, outcome));
    }
}

impl Told {
    fn take(&self) -> Vec<(Action, Outcome)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn observed(driver: Arc<dyn Driver>) -> Arc<dyn Driver> {
    let observer: Arc<dyn Observer> = Arc::<Told>::default();
    Arc::new(Observed::new(driver, Some(observer)))
}

mod memory_conformance {
    use super::*;

    crate::conformance_tests!(every: (observed(Arc::new(Memory::new())), ()));
    crate::conformance_tests!(local: (observed(Arc::new(Memory::new())), ()));
    crate::conformance_tests!(tree: (observed(Arc::new(Memory::new())), ()));
}

mod filesystem_conformance {
    use super::*;
    use crate::filesystem::tests::mounts::{Unchanged, unchanged};
    use crate::filesystem::{Filesystem, FilesystemOptions};

    fn made() -> (Arc<dyn Driver>, (tempfile::TempDir, Unchanged)) {
        let unchanged = unchanged();
        let root = tempfile::tempdir().unwrap();
        let driver = Filesystem::open(FilesystemOptions::new(root.path())).unwrap();
        (observed(Arc::new(driver)), (root, unchanged))
    }

    crate::conformance_tests!(every: made());
    crate::conformance_tests!(local: made());
    crate::conformance_tests!(tree: made());
}

#[test]
fn actions_are_found_by_their_number() {
    for (number, action) in Action::ALL.into_iter().enumerate() {
        assert_eq!(action as usize, number, "{action:?}");
        assert_eq!(format!("{action:?}"), action.name());
    }
}

#[tokio::test]
async fn every_operation_is_told_of() {
    let told = Arc::<Told>::default();
    let driver =
        Observed::new(Arc::new(Memory::new()), Some(Arc::clone(&told) as Arc<dyn Observer>));
    let file = path("/a/file");
    driver.put(&file, Bytes::from_static(b"abc")).await.unwrap();
    driver.get(&file, 3).await.unwrap();
    driver.get(&file, 2).await.unwrap_err();
    driver.stat(&path("/nothing")).await.unwrap_err();
    driver.list(&path("/a")).await.unwrap();
    driver.delete(&file).await.unwrap();
    assert_eq!(
        told.take(),
        [
            (Action::PutContent, Outcome::Done),
            (Action::GetContent, Outcome::Done),
            (Action::GetContent, Outcome::Refused),
            (Action::Stat, Outcome::Absent),
            (Action::List, Outcome::Done),
            (Action::Delete, Outcome::Done),
        ]
    );

    let mut appender = driver.append(&path("/upload")).await.unwrap();
    appender.append(vec![Bytes::from_static(b"abc")]).await.unwrap();
    appender.truncate(2).await.unwrap();
    appender.sync().await.unwrap();
    assert_eq!(appender.size_bytes(), 2);
    driver.append(&path("/upload")).await.unwrap_err();
    driver.publish(&path("/upload"), &path("/b/data")).await.unwrap();
    assert_eq!(
        told.take(),
        [
            (Action::Append, Outcome::Done),
            (Action::Write, Outcome::Done),
            (Action::Truncate, Outcome::Done),
            (Action::Sync, Outcome::Done),
            (Action::Append, Outcome::Refused),
            (Action::Move, Outcome::Done),
        ]
    );

    let put = Change::put(file.clone(), Bytes::from_static(b"abc"));
    let note = Change::Note { path: path("/a/note"), content: Bytes::new() };
    let publish = Change::Publish { from: path("/nothing/data"), to: path("/b/other") };
    driver.apply(vec![vec![put.clone()], vec![note]]).await.unwrap();
    assert_eq!(
        told.take(),
        [(Action::PutContent, Outcome::Done), (Action::PutNote, Outcome::Done)]
    );
    driver.apply(vec![vec![put, publish]]).await.unwrap_err();
    assert_eq!(
        told.take(),
        [(Action::PutContent, Outcome::Absent), (Action::Move, Outcome::Absent)]
    );

    driver.put_unsynced(&file, Bytes::new()).await.unwrap();
    driver.settle(&file).await.unwrap();
    driver.open(&file).await.unwrap();
    driver.delete_empty(&path("/b")).await.unwrap();
    driver.listing_version(&path("/a")).await.unwrap();
    let actions: Vec<_> = told.take().into_iter().map(|(action, _)| action).collect();
    let own = [
        Action::PutNote,
        Action::Settle,
        Action::Open,
        Action::DeleteEmpty,
        Action::ListingVersion,
    ];
    assert_eq!(actions, own);
}

#[test]
fn only_the_storage_itself_fails() {
    let error = std::io::Error::other("the disk is gone");
    let failed = crate::StorageError::from_io("read", &path("/a"), error);
    assert_eq!(Outcome::of::<()>(&Err(failed)), Outcome::Failed);
    assert_eq!(
        Outcome::of::<()>(&Err(crate::StorageError::NoSpace { path: path("/a") })),
        Outcome::Failed
    );
    assert_eq!(
        Outcome::of::<()>(&Err(crate::StorageError::Busy { path: path("/a") })),
        Outcome::Refused
    );
}
