//! The driver on a store in memory.

use bytes::Bytes;
use storage::{Driver as _, StorageError, StoragePath};

use crate::Objects;
use crate::staging::record::{Head, Multipart, Part};
use crate::testing::replicas;

mod in_memory {
    use std::sync::Arc;

    storage::conformance_tests!(every: {
        let driver = super::replicas().0;
        driver.probe(false).await.unwrap();
        (Arc::new(driver) as Arc<dyn storage::Driver>, ())
    });
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

const UPLOAD: &str = "/r/_uploads/1/data";
const BLOB: &str = "/blobs/data";

async fn append(objects: &Objects, content: Bytes) -> storage::Result<()> {
    let mut appender = objects.append(&path(UPLOAD)).await?;
    appender.append(vec![content]).await?;
    appender.keep().await
}

fn bytes(seed: u8, length: usize) -> Bytes {
    (0..length).map(|at| seed.wrapping_add((at % 251) as u8)).collect()
}

async fn content(objects: &Objects, at: &str) -> Bytes {
    objects.get(&path(at), u64::MAX).await.unwrap()
}

#[tokio::test]
async fn replicas_take_turns_in_one_upload() {
    let (one, other) = replicas();
    one.probe(false).await.unwrap();
    let mut expected = Vec::new();
    for (turn, length) in [100, 6_000_000, 0, 11_000_000, 7].into_iter().enumerate() {
        let objects = if turn % 2 == 0 { &one } else { &other };
        assert_eq!(
            objects.append(&path(UPLOAD)).await.unwrap().size_bytes(),
            expected.len() as u64
        );
        let chunk = bytes(turn as u8, length);
        append(objects, chunk.clone()).await.unwrap();
        expected.extend_from_slice(&chunk);
        let stat = one.stat_staged(&path(UPLOAD)).await.unwrap();
        assert_eq!(stat.size_bytes, expected.len() as u64);
    }
    other.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert!(content(&one, BLOB).await == expected);
    assert!(one.stat(&path("/r")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn of_two_replicas_in_one_upload_at_once_one_is_told() {
    let (one, other) = replicas();
    for objects in [&one, &other] {
        objects.probe(false).await.unwrap();
    }
    append(&one, bytes(0, 10)).await.unwrap();
    let mut first = one.append(&path(UPLOAD)).await.unwrap();
    let mut second = other.append(&path(UPLOAD)).await.unwrap();
    first.append(vec![bytes(1, 6_000_000)]).await.unwrap();
    second.append(vec![bytes(2, 6_000_000)]).await.unwrap();
    first.keep().await.unwrap();
    match second.keep().await {
        Err(StorageError::Busy { .. }) => {}
        other => panic!("{other:?}"),
    }
    drop((first, second));
    let stat = other.stat_staged(&path(UPLOAD)).await.unwrap();
    assert_eq!(stat.size_bytes, 6_000_010);
}

#[tokio::test]
async fn what_is_sent_to_its_final_path_is_not_seen_before_its_end_and_not_copied() {
    let (objects, _) = replicas();
    let mut appender = objects.append_toward(&path(UPLOAD), &path(BLOB)).await.unwrap();
    appender.append(vec![bytes(3, 12_000_000)]).await.unwrap();
    appender.keep().await.unwrap();
    assert!(objects.stat(&path(BLOB)).await.unwrap_err().is_not_found());
    // Another file than it was begun as can't be made of it.
    assert!(objects.publish(&path(UPLOAD), &path("/blobs/other")).await.is_err());
    assert!(objects.stat(&path("/blobs/other")).await.unwrap_err().is_not_found());
    objects.publish(&path(UPLOAD), &path(BLOB)).await.unwrap();
    assert!(content(&objects, BLOB).await == bytes(3, 12_000_000));
    assert!(appender.append(vec![bytes(0, 1)]).await.is_err());
}

#[tokio::test]
async fn a_damaged_record_is_an_error_and_not_an_empty_file() {
    let (objects, _) = replicas();
    append(&objects, bytes(1, 10)).await.unwrap();
    let record = path(&format!("{UPLOAD}.wharf-upload"));
    let whole = objects.get(&record, 10_000).await.unwrap();
    objects.put(&record, whole.slice(..whole.len() - 1)).await.unwrap();
    for error in [
        objects.append(&path(UPLOAD)).await.err(),
        objects.open_staged(&path(UPLOAD)).await.err(),
        objects.publish(&path(UPLOAD), &path(BLOB)).await.err(),
    ] {
        let text = error.unwrap().to_string();
        assert!(text.contains("damaged"), "{text}");
    }
    // Its directory can be deleted all the same.
    objects.delete(&path("/r/_uploads/1")).await.unwrap();
    append(&objects, bytes(1, 10)).await.unwrap();
}

#[tokio::test]
async fn what_is_too_much_for_a_record_is_a_part() {
    // The record of an upload with as many parts as a large blob has.
    const PARTS: usize = 5000;
    let (one, other) = replicas();
    let key = one.client.root.key("begin", &path(UPLOAD)).unwrap();
    let id = one.client.begin(&path(UPLOAD), &key).await.unwrap();
    let part = || Part { id: "\"x\"".into(), size_bytes: 1 };
    let parts = std::iter::repeat_with(part).take(PARTS).collect();
    let head = Head::new(0, Some(Multipart { key: key.into(), id, parts }), 0);
    let record = path(&format!("{UPLOAD}.wharf-upload"));
    one.put(&record, head.encode()).await.unwrap();
    // The next part has 160 MiB: all of this is gathered at the end.
    let piece = bytes(0, 1 << 20);
    let mut expected = PARTS as u64;
    for (objects, mebibytes) in [(&one, 130), (&other, 1)] {
        let mut appender = objects.append(&path(UPLOAD)).await.unwrap();
        assert_eq!(appender.size_bytes(), expected);
        appender.append(vec![piece.clone(); mebibytes]).await.unwrap();
        appender.keep().await.unwrap();
        expected += (mebibytes << 20) as u64;
    }
    assert_eq!(one.stat_staged(&path(UPLOAD)).await.unwrap().size_bytes, expected);
    let record = one.stat(&record).await.unwrap();
    assert!(record.size_bytes < 2 << 20, "{record:?}");
}

#[tokio::test]
async fn names_are_sorted_whatever_the_keys_are() {
    let (objects, _) = replicas();
    let names = ["v1", "v1-a", "v1-b", "v1.0", "v1.0-rc", "v1.0.1", "v10", "v2", "v2-x"];
    for name in names {
        objects.put(&path(&format!("/tags/{name}/current/link")), Bytes::new()).await.unwrap();
    }
    for limit in 1..=names.len() {
        for (at, after) in names.iter().enumerate() {
            let page = objects.list_page(&path("/tags"), Some(after), limit).await.unwrap();
            let page: Vec<_> = page.iter().map(|entry| &*entry.name).collect();
            let expected: Vec<_> = names[at + 1..].iter().take(limit).copied().collect();
            assert_eq!(page, expected, "{limit} after {after}");
        }
    }
}

#[tokio::test]
async fn what_a_store_can_do_is_found_out() {
    let (objects, _) = replicas();
    let found = objects.probe(false).await.unwrap();
    assert!(found.conditional_writes && found.lists_after_writes && found.ranges);
    // Nothing is left of it.
    assert!(objects.list(&StoragePath::root()).await.unwrap().entries.is_empty());
    assert!(!objects.probe(true).await.unwrap().conditional_writes);
}
