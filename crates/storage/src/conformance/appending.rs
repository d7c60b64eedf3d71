//! Files that grow, and their move to a final path.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{assert_not_found, assert_refused, path, pattern, read_staged, read_whole};
use crate::{Driver, Feed, StorageError};

const UPLOAD: &str = "/repositories/a/_uploads/1/data";
const BLOB: &str = "/blobs/sha256/ab/abcd/data";

async fn upload(driver: &Arc<dyn Driver>, content: Bytes) {
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    appender.append(vec![content]).await.unwrap();
    appender.keep().await.unwrap();
}

/// One appender after the other finds the file as the last one left it.
pub async fn appending_goes_on_where_it_ended(driver: Arc<dyn Driver>) {
    let content = pattern(300_000);
    let mut offset = 0;
    for step in [1, 0, 99_999, 150_000, 50_000] {
        let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
        assert_eq!(appender.size_bytes(), offset as u64);
        appender.append(vec![content.slice(offset..offset + step)]).await.unwrap();
        offset += step;
        assert_eq!(appender.size_bytes(), offset as u64);
        appender.sync().await.unwrap();
        drop(appender);
        assert_eq!(driver.stat_staged(&path(UPLOAD)).await.unwrap().size_bytes, offset as u64);
    }
    assert_eq!(read_staged(&driver, &path(UPLOAD)).await, content);
}

/// More pieces than one system call takes, some of them empty.
pub async fn appending_takes_many_pieces(driver: Arc<dyn Driver>) {
    let content = pattern(40_000);
    let mut pieces = vec![Bytes::new()];
    for start in (0..content.len()).step_by(10) {
        pieces.push(content.slice(start..start + 10));
        pieces.push(Bytes::new());
    }
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    appender.append(pieces).await.unwrap();
    appender.append(vec![]).await.unwrap();
    assert_eq!(appender.size_bytes(), 40_000);
    appender.keep().await.unwrap();
    drop(appender);
    assert_eq!(read_staged(&driver, &path(UPLOAD)).await, content);
}

/// The file is there as soon as it is opened for appending.
pub async fn appending_nothing_makes_an_empty_file(driver: Arc<dyn Driver>) {
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    assert_eq!(appender.size_bytes(), 0);
    appender.sync().await.unwrap();
    drop(appender);
    assert_eq!(driver.stat(&path(UPLOAD)).await.unwrap().size_bytes, 0);
}

struct Batches(Mutex<VecDeque<Bytes>>);

impl Feed for Batches {
    fn next(&self) -> Option<Vec<Bytes>> {
        let batch = self.0.lock().unwrap().pop_front()?;
        let half = batch.len() / 2;
        Some(vec![batch.slice(..half), Bytes::new(), batch.slice(half..)])
    }
}

/// All that a feed has comes into the file, in its order and behind what is there, though not
/// necessarily in one go.
pub async fn what_is_fed_is_appended(driver: Arc<dyn Driver>) {
    let content = pattern(20_000_000);
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    appender.append(vec![content.slice(..1000)]).await.unwrap();
    let mut rest = content.slice(1000..);
    let mut batches = VecDeque::new();
    while !rest.is_empty() {
        batches.push_back(rest.split_to(rest.len().min(300_000)));
    }
    let feed = Arc::new(Batches(Mutex::new(batches)));
    while !feed.0.lock().unwrap().is_empty() {
        let before = appender.size_bytes();
        appender.append_from(feed.clone()).await.unwrap();
        assert!(appender.size_bytes() > before);
    }
    appender.append_from(feed).await.unwrap();
    assert_eq!(appender.size_bytes(), 20_000_000);
    appender.sync().await.unwrap();
    drop(appender);
    assert_eq!(driver.append(&path(UPLOAD)).await.unwrap().size_bytes(), 20_000_000);
    driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert!(read_whole(&driver, &path(BLOB)).await == content);
}

/// A file is cut back, never forward, and grows again from there.
pub async fn files_are_truncated(driver: Arc<dyn Driver>) {
    let content = pattern(1000);
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    for keep in [1000, 999, 500, 0] {
        appender.truncate(0).await.unwrap();
        appender.append(vec![content.clone()]).await.unwrap();
        appender.truncate(keep).await.unwrap();
        assert_eq!(appender.size_bytes(), keep);
        assert_refused(appender.truncate(keep + 1).await);
        assert_eq!(appender.size_bytes(), keep);
        appender.append(vec![content.slice(keep as usize..)]).await.unwrap();
        assert_eq!(appender.size_bytes(), 1000);
        assert_eq!(read_whole(&driver, &path(UPLOAD)).await, content);
    }
}

/// A second writer is turned away until the first is gone.
pub async fn there_is_one_writer_at_a_time(driver: Arc<dyn Driver>) {
    let at = path(UPLOAD);
    let mut first = driver.append(&at).await.unwrap();
    first.append(vec![pattern(10)]).await.unwrap();
    for _ in 0..3 {
        match driver.append(&at).await {
            Err(StorageError::Busy { path }) => assert_eq!(path, at),
            other => panic!("{other:?}"),
        }
    }
    first.append(vec![pattern(10)]).await.unwrap();
    first.keep().await.unwrap();
    drop(first);
    let second = driver.append(&at).await.unwrap();
    assert_eq!(second.size_bytes(), 20);
}

/// Only writers of the same file are in each other's way.
pub async fn writers_of_different_files_are_independent(driver: Arc<dyn Driver>) {
    let mut writers = Vec::new();
    for name in ["a", "b", "aa"] {
        writers.push(driver.append(&path(&format!("/uploads/{name}"))).await.unwrap());
    }
    for (writer, length) in writers.iter_mut().zip([1, 2, 3]) {
        writer.append(vec![pattern(length)]).await.unwrap();
        writer.keep().await.unwrap();
    }
    assert_eq!(read_staged(&driver, &path("/uploads/b")).await, pattern(2));
    assert_eq!(read_staged(&driver, &path("/uploads/aa")).await, pattern(3));
}

