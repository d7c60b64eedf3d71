use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest};
use registry::{BodyError, Chunk, ChunkRange, Error, Options, Registry, UploadId, layout};
use storage::Driver;
use storage::faulty::{Fault, Faulty};
use storage::memory::Memory;

use crate::support::{chunk, files, name, pieces, pull_blob, push_blob, registry, sha256};

fn ranged(start: u64, content: &'static [u8]) -> Chunk {
    let end = start + content.len() as u64 - 1;
    let range = Some(ChunkRange { start, end });
    Chunk { range, content_length: Some(content.len() as u64), ..chunk(content) }
}

#[tokio::test]
async fn in_chunks_across_restarts() {
    let driver = registry().driver().clone();
    let restart = || registry::Registry::new(driver.clone(), registry::Options::default());
    let repo = name("one");
    let id = restart().start_upload(&repo, None).await.unwrap().id;
    // Large enough for the digest's state to be saved, and with a first chunk that is not.
    let parts = [vec![1; 1000], vec![2; 5 << 20], vec![3; 10], vec![4; 3 << 20]];
    let mut size = 0;
    for part in &parts {
        let status = restart().append_upload(&repo, &id, chunk(part.clone())).await.unwrap();
        size += part.len() as u64;
        assert_eq!(status.size_bytes, size);
        assert_eq!(restart().upload_status(&repo, &id).await.unwrap(), status);
    }
    let content = parts.concat();
    let digest = sha256(&content);
    let stat = restart().commit_upload(&repo, &id, &digest, Chunk::empty()).await.unwrap();
    assert_eq!((stat.digest, stat.size_bytes), (digest, size));
    assert!(pull_blob(&restart(), "one", &digest).await == content);
    let left = files(&*driver, "/docker/registry/v2/repositories/one/_uploads").await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_saved_digest_state_is_used_only_for_the_bytes_it_covers() {
    let registry = registry();
    let repo = name("one");
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    registry.append_upload(&repo, &id, chunk(vec![1; 5 << 20])).await.unwrap();
    // Another program cuts the data and appends something of its own.
    let mut appender = registry.driver().append(&layout::upload_data(&repo, &id)).await.unwrap();
    appender.truncate(1 << 20).await.unwrap();
    appender.append(vec![Bytes::from(vec![2; 1 << 20])]).await.unwrap();
    drop(appender);
    let content = [vec![1; 1 << 20], vec![2; 1 << 20], vec![3; 7]].concat();
    let last = chunk(vec![3; 7]);
    registry.commit_upload(&repo, &id, &sha256(&content), last).await.unwrap();
    assert!(pull_blob(&registry, "one", &sha256(&content)).await == content);
}

#[tokio::test]
async fn every_algorithm_with_and_without_announcement() {
    for announced in [None, Some(Algorithm::Sha256), Some(Algorithm::Sha512)] {
        for algorithm in Algorithm::ALL {
            let registry = registry();
            let repo = name("one");
            let id = registry.start_upload(&repo, announced).await.unwrap().id;
            registry.append_upload(&repo, &id, chunk("hello ")).await.unwrap();
            let digest = Digest::of(algorithm, b"hello world");
            registry.commit_upload(&repo, &id, &digest, chunk("world")).await.unwrap();
            assert_eq!(pull_blob(&registry, "one", &digest).await, b"hello world");
        }
    }
}

#[tokio::test]
async fn chunks_must_fit() {
    let registry = registry();
    let repo = name("one");
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    let error = registry.append_upload(&repo, &id, ranged(6, b"world")).await.unwrap_err();
    assert!(matches!(error, Error::RangeInvalid { start: 6, size_bytes: 0 }), "{error}");
    registry.append_upload(&repo, &id, ranged(0, b"hello ")).await.unwrap();
    let again = registry.append_upload(&repo, &id, ranged(0, b"hello ")).await.unwrap_err();
    assert!(matches!(again, Error::RangeInvalid { start: 0, size_bytes: 6 }), "{again}");

    // More or less than the range, announced by a length or not.
    for content_length in [Some(5), None] {
        for (end, expected) in [(9, 4), (20, 15)] {
            let range = Some(ChunkRange { start: 6, end });
            let bad = Chunk { range, content_length, ..chunk("world") };
            let error = registry.append_upload(&repo, &id, bad).await.unwrap_err();
            match error {
                Error::SizeInvalid { expected_bytes, actual_bytes } => {
                    assert_eq!((expected_bytes, actual_bytes), (expected, 5));
                }
                other => panic!("{other}"),
            }
            assert_eq!(registry.upload_status(&repo, &id).await.unwrap().size_bytes, 6);
        }
    }
    let digest = sha256(b"hello world");
    let early = registry.commit_upload(&repo, &id, &digest, ranged(7, b"orld")).await.unwrap_err();
    assert!(matches!(early, Error::RangeInvalid { .. }));
    registry.commit_upload(&repo, &id, &digest, ranged(6, b"world")).await.unwrap();
    assert_eq!(pull_blob(&registry, "one", &digest).await, b"hello world");
}

#[tokio::test]
async fn a_request_that_was_held_up_is_not_taken_twice() {
    let registry = registry();
    let repo = name("one");
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    let at = |offset, content: &'static str| Chunk { offset_bytes: Some(offset), ..chunk(content) };
    registry.append_upload(&repo, &id, at(0, "hello ")).await.unwrap();
    let late = registry.append_upload(&repo, &id, at(0, "hello ")).await.unwrap_err();
    assert!(matches!(late, Error::RangeInvalid { start: 0, size_bytes: 6 }), "{late}");
    registry.commit_upload(&repo, &id, &sha256(b"hello world"), at(6, "world")).await.unwrap();
}

#[tokio::test]
async fn an_oversized_chunk_of_many_batches_is_undone() {
    let registry = registry();
    let repo = name("one");
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    registry.append_upload(&repo, &id, chunk("abc")).await.unwrap();
    let piece = Bytes::from(vec![7; 300 << 10]);
    let bad = Chunk {
        range: Some(ChunkRange { start: 3, end: 3 + (1 << 20) - 1 }),
        ..pieces(vec![Ok(piece.clone()); 8])
    };
    let error = registry.append_upload(&repo, &id, bad).await.unwrap_err();
    assert!(matches!(error, Error::SizeInvalid { .. }), "{error}");
    registry.commit_upload(&repo, &id, &sha256(b"abcdef"), chunk("def")).await.unwrap();
}

#[tokio::test]
async fn a_wrong_digest_ends_the_upload_and_stores_nothing() {
    let registry = registry();
    let repo = name("one");
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    let wrong = sha256(b"other");
    let error = registry.commit_upload(&repo, &id, &wrong, chunk("content")).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    let gone = registry.upload_status(&repo, &id).await.unwrap_err();
    assert!(matches!(gone, Error::UploadUnknown { .. }));
    let error = registry.put_blob(&repo, &wrong, chunk("content")).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }));
    let left = files(&**registry.driver(), "/").await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_kept_up_to_there() {
    let broken = || Err(BodyError::Disconnected("reset".into()));
    let piece = Bytes::from(vec![9; 200 << 10]);
    for count in [0, 1, 9] {
        let registry = registry();
        let repo = name("one");
        let id = registry.start_upload(&repo, None).await.unwrap().id;
        let mut body = vec![Ok(piece.clone()); count];
        body.push(broken());
        let error = registry.append_upload(&repo, &id, pieces(body)).await.unwrap_err();
        assert!(matches!(error, Error::Body(BodyError::Disconnected(_))));
        let size_bytes = registry.upload_status(&repo, &id).await.unwrap().size_bytes;
        assert_eq!(size_bytes, (count * piece.len()) as u64);
        let content = vec![9; count * piece.len() + 3];
        let last = chunk(vec![9; 3]);
        registry.commit_upload(&repo, &id, &sha256(&content), last).await.unwrap();
    }
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let registry = registry();
    let repo = name("one");
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let slow = Chunk {
        range: None,
        offset_bytes: None,
        content_length: None,
        body: Box::pin(futures_util::stream::once(async move {
            receive.await.ok();
            Ok(Bytes::from_static(b"slow"))
        })),
    };
    let registry = std::sync::Arc::new(registry);
    let first = tokio::spawn({
        let (registry, repo, id) = (registry.clone(), repo.clone(), id.clone());
        async move { registry.append_upload(&repo, &id, slow).await }
    });
    tokio::task::yield_now().await;
    let busy = registry.append_upload(&repo, &id, chunk("second")).await.unwrap_err();
    assert!(matches!(busy, Error::UploadBusy { .. }), "{busy}");
    send.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap().size_bytes, 4);
    registry.commit_upload(&repo, &id, &sha256(b"slow"), Chunk::empty()).await.unwrap();
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let registry = registry();
    let id = registry.start_upload(&name("one"), None).await.unwrap().id;
    let other = name("two");
    let digest = sha256(b"");
    for error in [
        registry.upload_status(&other, &id).await.map(|_| ()).unwrap_err(),
        registry.append_upload(&other, &id, chunk("x")).await.map(|_| ()).unwrap_err(),
        registry.commit_upload(&other, &id, &digest, Chunk::empty()).await.map(|_| ()).unwrap_err(),
        registry.cancel_upload(&other, &id).await.unwrap_err(),
        registry.upload_status(&name("one"), &UploadId::random()).await.map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::UploadUnknown { .. }), "{error}");
    }
    registry.upload_status(&name("one"), &id).await.unwrap();
    registry.cancel_upload(&name("one"), &id).await.unwrap();
    let again = registry.cancel_upload(&name("one"), &id).await.unwrap_err();
    assert!(matches!(again, Error::UploadUnknown { .. }));
}

