//! Bodies that break off.

use proxy::MirrorError;
use proxy::limits::RESUMES_MAX;

use crate::fake::{Act, FakeRegistry};
use crate::support::{Setup, Store, THERE, content, hurried, read};

const SIZE: usize = 400_000;

#[tokio::test]
async fn the_rest_is_asked_of_the_next_endpoint() {
    let content = content(SIZE);
    for store in Store::each().await {
        let (one, other) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let digest = one.put_blob(THERE, &content);
        other.put_blob(THERE, &content);
        one.fail("GET ", 1, Act::CutAt(100_000));
        let pulling = Setup::of(&[&one, &other]).over(&store);
        assert!(pulling.blob(&digest).await == content, "{}", store.label);
        assert_eq!((one.count("GET "), other.count("GET ")), (1, 1));
        let range = other.seen()[0].headers["range"].clone();
        assert_eq!(range, "bytes=100000-");
        pulling.landed().await;
        assert!(pulling.has(&digest).await);
    }
}

#[tokio::test]
async fn what_moves_may_break_off_often() {
    let content = content(SIZE);
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content);
    // Each of them gets it a bit further.
    fake.fail("GET ", RESUMES_MAX as usize + 3, Act::CutAt(20_000));
    let pulling = Setup::of(&[&fake]).over(&Store::memory());
    assert!(hurried(pulling.blob(&digest)).await == content);
    assert_eq!(fake.count("GET "), RESUMES_MAX as usize + 4);
}

#[tokio::test]
async fn it_is_given_up_after_so_many_failures_in_a_row() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content(SIZE));
        fake.fail("GET ", 1, Act::HangAt(100_000));
        let pulling = Setup::of(&[&fake]).over(&store);
        let blob = pulling.open(&digest).await.unwrap();
        fake.mend();
        fake.fail("GET ", usize::MAX, Act::status(503));
        let (bytes, error) = hurried(read(&blob)).await;
        assert!(bytes.len() <= 100_000);
        let error = error.unwrap();
        assert!(error.contains("upstream up answered 503"), "{}: {error}", store.label);
        assert_eq!(fake.count("GET "), 1 + RESUMES_MAX as usize);
        store.assert_empty().await;
        // Who asks after that asks anew.
        let error = pulling.open(&digest).await.unwrap_err();
        let MirrorError::Upstream(error) = error else { panic!("{error:?}") };
        assert_eq!(error.status().unwrap().as_u16(), 503);
    }
}

#[tokio::test]
async fn another_size_is_another_blob() {
    let store = Store::memory();
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content(SIZE));
    fake.fail("GET ", 1, Act::HangAt(100_000));
    let pulling = Setup::of(&[&fake]).over(&store);
    let blob = pulling.open(&digest).await.unwrap();
    fake.put_blob_as(THERE, &digest, &content(SIZE + 1));
    let (bytes, error) = hurried(read(&blob)).await;
    assert!(bytes.len() <= 100_000);
    assert!(error.unwrap().contains("had 400000 bytes and now has 400001"));
    assert_eq!(fake.count("GET "), 2);
    store.assert_empty().await;
}

#[tokio::test]
async fn a_no_is_final_at_the_endpoint_that_says_it_and_at_no_other() {
    let content = content(SIZE);
    for status in [400, 401, 403, 404, 416] {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, Act::HangAt(100_000));
        let pulling = Setup::of(&[&fake]).over(&Store::memory());
        let blob = pulling.open(&digest).await.unwrap();
        fake.mend();
        fake.fail("GET ", usize::MAX, Act::status(status));
        let (bytes, error) = hurried(read(&blob)).await;
        assert!(bytes.len() <= 100_000);
        assert!(error.unwrap().contains(&format!("answered {status}")));
        assert_eq!(fake.count("GET "), 2, "{status}");
    }
    for status in [401, 403, 404] {
        let (one, other) = (FakeRegistry::start().await, FakeRegistry::start().await);
        let digest = one.put_blob(THERE, &content);
        one.fail("GET ", 1, Act::CutAt(100_000));
        other.fail("GET ", usize::MAX, Act::status(status));
        let pulling = Setup::of(&[&one, &other]).over(&Store::memory());
        assert!(hurried(pulling.blob(&digest)).await == content, "{status}");
        assert_eq!((one.count("GET "), other.count("GET ")), (2, 1), "{status}");
    }
}

#[tokio::test]
async fn what_passes_is_not_final() {
    let content = content(SIZE);
    for status in [408, 429, 500, 503] {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, Act::HangAt(100_000));
        let pulling = Setup::of(&[&fake]).over(&Store::memory());
        let blob = pulling.open(&digest).await.unwrap();
        fake.mend();
        fake.fail("GET ", 3, Act::status(status));
        let (bytes, error) = hurried(read(&blob)).await;
        assert_eq!(error, None, "{status}");
        assert!(bytes == content);
        assert_eq!(fake.count("GET "), 5, "{status}");
    }
}
