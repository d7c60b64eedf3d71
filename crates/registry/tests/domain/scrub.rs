//! Reading a storage through while it serves.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::Digest;
use registry::{Check, CheckOptions, Options, Registry, Scrub, ScrubOptions, layout};
use serde_json::{Value, json};
use storage::Driver;
use storage::faulty::{Failure, Fault, Faulty, Progress};
use storage::memory::Memory;
use tokio::time::Instant;

use crate::support::{name, push_blob, push_image, sha256};

const BLOBS: u64 = 42;

/// A registry with [`BLOBS`] blobs.
async fn filled() -> Arc<dyn Driver> {
    let driver: Arc<dyn Driver> = Arc::new(Memory::new());
    let registry = Registry::new(Arc::clone(&driver), Options::default());
    push_image(&registry, "a/b", "latest").await;
    for number in 2..BLOBS {
        push_blob(&registry, "a/b", number.to_string().as_bytes()).await;
    }
    driver
}

fn options() -> ScrubOptions {
    ScrubOptions {
        interval: Duration::from_secs(720 * 3600),
        rate: None,
        keeps_note: true,
        cached: None,
    }
}

fn scrub(driver: &Arc<dyn Driver>) -> Arc<Scrub> {
    Scrub::new(Arc::clone(driver), options())
}

async fn turn(scrub: &Scrub) {
    scrub.turn(&|_: &_| {}).await.unwrap();
}

async fn note(driver: &Arc<dyn Driver>) -> Value {
    serde_json::from_slice(&driver.get(&layout::scrub(), 1 << 20).await.unwrap()).unwrap()
}

async fn write_note(driver: &Arc<dyn Driver>, change: Value) {
    let mut note = note(driver).await;
    for (key, value) in change.as_object().unwrap() {
        note[key] = value.clone();
    }
    driver.put(&layout::scrub(), note.to_string().into()).await.unwrap();
}

/// Seconds since 1970, so long ago.
fn ago(secs: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - secs
}

async fn damage(driver: &Arc<dyn Driver>, content: &[u8]) -> Digest {
    let digest = sha256(content);
    driver.put(&layout::blob_data(&digest), "damaged".into()).await.unwrap();
    digest
}

