//! Many who want one blob at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use storage::memory::Memory;
use storage::observed::{Action, Observed, Observer, Outcome};

use crate::fake::{Act, FakeRegistry};
use crate::support::{Pulling, Setup, Store, THERE, content, first_piece, read, sha256};

const SIZE: usize = 3 << 20;
const READERS: usize = 50;

/// Half of it, a pause, and the other half.
fn halves() -> Act {
    Act::Pace(SIZE / 2, Duration::from_millis(400))
}

/// The blob, with a pause between its pieces.
async fn slowly(pulling: &Pulling, digest: &oci::Digest) -> Vec<u8> {
    let blob = pulling.open(digest).await.unwrap();
    let mut bytes = Vec::new();
    let mut pieces = Arc::clone(&blob.object).stream(0..SIZE as u64);
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bytes
}

#[tokio::test]
async fn many_readers_cost_one_request_whenever_they_come() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, halves());
        let pulling = Setup::of(&[&fake]).over(&store);
        let early = || {
            let pulling = pulling.clone();
            tokio::spawn(async move { pulling.blob(&digest).await })
        };
        let mut readers: Vec<_> = (0..READERS).map(|_| early()).collect();
        let slow = pulling.clone();
        readers.push(tokio::spawn(async move { slowly(&slow, &digest).await }));
        // Half has come, and can be read already.
        let blob = pulling.open(&digest).await.unwrap();
        assert!(!first_piece(&blob).await.is_empty());
        let fetches = pulling.mirror.counts().fetches;
        assert_eq!((fetches.begun, fetches.in_flight), (1, 1), "{}", store.label);
        readers.push(early());
        for reader in readers {
            assert!(reader.await.unwrap() == content, "{}", store.label);
        }
        assert!(read(&blob).await.0 == content);
        pulling.landed().await;
        let fetches = pulling.mirror.counts().fetches;
        assert_eq!((fetches.begun, fetches.failed), (1, 0));
        assert_eq!(fetches.joined, READERS as u64 + 2);
        assert_eq!(fake.count("GET "), 1, "{}", store.label);
        // And it is here now.
        let offline = Setup::of(&[&fake]).offline().over(&store);
        assert!(offline.blob(&digest).await == content);
        assert!(!store.files().await.iter().any(|path| path.contains("_uploads")));
    }
}

#[tokio::test]
async fn a_wrong_byte_never_looks_right_to_anybody() {
    let content = content(SIZE);
    for store in Store::each().await {
        for wrong in [0, SIZE - 1] {
            let fake = FakeRegistry::start().await;
            let digest = fake.put_blob(THERE, &content);
            fake.fail("GET ", 1, halves());
            fake.fail("GET ", 1, Act::Corrupt(wrong));
            let pulling = Setup::of(&[&fake]).over(&store);
            let readers: Vec<_> = (0..READERS)
                .map(|_| {
                    let pulling = pulling.clone();
                    tokio::spawn(async move { read(&pulling.open(&digest).await.unwrap()).await })
                })
                .collect();
            for reader in readers {
                let (bytes, error) = reader.await.unwrap();
                assert!(bytes.len() < SIZE, "{}: all of it", store.label);
                assert!(error.unwrap().contains("digest"), "{}", store.label);
            }
            assert_eq!(pulling.mirror.counts().fetches.failed, 1);
            assert!(!pulling.has(&digest).await);
            store.assert_empty().await;
            assert!(pulling.blob(&digest).await == content);
            assert_eq!(fake.count("GET "), 2);
            pulling.landed().await;
            store.registry.delete_blob(&pulling.name, &digest).await.unwrap();
            empty(&store, &digest).await;
        }
    }
}

/// Takes the data out as well, for the next round.
async fn empty(store: &Store, digest: &oci::Digest) {
    let driver = store.registry.driver();
    driver.delete(&registry::layout::blob_data(digest)).await.unwrap();
    for path in store.files().await {
        let _ = driver.delete(&storage::StoragePath::parse(path).unwrap()).await;
    }
}

