//! Reading what was written.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use super::{assert_not_found, path, pattern, read, read_whole};
use crate::limits::STREAM_PIECE_BYTES;
use crate::{Change, Driver, EntryKind, StorageError};

/// What is put can be read in every way, and the directories above it appear.
pub async fn content_is_kept(driver: Arc<dyn Driver>) {
    let at = path("/docker/registry/v2/repositories/a/b/link");
    let content = Bytes::from_static(b"sha256:abc");
    driver.put(&at, content.clone()).await.unwrap();
    assert_eq!(driver.get(&at, 10).await.unwrap(), content);
    assert_eq!(read_whole(&driver, &at).await, content);
    let stat = driver.stat(&at).await.unwrap();
    assert_eq!((stat.kind, stat.size_bytes), (EntryKind::File, 10));
    let parent = driver.stat(&at.parent().unwrap()).await.unwrap();
    assert_eq!((parent.kind, parent.size_bytes), (EntryKind::Directory, 0));
}

/// A second put takes the place of the first, whichever is longer.
pub async fn content_is_replaced(driver: Arc<dyn Driver>) {
    let at = path("/a/file");
    for length in [100, 10, 0, 1000] {
        driver.put_unsynced(&at, pattern(length + 1)).await.unwrap();
        assert_eq!(driver.get(&at, 1001).await.unwrap(), pattern(length + 1));
        driver.put(&at, pattern(length)).await.unwrap();
        driver.settle(&at).await.unwrap();
        assert_eq!(driver.get(&at, 1000).await.unwrap(), pattern(length));
        assert_eq!(driver.open(&at).await.unwrap().size_bytes(), length as u64);
        assert_eq!(super::names(&driver, "/a").await, ["file"]);
    }
}

/// A file of no bytes is a file.
pub async fn empty_files(driver: Arc<dyn Driver>) {
    let at = path("/empty");
    driver.put(&at, Bytes::new()).await.unwrap();
    assert_eq!(driver.get(&at, 0).await.unwrap(), "");
    assert_eq!(driver.stat(&at).await.unwrap().size_bytes, 0);
    assert_eq!(read_whole(&driver, &at).await, b"");
}

/// Every name that the grammar of paths allows can be a file and a directory.
pub async fn names_of_all_kinds(driver: Arc<dyn Driver>) {
    let long = "n".repeat(200);
    for name in
        ["a", "A", "0", "-", "_", "...", ".hidden", "a..b", "a.tmp", "--x", "Az09._-", &long]
    {
        let at = path(&format!("/names/{name}/{name}"));
        driver.put(&at, Bytes::copy_from_slice(name.as_bytes())).await.unwrap();
        assert_eq!(driver.get(&at, 1000).await.unwrap(), name);
        assert_eq!(super::names(&driver, &format!("/names/{name}")).await, [name]);
    }
    assert_eq!(super::names(&driver, "/names").await.len(), 12);
}

/// `get` gives as many bytes as it is allowed and not one more.
pub async fn limits_are_kept(driver: Arc<dyn Driver>) {
    let at = path("/file");
    driver.put(&at, pattern(100)).await.unwrap();
    assert_eq!(driver.get(&at, 100).await.unwrap(), pattern(100));
    match driver.get(&at, 99).await {
        Err(StorageError::TooLarge { path, size_bytes: 100, limit_bytes: 99 }) => {
            assert_eq!(path, at);
        }
        other => panic!("{other:?}"),
    }
}

/// Nothing there is [`StorageError::NotFound`], and names the path.
pub async fn what_is_absent_is_not_found(driver: Arc<dyn Driver>) {
    driver.put(&path("/there/file"), Bytes::new()).await.unwrap();
    for at in ["/absent", "/there/absent", "/absent/file", "/there/fil", "/ther"] {
        let at = path(at);
        assert_not_found(driver.get(&at, 10).await, &at);
        assert_not_found(driver.open(&at).await, &at);
        assert_not_found(driver.stat(&at).await, &at);
        assert_not_found(driver.list(&at).await, &at);
        assert_not_found(driver.listing_version(&at).await, &at);
        assert_not_found(driver.delete(&at).await, &at);
        driver.delete_empty(&at).await.unwrap();
    }
}

