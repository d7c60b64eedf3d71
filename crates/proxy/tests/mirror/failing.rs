//! Storages that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proxy::MirrorError;
use storage::Driver;
use storage::faulty::{Failure, Fault, Faulty, Progress};
use storage::memory::Memory;
use storage::observed::{Action, Observed, Observer, Outcome};

use crate::fake::FakeRegistry;
use crate::support::{OCI_MANIFEST, Setup, Store, THERE, content, image, read};

const SIZE: usize = 300_000;

#[tokio::test]
async fn whoever_waits_gets_an_error_when_it_can_not_be_stored() {
    let content = content(SIZE);
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content);
    let mut operation = 0;
    let mut failed = 0;
    loop {
        let faulty = Faulty::new(Arc::new(Memory::new()));
        let fault = Fault::Error(Failure::NoSpace, Progress::Nothing);
        faulty.fail_at(operation, fault);
        let driver: Arc<dyn Driver> = Arc::new(faulty.clone());
        let store = Store::of("faulty", driver);
        let pulling = Setup::of(&[&fake]).over(&store);
        let pulls = (0..3).map(|_| async {
            match pulling.open(&digest).await {
                Ok(blob) => read(&blob).await,
                Err(error) => (Vec::new(), Some(error.to_string())),
            }
        });
        let pulls = futures_util::future::join_all(pulls);
        let pulled = tokio::time::timeout(Duration::from_secs(10), pulls).await;
        let Ok(pulled) = pulled else { panic!("{:?} is waited for for ever", faulty.hit()) };
        for (bytes, error) in pulled {
            failed += usize::from(error.is_some());
            match error {
                None => assert!(bytes == content, "{:?}", faulty.hit()),
                Some(_) => assert!(bytes.len() < SIZE, "{:?}", faulty.hit()),
            }
        }
        pulling.landed().await;
        if faulty.hit().is_none() {
            break;
        }
        assert!(pulling.blob(&digest).await == content, "{:?}", faulty.hit());
        operation += 1;
    }
    assert!(failed >= 3, "{failed} of {operation}");
}

#[tokio::test]
async fn a_manifest_is_served_though_it_can_not_be_kept() {
    let fake = FakeRegistry::start().await;
    let digest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
    let mut operation = 0;
    loop {
        let faulty = Faulty::new(Arc::new(Memory::new()));
        faulty.fail_at(operation, Fault::Error(Failure::NoSpace, Progress::Nothing));
        let store = Store::of("faulty", Arc::new(faulty.clone()));
        let pulling = Setup::of(&[&fake]).over(&store);
        for _ in 0..2 {
            let served = pulling.get("v1").await;
            let served = served.unwrap_or_else(|error| panic!("{:?}: {error}", faulty.hit()));
            assert_eq!((served.content.digest, served.stale), (digest, None));
        }
        if faulty.hit().is_none() {
            break;
        }
        operation += 1;
    }
    assert!(operation >= 3, "{operation}");
}

/// Panics at the first operation of a kind.
#[derive(Debug)]
struct Panicking(Action, AtomicBool);

impl Observer for Panicking {
    fn observed(&self, action: Action, _: Duration, _: Outcome) {
        let is_first = action == self.0 && !self.1.swap(true, Ordering::Relaxed);
        assert!(!is_first, "on purpose");
    }
}

#[tokio::test]
async fn a_panic_ends_a_fetch_as_an_error_does() {
    let fake = FakeRegistry::start().await;
    let content = content(SIZE);
    let digest = fake.put_blob(THERE, &content);
    let manifest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
    for action in [Action::Append, Action::Write, Action::Move] {
        let observer = Arc::new(Panicking(action, AtomicBool::new(false)));
        let driver = Observed::new(Arc::new(Memory::new()), Some(observer));
        let store = Store::of("panicking", Arc::new(driver));
        let pulling = Setup::of(&[&fake]).over(&store);
        let pull = async {
            match pulling.open(&digest).await {
                Ok(blob) => read(&blob).await,
                Err(error) => (Vec::new(), Some(error.to_string())),
            }
        };
        let pulled = tokio::time::timeout(Duration::from_secs(10), pull).await;
        let (bytes, error) = pulled.unwrap_or_else(|_| panic!("{action:?} is waited for for ever"));
        // What was about to get its place was right, and may have been read.
        let may_be_whole = action == Action::Move && bytes == content;
        let is_told = bytes.len() < SIZE && error.is_some();
        assert!(is_told || may_be_whole && error.is_none(), "{action:?}");
        pulling.landed().await;
        assert_eq!(pulling.mirror.counts().fetches.failed, 1);
        assert!(pulling.blob(&digest).await == content);
    }
    let observer = Arc::new(Panicking(Action::PutContent, AtomicBool::new(false)));
    let driver = Observed::new(Arc::new(Memory::new()), Some(observer));
    let store = Store::of("panicking", Arc::new(driver));
    let pulling = Setup::of(&[&fake]).over(&store);
    let of = manifest.to_string();
    assert!(matches!(pulling.get(&of).await, Err(MirrorError::GivenUp { .. })));
    assert_eq!(pulling.digest(&of).await, manifest);
}
