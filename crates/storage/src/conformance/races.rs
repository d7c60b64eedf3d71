//! Several requests at once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;

use super::{path, pattern, read};
use crate::limits::STREAM_PIECE_BYTES;
use crate::{Change, Driver, StorageError};

const TASKS: usize = 8;

/// Content of which every byte tells who wrote it, and the length too.
fn signed(writer: usize) -> Bytes {
    vec![writer as u8; 10_000 + writer * 1000].into()
}

fn assert_whole(content: &[u8]) {
    let writer = usize::from(content[0]);
    assert_eq!(content, signed(writer), "a mixture, or half of it");
}

/// Whoever reads a file while it is replaced sees one content or another, never a mixture, and
/// never nothing.
pub async fn puts_to_one_path_are_atomic(driver: Arc<dyn Driver>) {
    let at = path("/deep/er/file");
    driver.put(&at, signed(0)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..TASKS {
        let (driver, at) = (Arc::clone(&driver), at.clone());
        tasks.spawn(async move {
            for _ in 0..10 {
                driver.put(&at, signed(writer)).await.unwrap();
                assert_whole(&driver.get(&at, 100_000).await.unwrap());
                let object = driver.open(&at).await.unwrap();
                assert_whole(&read(&object, 0..object.size_bytes()).await.unwrap());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(super::names(&driver, "/deep/er").await, ["file"]);
}

/// The same blob uploaded many times at once is there once, and whole.
pub async fn publishes_to_one_path_are_atomic(driver: Arc<dyn Driver>) {
    let target = path("/blobs/aa/data");
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..TASKS {
        let (driver, target) = (Arc::clone(&driver), target.clone());
        tasks.spawn(async move {
            let source = path(&format!("/uploads/{writer}/data"));
            let mut appender = driver.append(&source).await.unwrap();
            appender.append(vec![signed(writer)]).await.unwrap();
            appender.keep().await.unwrap();
            driver.publish(&source, &target).await.unwrap();
            assert_whole(&driver.get(&target, 100_000).await.unwrap());
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(super::names(&driver, "/blobs/aa").await, ["data"]);
}

/// Of many that ask to write at once, one gets in and the others hear that it is busy.
pub async fn one_of_many_writers_gets_in(driver: Arc<dyn Driver>) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let driver = Arc::clone(&driver);
        tasks.spawn(async move { driver.append(&path("/upload")).await });
    }
    let mut writers = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(writer) => writers.push(writer),
            Err(StorageError::Busy { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(writers.len(), 1);
}

/// Many readers of one open file don't disturb each other.
pub async fn streams_are_independent(driver: Arc<dyn Driver>) {
    let content = pattern(4 * STREAM_PIECE_BYTES + 1);
    let size = content.len() as u64;
    driver.put(&path("/file"), content.clone()).await.unwrap();
    let object = driver.open(&path("/file")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for reader in 0..TASKS as u64 {
        let (object, content) = (Arc::clone(&object), content.clone());
        tasks.spawn(async move {
            let range = reader * 1000..size - reader;
            let expected = &content[range.start as usize..range.end as usize];
            assert_eq!(read(&object, range).await.unwrap(), expected);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// A client that hangs up in the middle of an append leaves the beginning of what it sent, and
/// nobody else writes before that is settled.
pub async fn a_dropped_append_leaves_a_prefix(driver: Arc<dyn Driver>) {
    let at = path("/upload");
    let content = pattern(4 * 1024 * 1024);
    for round in 0..5 {
        let mut appender = driver.append(&at).await.unwrap();
        appender.truncate(0).await.unwrap();
        drop(appender.append(vec![content.clone()]).now_or_never());
        if round % 2 == 0 {
            // The same appender goes on after what it has begun.
            appender.append(vec![Bytes::new()]).await.unwrap();
            let size = appender.size_bytes() as usize;
            appender.append(vec![content.slice(size..)]).await.unwrap();
            assert_eq!(read_all(&driver).await, content);
        }
        drop(appender);
        let mut waited = 0;
        let next = loop {
            match driver.append(&at).await {
                Ok(next) => break next,
                Err(StorageError::Busy { .. }) if waited < 1000 => {
                    waited += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let left = read_all(&driver).await;
        assert_eq!(next.size_bytes(), left.len() as u64);
        assert!(content.starts_with(&left), "{} bytes, and not the first ones", left.len());
    }
}

async fn read_all(driver: &Arc<dyn Driver>) -> Vec<u8> {
    super::read_whole(driver, &path("/upload")).await
}

/// A file is nobody's when it has just been made, whatever numbers the storage gives to files.
pub async fn new_files_are_free(driver: Arc<dyn Driver>) {
    let writer = |number: usize| {
        let driver = Arc::clone(&driver);
        async move {
            for round in 0..200 {
                let at = path(&format!("/w{number}/{round}/data"));
                let note = Change::Note { path: at.clone(), content: Bytes::new() };
                driver.apply(vec![vec![note]]).await.unwrap();
                let mut appender = driver.append(&at).await.unwrap();
                appender.append(vec![Bytes::from_static(b"x")]).await.unwrap();
                driver.delete(&at.parent().unwrap()).await.unwrap();
                drop(appender);
            }
        }
    };
    let writers: Vec<_> = (0..8).map(|number| tokio::spawn(writer(number))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}
