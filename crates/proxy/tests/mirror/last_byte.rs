//! The last byte of what is coming: not before it is known to be right, and no later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use storage::observed::{Action, Observed, Observer, Outcome};

use crate::fake::{Act, FakeRegistry};
use crate::support::{Setup, Store, THERE, content, read};

const SIZE: usize = 300_000;

/// A storage that, when it is told to, stands still where a commit looks what there is already: the
/// digest was compared then, and nothing has its place yet.
#[derive(Debug, Default)]
struct Still {
    is_told: AtomicBool,
    is_free: Mutex<bool>,
    freed: Condvar,
}

impl Observer for Still {
    fn observed(&self, action: Action, _: Duration, _: Outcome) {
        if matches!(action, Action::Stat | Action::GetContent)
            && self.is_told.load(Ordering::SeqCst)
        {
            let free = self.is_free.lock().unwrap();
            let patience = Duration::from_secs(20);
            let _ = self.freed.wait_timeout_while(free, patience, |is_free| !*is_free);
        }
    }
}

impl Still {
    fn free(&self) {
        *self.is_free.lock().unwrap() = true;
        self.freed.notify_all();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_does_not_wait_until_the_blob_is_stored() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, Act::Pace(SIZE / 2, Duration::from_millis(300)));
        let still = Arc::new(Still::default());
        let observer: Arc<dyn Observer> = still.clone();
        let driver = Arc::clone(store.registry.driver());
        let over = Store::of(store.label, Arc::new(Observed::new(driver, Some(observer))));
        let pulling = Setup::of(&[&fake]).over(&over);
        let blob = pulling.open(&digest).await.unwrap();
        let mut pieces = Arc::clone(&blob.object).stream(0..SIZE as u64);
        let mut bytes = pieces.next().await.unwrap().unwrap().to_vec();
        still.is_told.store(true, Ordering::SeqCst);
        let all = async {
            while let Some(piece) = pieces.next().await {
                bytes.extend_from_slice(&piece.unwrap());
            }
        };
        let has_ended = tokio::time::timeout(Duration::from_secs(10), all).await.is_ok();
        let in_flight = pulling.mirror.counts().fetches.in_flight;
        still.free();
        assert!(has_ended, "{}: the last byte waits for the storage", store.label);
        assert_eq!(in_flight, 1, "{}: it was stored already", store.label);
        assert!(bytes == content, "{}", store.label);
        pulling.landed().await;
        assert!(pulling.has(&digest).await, "{}", store.label);
        assert!(pulling.blob(&digest).await == content);
        assert_eq!(fake.count("GET "), 1);
    }
}

#[tokio::test]
async fn who_is_slow_gets_it_though_the_blob_is_evicted_meanwhile() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, Act::Pace(SIZE / 2, Duration::from_millis(300)));
        let pulling = Setup::of(&[&fake]).over(&store);
        let blob = pulling.open(&digest).await.unwrap();
        let mut pieces = Arc::clone(&blob.object).stream(0..SIZE as u64);
        let mut bytes = pieces.next().await.unwrap().unwrap().to_vec();
        pulling.landed().await;
        store.registry.delete_blob(&pulling.name, &digest).await.unwrap();
        let data = registry::layout::blob_data(&digest);
        store.registry.driver().delete(&data).await.unwrap();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        assert!(bytes == content, "{}", store.label);
    }
}

#[tokio::test]
async fn it_never_comes_of_what_is_wrong_and_only_passed_on() {
    let content = content(SIZE);
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content);
    let store = Store::memory();
    let pulling = Setup::of(&[&fake]).over(&store);
    for wrong in [Some(0), Some(SIZE - 1), None] {
        fake.fail("GET ", 1, Act::Pace(SIZE / 2, Duration::from_millis(200)));
        if let Some(wrong) = wrong {
            fake.fail("GET ", 1, Act::Corrupt(wrong));
        }
        let passing = pulling.mirror.repository(&pulling.name, None, false).unwrap();
        let (bytes, error) = read(&passing.open_blob(&digest).await.unwrap()).await;
        match wrong {
            None => assert!(error.is_none() && bytes == content),
            Some(_) => {
                assert!(bytes.len() < SIZE, "all of it");
                assert!(error.unwrap().contains("digest"));
            }
        }
        pulling.landed().await;
    }
    store.assert_empty().await;
}