#[tokio::test(start_paused = true)]
async fn a_pass_reads_everything_once_and_counts_what_is_damaged() {
    let driver = filled().await;
    let first = scrub(&driver);
    turn(&first).await;
    let status = first.status();
    assert_eq!((status.blobs, status.corrupt_blobs, status.structure_errors), (BLOBS, 0, 0));
    assert!(status.last_pass.is_some() && !status.is_running);

    // The next one is not due; a restart changes nothing about that.
    turn(&first).await;
    let second = scrub(&driver);
    turn(&second).await;
    assert_eq!((first.status().blobs, second.status().blobs), (BLOBS, 0));
    assert!(second.status().last_pass.is_some());

    let digest = damage(&driver, b"7").await;
    let link = layout::layer_link(&name("a/b"), &sha256(b"8"));
    driver.put(&link, "".into()).await.unwrap();
    write_note(&driver, json!({"begun": ago(721 * 3600)})).await;
    turn(&second).await;
    let status = second.status();
    assert_eq!((status.corrupt_blobs, status.structure_errors), (1, 1), "{status:?}");
    assert_eq!(second.corrupt_blobs().into_iter().collect::<Vec<_>>(), [digest]);
    assert_eq!(note(&driver).await["corrupt"], json!([digest.to_string()]));
    // Nothing is mended by it.
    assert_eq!(driver.get(&layout::blob_data(&digest), 100).await.unwrap(), "damaged");
    assert_eq!(driver.get(&link, 100).await.unwrap(), "");

    // What is known shows after a restart, and everywhere.
    let third = scrub(&driver);
    turn(&third).await;
    assert_eq!((third.status().corrupt_blobs, third.status().blobs), (1, 0));

    // Once it is set aside, it is not counted any more, long before the next pass.
    let repair = CheckOptions { repair: true, ..CheckOptions::default() };
    Check::new(Arc::clone(&driver), repair).run().await.unwrap();
    write_note(&driver, json!({"rechecked": ago(3700)})).await;
    turn(&third).await;
    assert_eq!(third.status().corrupt_blobs, 0);
    assert_eq!(note(&driver).await["corrupt"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let driver = filled().await;
    turn(&scrub(&driver)).await;
    let position = format!("sha256:80{}", "0".repeat(62));
    let behind = (2..BLOBS).map(|n| sha256(n.to_string().as_bytes()));
    let others = [sha256(b"{}")];
    let behind = behind.chain(others).filter(|d| d.to_string() > position).count() as u64;
    assert!(behind > 5 && behind < BLOBS - 5);
    let begun = ago(100);
    write_note(&driver, json!({"is_in_pass": true, "begun": begun, "position": position})).await;
    let scrub = scrub(&driver);
    turn(&scrub).await;
    let read = scrub.status().blobs;
    // The manifest may lie on either side.
    assert!(read == behind || read == behind + 1, "{read} {behind}");
    let note = note(&driver).await;
    assert_eq!((&note["is_in_pass"], &note["begun"]), (&json!(false), &json!(begun)));
}

#[tokio::test(start_paused = true)]
async fn of_several_servers_one_does_it() {
    let driver = filled().await;
    let (one, other) = (scrub(&driver), scrub(&driver));
    let running = {
        let slow = ScrubOptions { rate: NonZeroU64::new(1), ..options() };
        let slow = Scrub::new(Arc::clone(&driver), slow);
        let scrub = Arc::clone(&slow);
        (slow, tokio::spawn(async move { scrub.run(|_| {}).await }))
    };
    // Reading 80 bytes at one in a second takes longer than the other waits.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(running.0.status().is_running);
    turn(&one).await;
    assert_eq!(one.status().blobs, 0);
    running.1.abort();
    let _ = running.1.await;
    turn(&one).await;
    assert_eq!(one.status().blobs, 0, "the note is fresh");
    // The server is gone, and its note gets old.
    write_note(&driver, json!({"noted": ago(301)})).await;
    let both = tokio::join!(one.turn(&|_: &_| {}), other.turn(&|_: &_| {}));
    both.0.unwrap();
    both.1.unwrap();
    let read = [one.status().blobs, other.status().blobs];
    assert!(read.contains(&0) && read.iter().any(|blobs| *blobs > 0), "{read:?}");
    assert!(note(&driver).await["last_pass"].is_u64());
}

#[tokio::test(start_paused = true)]
async fn it_reads_no_faster_than_it_may() {
    let driver = filled().await;
    let registry = Registry::new(Arc::clone(&driver), Options::default());
    push_blob(&registry, "a/b", &vec![7; 1 << 20]).await;
    let begun = Instant::now();
    let slow = ScrubOptions { rate: NonZeroU64::new(10 << 10), ..options() };
    let scrub = Scrub::new(driver, slow);
    turn(&scrub).await;
    assert!(scrub.status().bytes > 1 << 20);
    assert!(begun.elapsed() > Duration::from_secs(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_written_nothing_is() {
    let driver = filled().await;
    damage(&driver, b"7").await;
    let watched = Faulty::new(Arc::clone(&driver));
    let reading = ScrubOptions { keeps_note: false, ..options() };
    let scrub = Scrub::new(Arc::new(watched.clone()), reading);
    turn(&scrub).await;
    turn(&scrub).await;
    assert_eq!((scrub.status().blobs, scrub.status().corrupt_blobs), (BLOBS + 1, 1));
    assert_eq!(watched.operations(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_cannot_be_read_is_passed_over_and_a_storage_that_is_away_is_waited_for() {
    let driver = filled().await;
    let trial = Faulty::new(Arc::clone(&driver)).counting_reads();
    let reading = ScrubOptions { keeps_note: false, ..options() };
    let scrub = Scrub::new(Arc::new(trial.clone()), reading.clone());
    turn(&scrub).await;
    // Behind it come the lists of two other algorithms.
    let last = trial.operations() - 3;

    let faulty = Faulty::new(Arc::clone(&driver)).counting_reads();
    faulty.fail_at(last, Fault::Error(Failure::Io, Progress::Nothing));
    let scrub = Scrub::new(Arc::new(faulty), reading.clone());
    turn(&scrub).await;
    let status = scrub.status();
    assert_eq!((status.failures, status.blobs, status.corrupt_blobs), (1, BLOBS - 1, 0));

    let faulty = Faulty::new(Arc::clone(&driver)).counting_reads();
    faulty.fail_at(last - 30, Fault::Crash(Progress::Nothing));
    let scrub = Scrub::new(Arc::new(faulty), reading);
    scrub.turn(&|_: &_| {}).await.unwrap_err();
    assert_eq!(scrub.status().last_pass, None);
}
