//! What holds where directories are real.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::{assert_not_found, assert_refused, names, path};
use crate::{Driver, StorageError};

/// A directory whose last entry is deleted is still there, empty.
pub async fn directories_stay_until_deleted(driver: Arc<dyn Driver>) {
    driver.put(&path("/a/b/file"), Bytes::new()).await.unwrap();
    driver.delete(&path("/a/b/file")).await.unwrap();
    assert_eq!(names(&driver, "/a").await, ["b"]);
    assert!(driver.list(&path("/a/b")).await.unwrap().entries.is_empty());
    drop(driver.append(&path("/u/1/data")).await.unwrap());
    driver.publish(&path("/u/1/data"), &path("/x/y")).await.unwrap();
    assert_eq!(names(&driver, "/u").await, ["1"]);
    driver.delete(&path("/u/1")).await.unwrap();
    assert_not_found(driver.stat(&path("/u/1")).await, &path("/u/1"));
}

/// Nothing is written over a directory or below a file; both stay, and the error doesn't say
/// that nothing was there.
pub async fn files_and_directories_exclude_each_other(driver: Arc<dyn Driver>) {
    let (file, directory) = (path("/d/file"), path("/d"));
    let below = path("/d/file/below");
    let source = path("/source");
    driver.put(&file, Bytes::from_static(b"x")).await.unwrap();
    driver.put(&source, Bytes::from_static(b"y")).await.unwrap();
    for at in [&directory, &below] {
        assert_refused(driver.put(at, Bytes::new()).await);
        assert_refused(driver.append(at).await);
        assert_refused(driver.publish(&source, at).await);
    }
    assert_eq!(driver.get(&file, 1).await.unwrap(), "x");
    assert_eq!(driver.get(&source, 1).await.unwrap(), "y");
    assert_eq!(names(&driver, "/d").await, ["file"]);
}

/// Writing makes its directories even while others delete them as empty, all the time.
pub async fn writers_survive_the_deletion_of_empty_parents(driver: Arc<dyn Driver>) {
    let stop = Arc::new(AtomicBool::new(false));
    let cleaner = {
        let (driver, stop) = (Arc::clone(&driver), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                for directory in ["/p/a/b", "/p/a", "/p"] {
                    driver.delete_empty(&path(directory)).await.unwrap();
                }
            }
        })
    };
    for round in 0..50 {
        driver.put(&path("/p/a/b/put"), Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(driver.get(&path("/p/a/b/put"), 1).await.unwrap(), "x");
        driver.delete(&path("/p/a/b/put")).await.unwrap();
        let mut appender = driver.append(&path("/p/a/b/append")).await.unwrap();
        appender.append(vec![Bytes::from_static(b"y")]).await.unwrap();
        drop(appender);
        let target = path(&format!("/p/a/{round}/b/published"));
        driver.publish(&path("/p/a/b/append"), &target).await.unwrap();
        assert_eq!(driver.get(&target, 1).await.unwrap(), "y");
        driver.delete(&path(&format!("/p/a/{round}"))).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    cleaner.await.unwrap();
}

/// A directory is deleted while others write into it: each write is there or gone, and the
/// deletion ends.
pub async fn deletion_survives_writers(driver: Arc<dyn Driver>) {
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (driver, stop) = (Arc::clone(&driver), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                driver.put(&path("/q/a/file"), Bytes::from_static(b"x")).await.unwrap();
            }
        })
    };
    for _ in 0..50 {
        match driver.delete(&path("/q")).await {
            Ok(()) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        driver.list(&path("/q")).await.map_or_else(
            |error| assert!(error.is_not_found(), "{error}"),
            |listing| assert!(listing.entries.len() <= 1),
        );
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}