/// A directory is not found as a file, nor a file as a directory.
pub async fn the_other_kind_is_not_found(driver: Arc<dyn Driver>) {
    let file = path("/directory/file");
    driver.put(&file, Bytes::from_static(b"x")).await.unwrap();
    let directory = path("/directory");
    assert_not_found(driver.get(&directory, 10).await, &directory);
    assert_not_found(driver.open(&directory).await, &directory);
    assert_not_found(driver.list(&file).await, &file);
    assert_not_found(driver.listing_version(&file).await, &file);
    let below = path("/directory/file/below");
    assert_not_found(driver.get(&below, 10).await, &below);
    assert_not_found(driver.stat(&below).await, &below);
    assert_not_found(driver.list(&below).await, &below);
}

/// A large file arrives whole, in pieces that are neither empty nor too large.
pub async fn large_files_stream_in_bounded_pieces(driver: Arc<dyn Driver>) {
    let at = path("/large");
    let content = pattern(5 * 1024 * 1024 + 17);
    driver.put(&at, content.clone()).await.unwrap();
    let object = driver.open(&at).await.unwrap();
    assert_eq!(object.size_bytes(), content.len() as u64);
    let mut stream = object.stream(0..content.len() as u64);
    let mut offset = 0;
    // All pieces are kept, so that a buffer which is used again too early shows.
    let mut kept = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        assert!((1..=STREAM_PIECE_BYTES).contains(&piece.len()), "{}", piece.len());
        offset += piece.len();
        kept.push(piece);
    }
    assert_eq!(offset, content.len());
    assert_eq!(kept.concat(), content);
    // Whoever asks again at the end is told so again.
    assert!(stream.next().await.is_none());
    // And again, with each piece dropped before the next is asked for.
    assert_eq!(read_whole(&driver, &at).await, content);
}

/// Any part of a file can be had: none, one byte, across pieces, to the end, the whole.
pub async fn every_range_streams(driver: Arc<dyn Driver>) {
    let at = path("/file");
    let piece = STREAM_PIECE_BYTES as u64;
    let size = 2 * piece + 100;
    let content = pattern(2 * STREAM_PIECE_BYTES + 100);
    driver.put(&at, content.clone()).await.unwrap();
    let object = driver.open(&at).await.unwrap();
    let edges = [0, 1, 99, piece - 1, piece, piece + 1, 2 * piece, size - 1, size];
    for from in edges {
        for to in edges.into_iter().filter(|&to| to >= from) {
            let got = read(&object, from..to).await.unwrap();
            assert_eq!(got, content[from as usize..to as usize], "{from}..{to}");
        }
    }
}

/// A reader is never given fewer bytes than it asked for without an error.
pub async fn ranges_beyond_the_end_fail(driver: Arc<dyn Driver>) {
    let at = path("/file");
    driver.put(&at, pattern(10)).await.unwrap();
    let object = driver.open(&at).await.unwrap();
    for range in [0..11, 10..11, 20..30] {
        let mut stream = Arc::clone(&object).stream(range.clone());
        let mut failed = false;
        while let Some(piece) = stream.next().await {
            assert!(!failed, "something followed the error");
            failed = piece.is_err();
        }
        assert!(failed, "{range:?}");
    }
}

/// What is open stays readable when it is deleted or replaced.
pub async fn open_files_outlive_their_path(driver: Arc<dyn Driver>) {
    let content = pattern(3 * STREAM_PIECE_BYTES);
    let size = content.len() as u64;
    let (deleted, replaced, published) = (path("/d/a"), path("/d/b"), path("/d/c"));
    let mut open = Vec::new();
    for at in [&deleted, &replaced, &published] {
        driver.put(at, content.clone()).await.unwrap();
        let object = driver.open(at).await.unwrap();
        let mut stream = Arc::clone(&object).stream(0..size);
        let first = stream.next().await.unwrap().unwrap();
        open.push((object, stream, first.to_vec()));
    }
    driver.delete(&deleted).await.unwrap();
    driver.put(&replaced, Bytes::from_static(b"new")).await.unwrap();
    driver.put(&path("/source"), Bytes::from_static(b"new")).await.unwrap();
    driver.publish(&path("/source"), &published).await.unwrap();
    for (object, mut stream, mut got) in open {
        while let Some(piece) = stream.next().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(got, content);
        assert_eq!(read(&object, 5..size).await.unwrap(), content[5..]);
    }
}

