//! A storage that has no room for what comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use proxy::{FreeSpace, Policy, Prefetch};
use registry::{Body, BodyError};
use serde_json::json;
use tokio::sync::oneshot;

use crate::fake::{Act, FakeRegistry};
use crate::support::{OCI_MANIFEST, Setup, Store, THERE, content, first_piece, read};

const SIZE: usize = 300_000;

/// So many bytes are free.
#[derive(Debug)]
struct Free(AtomicU64);

impl Free {
    fn bytes(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(bytes as u64)))
    }
}

impl FreeSpace for Free {
    fn refuses(&self, size_bytes: u64) -> BoxFuture<'_, Option<String>> {
        let refused = size_bytes > self.0.load(Ordering::SeqCst);
        async move { refused.then(|| "no room".to_owned()) }.boxed()
    }

    fn watched(self: Arc<Self>, body: Body) -> Body {
        Box::pin(body.map(move |piece| match self.0.load(Ordering::SeqCst) {
            0 => Err(BodyError::Refused("no room any more".to_owned())),
            _ => piece,
        }))
    }
}

#[tokio::test]
async fn what_there_is_no_room_for_is_passed_on() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        let pulling = Setup::of(&[&fake]).over(&store);
        let free = Free::bytes(SIZE - 1);
        pulling.mirror.heed(free.clone());
        for asked in 1..3 {
            assert!(pulling.blob(&digest).await == content, "{}", store.label);
            pulling.landed().await;
            assert_eq!(fake.count("GET "), asked);
            store.assert_empty().await;
        }
        free.0.store(SIZE as u64, Ordering::SeqCst);
        assert!(pulling.blob(&digest).await == content, "{}", store.label);
        pulling.landed().await;
        assert!(pulling.has(&digest).await, "{}", store.label);
    }
}

#[tokio::test]
async fn what_is_coming_already_needs_its_room() {
    let store = Store::memory();
    let fake = FakeRegistry::start().await;
    let (first, second) = (fake.put_blob(THERE, &content(SIZE)), fake.put_blob(THERE, &[7; SIZE]));
    let half = Act::Pace(SIZE / 2, Duration::from_millis(500));
    fake.fail(&first.to_string(), 1, half);
    let pulling = Setup::of(&[&fake]).over(&store);
    pulling.mirror.heed(Free::bytes(SIZE + 1000));
    let coming = pulling.open(&first).await.unwrap();
    assert_eq!(pulling.blob(&second).await.len(), SIZE);
    assert!(read(&coming).await.0 == content(SIZE));
    pulling.landed().await;
    assert!(pulling.has(&first).await && !pulling.has(&second).await);
}

#[tokio::test]
async fn a_fetch_ends_when_the_room_does() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content(SIZE));
        fake.fail("GET ", 1, Act::Pace(SIZE / 2, Duration::from_millis(500)));
        let pulling = Setup::of(&[&fake]).over(&store);
        let free = Free::bytes(SIZE);
        pulling.mirror.heed(free.clone());
        let blob = pulling.open(&digest).await.unwrap();
        assert!(!first_piece(&blob).await.is_empty());
        free.0.store(0, Ordering::SeqCst);
        let (bytes, error) = read(&blob).await;
        assert!(bytes.len() < SIZE, "{}", store.label);
        assert!(error.unwrap().contains("no room any more"), "{}", store.label);
        store.assert_empty().await;
        // The next one who asks gets it.
        assert_eq!(pulling.blob(&digest).await.len(), SIZE, "{}", store.label);
    }
}

#[tokio::test]
async fn what_nobody_waits_for_does_not_come_without_room() {
    let store = Store::memory();
    let fake = FakeRegistry::start().await;
    let layer = fake.put_blob(THERE, &content(SIZE));
    let part =
        json!({ "mediaType": "application/test", "digest": layer.to_string(), "size": SIZE });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": part, "layers": [],
    });
    fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, manifest.to_string().as_bytes());
    let policy = Policy { prefetch: Prefetch::Layers, ..Policy::default() };
    let pulling = Setup::of(&[&fake]).policy(policy).over(&store);
    pulling.mirror.heed(Free::bytes(SIZE - 1));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let fetching = tokio::spawn(Arc::clone(&pulling.mirror).fetch_ahead(|| true, stopped));
    pulling.digest("v1").await;
    while pulling.mirror.counts().ahead.waiting > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counts = pulling.mirror.counts();
    assert_eq!((counts.ahead.skipped, counts.fetches.pulled_bytes), (1, 0), "{counts:?}");
    // For a client it comes.
    assert_eq!(pulling.blob(&layer).await.len(), SIZE);
    drop(stop);
    fetching.await.unwrap();
}