#[tokio::test]
async fn what_comes_for_one_repository_is_no_other_ones() {
    let store = Store::memory();
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content(SIZE));
    let pulling = Setup::of(&[&fake]).over(&store);
    let other = Pulling { name: crate::support::name("up/other"), ..pulling.clone() };
    fake.fail("GET /v2/app/", 1, halves());
    let blob = pulling.open(&digest).await.unwrap();
    // The other repository does not have it, whatever is coming just now.
    assert!(other.open(&digest).await.unwrap_err().is_not_found());
    assert_eq!(sha256(&read(&blob).await.0), digest);
    pulling.landed().await;
    assert!(!other.has(&digest).await);
}

#[tokio::test]
async fn repositories_that_have_it_share_what_is_coming() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.put_blob("other", &content);
        let pulling = Setup::of(&[&fake]).over(&store);
        let other = Pulling { name: crate::support::name("up/other"), ..pulling.clone() };
        fake.fail("GET /v2/app/", 1, halves());
        let blob = pulling.open(&digest).await.unwrap();
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let other = other.clone();
                tokio::spawn(async move { other.blob(&digest).await })
            })
            .collect();
        for reader in readers {
            assert!(reader.await.unwrap() == content, "{}", store.label);
        }
        assert!(read(&blob).await.0 == content);
        let asked = (fake.count("HEAD /v2/other/"), fake.count("GET "));
        assert_eq!(asked, (1, 1), "{}", store.label);
        pulling.landed().await;
        let fetches = pulling.mirror.counts().fetches;
        assert_eq!((fetches.begun, fetches.failed, fetches.in_flight), (1, 0, 0));
        // It is in both of them now.
        while !other.has(&digest).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(pulling.has(&digest).await);
        assert_eq!(fake.seen().len(), 2, "{}", store.label);
    }
}

#[tokio::test]
async fn who_shares_what_fails_fetches_it_then() {
    let content = content(1000);
    let store = Store::memory();
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content);
    fake.put_blob("other", &content);
    let pulling = Setup::of(&[&fake]).over(&store);
    let other = Pulling { name: crate::support::name("up/other"), ..pulling.clone() };
    fake.fail("GET /v2/app/", 1, Act::Corrupt(3));
    fake.fail("GET /v2/app/", 1, Act::Pace(500, Duration::from_millis(400)));
    let first = pulling.clone();
    let first = tokio::spawn(async move { first.open(&digest).await.map(drop) });
    fake.wait_for("GET ", 1).await;
    assert!(other.blob(&digest).await == content);
    assert!(first.await.unwrap().is_err());
    assert!(other.has(&digest).await && !pulling.has(&digest).await);
}

/// Makes whoever does an operation wait after it, so that others overtake him.
#[derive(Debug)]
struct Delaying {
    operation: usize,
    so_far: AtomicUsize,
}

impl Observer for Delaying {
    fn observed(&self, _: Action, _: Duration, _: Outcome) {
        if self.so_far.fetch_add(1, Ordering::Relaxed) == self.operation {
            std::thread::sleep(Duration::from_millis(400));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_overtaken_finds_what_the_other_has_brought() {
    let content = content(1000);
    // After it has looked for the link, and after it has looked for the data.
    for operation in 0..2 {
        let observer = Arc::new(Delaying { operation, so_far: AtomicUsize::new(0) });
        let driver = Observed::new(Arc::new(Memory::new()), Some(observer));
        let store = Store::of("delaying", Arc::new(driver));
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        let pulling = Setup::of(&[&fake]).over(&store);
        let overtaken = pulling.clone();
        let overtaken = tokio::spawn(async move { overtaken.blob(&digest).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(pulling.blob(&digest).await == content);
        assert!(!overtaken.is_finished());
        assert!(overtaken.await.unwrap() == content);
        assert_eq!(fake.count("GET "), 1, "{operation}");
    }
}