/// A reader that goes away early does no harm.
pub async fn streams_can_be_dropped(driver: Arc<dyn Driver>) {
    let at = path("/file");
    driver.put(&at, pattern(1024 * 1024)).await.unwrap();
    let object = driver.open(&at).await.unwrap();
    for _ in 0..20 {
        let mut stream = Arc::clone(&object).stream(0..1024 * 1024);
        drop(stream.next().now_or_never());
    }
    assert_eq!(read_whole(&driver, &at).await, pattern(1024 * 1024));
}

/// The time of a file is about when it was written.
pub async fn stat_tells_the_time(driver: Arc<dyn Driver>) {
    let slack = Duration::from_secs(5);
    let before = SystemTime::now() - slack;
    driver.put(&path("/d/file"), Bytes::new()).await.unwrap();
    for at in ["/d/file", "/d"] {
        let stat = driver.stat(&path(at)).await.unwrap();
        assert!(stat.kind == EntryKind::Directory || stat.modified >= before, "{stat:?}");
        assert!(stat.modified <= SystemTime::now() + slack, "{stat:?}");
    }
}

/// Changes made together are as those made one after the other.
pub async fn changes_are_made_together(driver: Arc<dyn Driver>) {
    let text = |content: &'static str| Bytes::from_static(content.as_bytes());
    let put = |at: &str, content| Change::put(path(at), text(content));
    let put_into = |at: &str, content, reuse: &str| Change::Put {
        path: path(at),
        content: text(content),
        reuse: Some(path(reuse)),
    };
    let note = |at: &str, content| Change::Note { path: path(at), content: text(content) };
    let publish = || Change::Publish { from: path("/up/data"), to: path("/blobs/x/data") };
    driver.put(&path("/tags/current"), text("old")).await.unwrap();
    driver.put(&path("/up/data"), pattern(1000)).await.unwrap();
    driver.apply(vec![vec![note("/up/note", "note"), note("/up/empty", "")]]).await.unwrap();
    assert_eq!(driver.get(&path("/up/note"), 100).await.unwrap(), "note");
    assert_eq!(driver.get(&path("/up/empty"), 100).await.unwrap(), "");
    let stages = vec![
        vec![publish(), put_into("/links/a", "a", "/up/note"), put("/links/empty", "")],
        vec![put("/tags/current", "new"), put_into("/tags/other", "other", "/not/there")],
    ];
    driver.apply(stages).await.unwrap();
    assert_eq!(read_whole(&driver, &path("/blobs/x/data")).await, pattern(1000));
    assert_eq!(driver.list(&path("/blobs/x")).await.unwrap().entries.len(), 1);
    for (at, content) in [
        ("/links/a", "a"),
        ("/links/empty", ""),
        ("/tags/current", "new"),
        ("/tags/other", "other"),
    ] {
        assert_eq!(driver.get(&path(at), 100).await.unwrap(), content, "{at}");
    }
    assert!(driver.stat(&path("/up")).await.unwrap_err().is_not_found());

    // What has the right size already is left where it is, and what came for it goes.
    driver.put(&path("/up/data"), Bytes::from(vec![0; 1000])).await.unwrap();
    driver.put(&path("/up/note"), text("note")).await.unwrap();
    let again = vec![vec![publish()], vec![put_into("/links/a", "a", "/up/note")]];
    driver.apply(again).await.unwrap();
    assert_eq!(read_whole(&driver, &path("/blobs/x/data")).await, pattern(1000));
    assert!(driver.stat(&path("/up")).await.unwrap_err().is_not_found());
    // What has another size is replaced.
    driver.put(&path("/up/data"), pattern(500)).await.unwrap();
    driver.apply(vec![vec![publish(), put("/links/a", "other")]]).await.unwrap();
    assert_eq!(read_whole(&driver, &path("/blobs/x/data")).await, pattern(500));
    assert_eq!(driver.get(&path("/links/a"), 100).await.unwrap(), "other");
    assert!(driver.stat(&path("/up")).await.unwrap_err().is_not_found());
    // Without a source there is nothing to move, and nothing at all is fine.
    let error = driver.apply(vec![vec![publish()]]).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    driver.apply(Vec::new()).await.unwrap();
}