/// What an append has returned for is seen by whoever opens the file then.
pub async fn what_is_appended_can_be_read_at_once(driver: Arc<dyn Driver>) {
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    appender.append(vec![pattern(100)]).await.unwrap();
    let early = driver.open(&path(UPLOAD)).await.unwrap();
    appender.append(vec![pattern(100)]).await.unwrap();
    assert_eq!(early.size_bytes(), 100);
    assert_eq!(super::read(&early, 0..100).await.unwrap(), pattern(100));
    assert_eq!(read_whole(&driver, &path(UPLOAD)).await.len(), 200);
}

/// What was kept is seen by whoever opens the unfinished file then, and there is more to come.
pub async fn what_is_kept_can_be_read(driver: Arc<dyn Driver>) {
    let content = pattern(12_000_000);
    let mut size = 0;
    for step in [100, 11_000_000, 999_900] {
        let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
        assert_eq!(appender.size_bytes(), size as u64);
        appender.append(vec![content.slice(size..size + step)]).await.unwrap();
        appender.keep().await.unwrap();
        drop(appender);
        size += step;
        assert!(read_staged(&driver, &path(UPLOAD)).await == content[..size], "{size}");
    }
    driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert!(read_whole(&driver, &path(BLOB)).await == content);
}

/// What came since the file was opened can be taken back.
pub async fn truncating_undoes_an_append(driver: Arc<dyn Driver>) {
    let content = pattern(30_000_000);
    for start in [0, 10, 6_000_000, 12_000_000] {
        let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
        appender.append(vec![content.slice(..start)]).await.unwrap();
        appender.keep().await.unwrap();
        drop(appender);
        let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
        appender.append(vec![content.slice(..14_000_000)]).await.unwrap();
        appender.truncate(start as u64).await.unwrap();
        assert_refused(appender.truncate(start as u64 + 1).await);
        assert_eq!(appender.size_bytes(), start as u64);
        appender.append(vec![content.slice(start..start + 13_000_000)]).await.unwrap();
        appender.keep().await.unwrap();
        drop(appender);
        driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
        assert!(read_whole(&driver, &path(BLOB)).await == content[..start + 13_000_000]);
    }
}

/// A writer goes on into a file that was deleted; whoever comes after gets a new one.
pub async fn a_deleted_file_starts_anew(driver: Arc<dyn Driver>) {
    let at = path(UPLOAD);
    let mut old = driver.append(&at).await.unwrap();
    old.append(vec![pattern(10)]).await.unwrap();
    driver.delete(&at.parent().unwrap()).await.unwrap();
    let mut new = driver.append(&at).await.unwrap();
    assert_eq!(new.size_bytes(), 0);
    new.append(vec![pattern(3)]).await.unwrap();
    old.append(vec![pattern(10)]).await.unwrap();
    assert_eq!(read_whole(&driver, &at).await, pattern(3));
}

/// After a publish the file is at its new path, and no more at its old one.
pub async fn publishing_moves(driver: Arc<dyn Driver>) {
    let content = pattern(100_000);
    upload(&driver, content.clone()).await;
    driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert_eq!(read_whole(&driver, &path(BLOB)).await, content);
    assert_not_found(driver.stat(&path(UPLOAD)).await, &path(UPLOAD));
    // And it can be uploaded anew.
    assert_eq!(driver.append(&path(UPLOAD)).await.unwrap().size_bytes(), 0);
}

/// A publish replaces what is at its target.
pub async fn publishing_replaces(driver: Arc<dyn Driver>) {
    driver.put(&path(BLOB), pattern(1000)).await.unwrap();
    upload(&driver, pattern(10)).await;
    driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert_eq!(read_whole(&driver, &path(BLOB)).await, pattern(10));
    // To its own path it changes nothing.
    driver.publish(&path(BLOB), &path(BLOB)).await.unwrap();
    assert_eq!(read_whole(&driver, &path(BLOB)).await, pattern(10));
}

/// Without a source there is no publish, and the target stays.
pub async fn publishing_needs_a_source(driver: Arc<dyn Driver>) {
    driver.put(&path(BLOB), pattern(10)).await.unwrap();
    driver.put(&path("/directory/file"), pattern(10)).await.unwrap();
    for source in [UPLOAD, "/directory", "/directory/absent"] {
        let source = path(source);
        assert_not_found(driver.publish(&source, &path(BLOB)).await, &source);
        assert_not_found(driver.publish(&source, &path("/new/target")).await, &source);
    }
    assert_eq!(read_whole(&driver, &path(BLOB)).await, pattern(10));
    assert_not_found(driver.stat(&path("/new/target")).await, &path("/new/target"));
}

/// A writer may keep its file until it has been published.
pub async fn publishing_works_under_an_open_appender(driver: Arc<dyn Driver>) {
    let mut appender = driver.append(&path(UPLOAD)).await.unwrap();
    appender.append(vec![pattern(1000)]).await.unwrap();
    driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    drop(appender);
    assert_eq!(read_whole(&driver, &path(BLOB)).await, pattern(1000));
}

/// The empty blob is a blob.
pub async fn publishing_an_empty_file(driver: Arc<dyn Driver>) {
    upload(&driver, Bytes::new()).await;
    driver.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert_eq!(driver.get(&path(BLOB), 0).await.unwrap(), "");
}
