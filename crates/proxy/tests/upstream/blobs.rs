//! Blobs.

use std::time::Duration;

use proxy::UpstreamError;

use crate::fake::{Act, FakeRegistry};
use crate::{all, asking, content, impatient, name, upstream};

const SIZE: usize = 300_000;

#[tokio::test]
async fn a_blob_comes_from_any_offset() {
    let content = content(SIZE);
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content);
    let upstream = upstream(&registry);
    assert_eq!(upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap(), SIZE as u64);
    for (act, label) in
        [(None, "range"), (Some(Act::WholeBody), "no range"), (Some(Act::Chunked), "chunks")]
    {
        if let Some(act) = act {
            registry.fail("GET ", usize::MAX, act);
        }
        for from in [0, 1, 65_536, SIZE - 1] {
            let body = upstream.blob(&name("a"), &digest, from as u64, &asking()).await.unwrap();
            assert_eq!(body.size_bytes, SIZE as u64);
            let (bytes, error) = all(body).await;
            assert!(error.is_none(), "{label} {from}: {error:?}");
            assert!(bytes == content[from..], "{label} {from}: {} bytes", bytes.len());
        }
        registry.mend();
    }
    assert!(
        registry
            .seen()
            .iter()
            .any(|seen| { seen.headers.get("range").is_some_and(|range| range == "bytes=65536-") })
    );
}

#[tokio::test]
async fn a_blob_that_has_ended_before_says_where() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content(SIZE));
    for from in [SIZE, SIZE + 10] {
        let there = upstream(&registry);
        let body = there.blob(&name("a"), &digest, from as u64, &asking()).await.unwrap();
        assert_eq!(body.size_bytes, SIZE as u64);
        assert!(matches!(all(body).await, (bytes, None) if bytes.is_empty()));
    }
}

#[tokio::test]
async fn an_empty_blob() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", b"");
    let upstream = upstream(&registry);
    assert_eq!(upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap(), 0);
    let body = upstream.blob(&name("a"), &digest, 0, &asking()).await.unwrap();
    assert_eq!(body.size_bytes, 0);
    assert!(matches!(all(body).await, (bytes, None) if bytes.is_empty()));
    registry.fail("HEAD ", 1, Act::status(405));
    assert_eq!(upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_size_is_had_from_the_first_byte_where_head_does_not_say_it() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content(SIZE));
    for act in [Act::status(405), Act::Chunked] {
        registry.fail("HEAD ", 1, act);
        let size = upstream(&registry).stat_blob(&name("a"), &digest, &asking()).await.unwrap();
        assert_eq!(size, SIZE as u64);
    }
    assert_eq!(registry.count("GET "), 2);
}

#[tokio::test]
async fn a_body_that_ends_too_early() {
    let content = content(SIZE);
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content);
    let upstream = impatient(&[registry.url()]);
    for (act, expected) in
        [(Act::CutAt(100_000), 100_000), (Act::HangAt(70_000), 70_000), (Act::LengthOff(10), SIZE)]
    {
        registry.fail("GET ", 1, act.clone());
        let body = upstream.blob(&name("a"), &digest, 0, &asking()).await.unwrap();
        let (bytes, error) = all(body).await;
        let Some(UpstreamError::Cut { at_bytes, .. }) = error else { panic!("{act:?} {error:?}") };
        assert_eq!((at_bytes, bytes.len()), (expected as u64, expected), "{act:?}");
        assert!(bytes == content[..expected]);
        // And it goes on where it ended.
        if expected < SIZE {
            let rest = upstream.blob(&name("a"), &digest, at_bytes, &asking()).await.unwrap();
            assert!(all(rest).await.0 == content[expected..]);
        }
    }
    registry.fail("GET ", 1, Act::CutAt(50));
    let body = upstream.blob(&name("a"), &digest, 1000, &asking()).await.unwrap();
    let (bytes, error) = all(body).await;
    assert!(matches!(error, Some(UpstreamError::Cut { at_bytes: 1050, .. })), "{error:?}");
    assert_eq!(bytes, content[1000..1050]);
    assert_eq!(upstream.health().requests.cut, 4);
}

#[tokio::test]
async fn a_length_that_is_too_small_gives_no_more_than_that() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content(SIZE));
    registry.fail("GET ", 1, Act::LengthOff(-10));
    let body = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap();
    assert_eq!(body.size_bytes, SIZE as u64 - 10);
    assert_eq!(all(body).await.0.len(), SIZE - 10);
}

#[tokio::test]
async fn more_than_was_said() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content(SIZE));
    registry.fail("GET ", 1, Act::Chunked);
    registry.fail("HEAD ", 1, Act::LengthOff(-10));
    let body = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap();
    let (_, error) = all(body).await;
    assert!(matches!(error, Some(UpstreamError::Invalid { .. })), "{error:?}");
}

#[tokio::test]
async fn another_part_than_was_asked_for() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content(SIZE));
    registry.fail("GET ", 1, Act::Header("content-range", "bytes 5-9/300000".to_owned()));
    let error = upstream(&registry).blob(&name("a"), &digest, 10, &asking()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_body_is_waited_for_while_it_moves() {
    let content = content(40);
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", &content);
    registry.fail("GET ", 1, Act::Pace(10, Duration::from_millis(200)));
    let body = impatient(&[registry.url()]).blob(&name("a"), &digest, 0, &asking()).await.unwrap();
    assert!(matches!(all(body).await, (bytes, None) if bytes == content));
}

#[tokio::test]
async fn a_blob_that_is_not_there() {
    let registry = FakeRegistry::start().await;
    let digest = FakeRegistry::start().await.put_blob("a", b"x");
    let upstream = upstream(&registry);
    assert!(upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap_err().is_not_found());
    assert!(upstream.blob(&name("a"), &digest, 0, &asking()).await.unwrap_err().is_not_found());
}