#[tokio::test]
async fn the_empty_blob_and_a_blob_that_is_there_already() {
    let registry = registry();
    let empty = push_blob(&registry, "one", b"").await;
    assert_eq!(pull_blob(&registry, "one", &empty).await, b"");
    let digest = push_blob(&registry, "one", b"layer").await;
    push_blob(&registry, "two", b"layer").await;
    assert_eq!(pull_blob(&registry, "two", &digest).await, b"layer");
}

#[tokio::test]
async fn the_start_time_is_written_as_distribution_does() {
    let registry = registry();
    let repo = name("one");
    let upload = registry.start_upload(&repo, None).await.unwrap();
    let path = layout::upload_started_at(&repo, &upload.id);
    let text = registry.driver().get(&path, 100).await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert_eq!((text.len(), text.ends_with('Z')), ("2026-01-02T03:04:05Z".len(), true), "{text}");
    assert_eq!(text.parse::<jiff::Timestamp>().unwrap(), upload.started_at);
}

/// A client that sends and sends does not keep a failure from being reported, nor can what came
/// before it be lost or counted twice.
#[tokio::test]
async fn a_write_that_fails_ends_the_receiving() {
    for fault in Fault::ALL {
        for write in [1, 2, 7] {
            let inner: Arc<dyn Driver> = Arc::new(Memory::new());
            let faulty = Faulty::new(Arc::clone(&inner));
            let registry = Registry::new(Arc::new(faulty.clone()), Options::default());
            let repo = name("one");
            let id = registry.start_upload(&repo, None).await.unwrap().id;
            // Behind that of the opening.
            faulty.fail_at(faulty.operations() + write, fault);
            let piece = Bytes::from(vec![9; 50 << 10]);
            let endless = futures_util::stream::repeat_with(move || Ok(piece.clone()));
            let body = Chunk { body: Box::pin(endless), ..pieces(vec![]) };
            let error = registry.append_upload(&repo, &id, body).await.unwrap_err();
            assert!(matches!(error, Error::Storage(_)), "{error}");
            // As after a restart: what is there is a prefix, and can be gone on from.
            let registry = Registry::new(inner, Options::default());
            let size_bytes = registry.upload_status(&repo, &id).await.unwrap().size_bytes;
            let content = vec![9; usize::try_from(size_bytes).unwrap() + 3];
            let last = chunk(vec![9; 3]);
            registry.commit_upload(&repo, &id, &sha256(&content), last).await.unwrap();
        }
    }
}
