use futures_util::StreamExt;

use super::*;
use crate::memory::Memory;

/// Without a fault it is a driver like the one behind it.
mod conformance {
    use super::*;

    fn made() -> (Arc<dyn Driver>, ()) {
        (Arc::new(Faulty::new(Arc::new(Memory::new())).counting_reads()), ())
    }

    crate::conformance_tests!(every: made());
    crate::conformance_tests!(local: made());
    crate::conformance_tests!(tree: made());
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// Every operation that changes something, once.
async fn scenario(driver: &Faulty) -> Result<()> {
    driver.put(&path("/d/link"), Bytes::from_static(b"linked")).await?;
    let mut appender = driver.append(&path("/u/data")).await?;
    appender.append(vec![Bytes::from_static(b"123"), Bytes::from_static(b"456")]).await?;
    appender.truncate(5).await?;
    appender.sync().await?;
    drop(appender);
    driver.publish(&path("/u/data"), &path("/b/data")).await?;
    driver.delete_empty(&path("/u")).await?;
    driver.delete(&path("/d")).await
}

fn pair() -> (Arc<dyn Driver>, Faulty) {
    let inner: Arc<dyn Driver> = Arc::new(Memory::new());
    let faulty = Faulty::new(Arc::clone(&inner));
    (inner, faulty)
}

#[tokio::test]
async fn each_operation_fails_once_or_for_good() {
    let (_, trial) = pair();
    scenario(&trial).await.unwrap();
    assert_eq!((trial.operations(), trial.hit()), (8, None));
    for operation in 0..8 {
        for fault in Fault::ALL {
            let (inner, faulty) = pair();
            faulty.fail_at(operation, fault);
            let error = scenario(&faulty).await.unwrap_err();
            let hit = faulty.hit().unwrap();
            assert!(hit.starts_with(&format!("operation {operation}: ")), "{hit}");
            let is_full = matches!(error, StorageError::NoSpace { .. });
            assert_eq!(is_full, matches!(fault, Fault::Error(Failure::NoSpace, _)), "{error}");
            let crashed = matches!(fault, Fault::Crash(_));
            assert_eq!(faulty.has_crashed(), crashed);
            assert_eq!(faulty.put(&path("/later"), Bytes::new()).await.is_err(), crashed);
            assert_eq!(faulty.stat(&path("/")).await.is_err(), crashed);
            inner.stat(&path("/")).await.unwrap();
        }
    }
}

/// What is in the inner driver after operation `number` got so far.
async fn left_after(number: u64, progress: Progress) -> Arc<dyn Driver> {
    let (inner, faulty) = pair();
    faulty.fail_at(number, Fault::Crash(progress));
    scenario(&faulty).await.unwrap_err();
    inner
}

async fn content(driver: &Arc<dyn Driver>, at: &str) -> Option<Bytes> {
    driver.get(&path(at), 100).await.ok()
}

#[tokio::test]
async fn progress_is_made_as_asked() {
    use Progress::{All, Half, Nothing};
    for (progress, link) in [(Nothing, None), (Half, None), (All, Some("linked"))] {
        let left = left_after(0, progress).await;
        assert_eq!(content(&left, "/d/link").await.as_deref(), link.map(str::as_bytes));
        assert_eq!(left.stat(&path("/d")).await.is_ok(), progress != Nothing);
        let listed = left.list(&path("/d")).await.map_or(0, |listing| listing.entries.len());
        assert_eq!(listed, usize::from(progress == All));
    }
    for (progress, data) in [(Nothing, ""), (Half, "123"), (All, "123456")] {
        assert_eq!(content(&left_after(2, progress).await, "/u/data").await.unwrap(), data);
    }
    assert_eq!(content(&left_after(3, Half).await, "/u/data").await.unwrap(), "123456");
    assert_eq!(content(&left_after(3, All).await, "/u/data").await.unwrap(), "12345");
    for (progress, published) in [(Nothing, false), (Half, false), (All, true)] {
        let left = left_after(5, progress).await;
        assert_eq!(content(&left, "/b/data").await.is_some(), published);
        assert_eq!(content(&left, "/u/data").await.is_some(), !published);
        assert_eq!(left.stat(&path("/b")).await.is_ok(), progress != Nothing);
    }
}

#[tokio::test]
async fn half_a_deletion_takes_half() {
    let (inner, faulty) = pair();
    for name in ["a", "b", "c", "d"] {
        inner.put(&path(&format!("/d/{name}")), Bytes::new()).await.unwrap();
    }
    faulty.fail_at(0, Fault::Error(Failure::Io, Progress::Half));
    faulty.delete(&path("/d")).await.unwrap_err();
    assert_eq!(inner.list(&path("/d")).await.unwrap().entries.len(), 2);
    faulty.delete(&path("/d")).await.unwrap();
}

#[tokio::test]
async fn reads_fail_when_they_are_counted() {
    let (inner, faulty) = pair();
    let at = path("/file");
    inner.put(&at, Bytes::from_static(b"x")).await.unwrap();
    faulty.fail_at(0, Fault::Crash(Progress::Nothing));
    faulty.get(&at, 1).await.unwrap();
    assert_eq!(faulty.operations(), 0);

    let faulty = Faulty::new(inner).counting_reads();
    faulty.fail_at(1, Fault::Error(Failure::Io, Progress::Nothing));
    let object = faulty.open(&at).await.unwrap();
    assert!(Arc::clone(&object).stream(0..1).next().await.unwrap().is_err());
    assert!(Arc::clone(&object).stream(0..1).next().await.unwrap().is_ok());
    assert_eq!(faulty.operations(), 3);
}
