//! Clients that leave before all of it has come.

use std::time::Duration;

use crate::fake::{Act, FakeRegistry};
use crate::support::{Setup, Store, THERE, content, first_piece, read};

const SIZE: usize = 3 << 20;

#[tokio::test]
async fn a_fetch_goes_on_without_its_clients() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, Act::Pace(SIZE / 2, Duration::from_millis(300)));
        let pulling = Setup::of(&[&fake]).over(&store);
        let blob = pulling.open(&digest).await.unwrap();
        assert!(!first_piece(&blob).await.is_empty());
        drop(blob);
        pulling.landed().await;
        assert_eq!(pulling.mirror.counts().fetches.failed, 0, "{}", store.label);
        assert!(pulling.has(&digest).await);
        assert!(pulling.blob(&digest).await == content);
        assert_eq!(fake.count("GET "), 1);
    }
}

#[tokio::test]
async fn it_is_given_up_in_the_end_and_nothing_is_left_of_it() {
    let content = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.fail("GET ", 1, Act::HangAt(SIZE / 2));
        let unattended = Duration::from_millis(200);
        let pulling = Setup { unattended, ..Setup::of(&[&fake]) }.over(&store);
        let blob = pulling.open(&digest).await.unwrap();
        assert!(!first_piece(&blob).await.is_empty());
        // It is not given up while somebody waits, however long.
        tokio::time::sleep(unattended * 2).await;
        assert_eq!(pulling.mirror.counts().fetches.in_flight, 1);
        drop(blob);
        pulling.landed().await;
        assert_eq!(pulling.mirror.counts().fetches.failed, 1, "{}", store.label);
        store.assert_empty().await;
        assert!(pulling.blob(&digest).await == content);
        assert_eq!(fake.count("GET "), 2);
    }
}

#[tokio::test]
async fn who_comes_back_in_time_keeps_it_going() {
    let content = content(SIZE);
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content);
    fake.fail("GET ", 1, Act::Pace(SIZE / 2, Duration::from_millis(1000)));
    let unattended = Duration::from_millis(500);
    let pulling = Setup { unattended, ..Setup::of(&[&fake]) }.over(&Store::memory());
    drop(pulling.open(&digest).await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let blob = pulling.open(&digest).await.unwrap();
    assert!(read(&blob).await.0 == content);
    assert_eq!(fake.count("GET "), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_comes_as_the_last_one_leaves_gets_all_of_it() {
    let content = content(200_000);
    let fake = FakeRegistry::start().await;
    let digest = fake.put_blob(THERE, &content);
    for _ in 0..100 {
        fake.fail("GET ", 1, Act::Pace(100_000, Duration::from_millis(5)));
        let setup = Setup { unattended: Duration::ZERO, ..Setup::of(&[&fake]) };
        let pulling = setup.over(&Store::memory());
        let last = pulling.open(&digest).await.unwrap();
        let coming = pulling.clone();
        let coming = tokio::spawn(async move { coming.blob(&digest).await });
        drop(last);
        assert!(coming.await.unwrap() == content);
    }
}
