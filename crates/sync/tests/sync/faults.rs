//! What goes wrong.

use std::sync::Arc;

use oci::Digest;
use serde_json::Value;
use sync::{Direction, Job, SyncError, Synchronizer};
use tokio_util::sync::CancellationToken;

use crate::fake::{Act, Admission, FakeRegistry};
use crate::support::{
    client, copied, has_blob, image, job, name, push_image, reference, registry, run, sha256,
    tagged,
};

fn put(remote: &FakeRegistry, tag: &str, (manifest, parts): (Value, Vec<Vec<u8>>)) -> Digest {
    for part in parts {
        remote.put_blob("a", &part);
    }
    let media_type = manifest["mediaType"].as_str().unwrap();
    remote.put_manifest("a", Some(tag), media_type, manifest.to_string().as_bytes())
}

fn from(remote: &FakeRegistry) -> Job {
    job(Direction::From(client(&remote.url())), &["a"])
}

#[tokio::test]
async fn a_body_that_breaks_off_goes_on_and_one_that_is_wrong_is_not_stored() {
    let remote = FakeRegistry::start().await;
    let layer = vec![5_u8; 400_000];
    let digest = put(&remote, "v1", image(&[&layer], None));
    remote.fail(&format!("GET /v2/a/blobs/{}", sha256(&layer)), 2, Act::CutAt(100_000));
    let here = registry();
    copied(&here, &from(&remote)).await;
    assert_eq!(tagged(&here, "a", "v1").await, Some(digest));
    let ranges: Vec<_> =
        remote.seen().iter().filter_map(|seen| seen.headers.get("range").cloned()).collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");

    let other = vec![6_u8; 1000];
    put(&remote, "v2", image(&[&other], None));
    remote.fail(&format!("GET /v2/a/blobs/{}", sha256(&other)), 1, Act::Corrupt(17));
    let report = run(&here, &from(&remote)).await;
    assert_eq!((report.copied, report.retried), (1, 1), "it was right the second time");
    assert!(has_blob(&here, "a", &sha256(&other)).await);
}

#[tokio::test]
async fn a_remote_that_wants_a_rest_gets_it() {
    let remote = FakeRegistry::start().await;
    let digest = put(&remote, "v1", image(&[b"one"], None));
    let slow_down = |seconds: &str| {
        Act::Answer(429, vec![("retry-after".to_owned(), seconds.to_owned())], Vec::new())
    };
    remote.fail("GET /v2/a/manifests", 1, slow_down("1"));
    let here = registry();
    let begun = std::time::Instant::now();
    let report = copied(&here, &from(&remote)).await;
    assert_eq!((report.copied, report.retried), (1, 0));
    assert!(begun.elapsed().as_millis() >= 990);
    assert_eq!(tagged(&here, "a", "v1").await, Some(digest));

    put(&remote, "v2", image(&[b"two"], None));
    remote.fail("GET /v2/a/blobs", 1000, slow_down("3600"));
    let synchronizer = Synchronizer::new(Arc::clone(&here), from(&remote), None);
    let report = synchronizer.run(&CancellationToken::new()).await.unwrap();
    assert_eq!((report.copied, report.left, report.failed), (0, 1, 0));
    let oldest = synchronizer.status().await.unwrap().oldest.unwrap();
    assert_eq!(oldest.attempts, 0, "that says nothing of the item");
    let due = synchronizer.counts().next_due.unwrap();
    assert!(due.duration_since(jiff::Timestamp::now()).as_secs() > 3500);
}

#[tokio::test]
async fn a_remote_that_wants_to_be_left_alone_is_not_asked_by_anything() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    for tag in ["v1", "v2", "v3"] {
        push_image(&here, "a", Some(tag), &[tag.as_bytes()]).await;
    }
    let alone = vec![("retry-after".to_owned(), "3600".to_owned())];
    remote.fail("/v2/a/blobs", 1000, Act::Answer(429, alone, Vec::new()));
    let job = job(Direction::To(client(&remote.url())), &["a"]);
    let synchronizer = Synchronizer::new(Arc::clone(&here), job, None);
    let stop = CancellationToken::new();
    assert_eq!(synchronizer.run(&stop).await.unwrap().left, 3);
    let asked = remote.seen().len();

    let digest = push_image(&here, "a", Some("v4"), &[b"v4"]).await;
    synchronizer.pushed(&name("a"), &reference("v4"), digest).await.unwrap();
    let report = synchronizer.work(&stop).await.unwrap();
    assert_eq!((report.retried, report.left), (0, 4));
    let paused = synchronizer.run(&stop).await.unwrap_err();
    assert!(matches!(paused, SyncError::Paused { .. }), "{paused}");
    assert_eq!(remote.seen().len(), asked);
    assert!(secs_until(synchronizer.counts().next_due) > 3500);
}

#[tokio::test]
async fn a_remote_that_wants_no_rest_but_takes_nothing_gets_one() {
    let remote = FakeRegistry::start().await;
    put(&remote, "v1", image(&[b"one"], None));
    let none = vec![("retry-after".to_owned(), "0".to_owned())];
    remote.fail("GET /v2/a/blobs", 1000, Act::Answer(429, none, Vec::new()));
    let synchronizer = Synchronizer::new(registry(), from(&remote), None);
    let report = synchronizer.run(&CancellationToken::new()).await.unwrap();
    assert_eq!((report.retried, report.left), (1, 1));
    assert!(secs_until(synchronizer.counts().next_due) >= 8);
}

#[tokio::test]
async fn a_remote_that_wants_to_be_left_alone_is_not_planned_for() {
    let remote = FakeRegistry::start().await;
    let alone = vec![("retry-after".to_owned(), "3600".to_owned())];
    remote.fail("/v2/a/tags", 1, Act::Answer(429, alone, Vec::new()));
    let job = job(Direction::From(client(&remote.url())), &["a", "b"]);
    let synchronizer = Synchronizer::new(registry(), job, None);
    let report = synchronizer.run(&CancellationToken::new()).await.unwrap();
    assert_eq!((remote.count("/v2/b/"), report.problems.len()), (0, 2), "{report:?}");
    assert!(secs_until(report.plan_again) > 3500);
}

fn secs_until(time: Option<jiff::Timestamp>) -> i64 {
    time.unwrap().duration_since(jiff::Timestamp::now()).as_secs()
}

#[tokio::test]
async fn what_the_target_refuses_is_given_up_and_tried_by_the_next_run() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    push_image(&here, "a", Some("bad"), &[b"bad"]).await;
    push_image(&here, "a", Some("good"), &[b"good"]).await;
    let refusal = br#"{"errors":[{"code":"MANIFEST_INVALID","message":"not of our kind"}]}"#;
    remote.fail("PUT /v2/a/manifests/bad", 1, Act::Answer(400, Vec::new(), refusal.to_vec()));
    let job = job(Direction::To(client(&remote.url())), &["a"]);
    let synchronizer = Synchronizer::new(Arc::clone(&here), job, None);
    let stop = CancellationToken::new();
    let report = synchronizer.run(&stop).await.unwrap();
    assert_eq!((report.copied, report.failed, report.left), (1, 1, 0));
    assert_eq!(report.problems[0].reference.as_deref(), Some("bad"));
    let status = synchronizer.status().await.unwrap();
    assert_eq!((status.queued, status.failed_total), (0, 1));
    assert!(status.failed[0].error.as_ref().unwrap().contains("not of our kind"));
    let report = synchronizer.work(&stop).await.unwrap();
    assert_eq!((report.copied, report.failed), (0, 0), "it is not queued any more");
    let report = synchronizer.run(&stop).await.unwrap();
    assert_eq!((report.planned, report.copied), (1, 1));
    assert_eq!(synchronizer.status().await.unwrap().failed_total, 0);
    assert_eq!(synchronizer.counts().failed, 1);
}

#[tokio::test]
async fn what_was_given_up_and_is_gone_is_forgotten_by_a_run_that_sees_everything() {
    let remote = FakeRegistry::start().await;
    put(&remote, "bad", image(&[b"bad"], None));
    put(&remote, "good", image(&[b"good"], None));
    remote.fail(&format!("GET /v2/a/blobs/{}", sha256(b"bad")), 1, Act::status(400));
    let synchronizer = Synchronizer::new(registry(), from(&remote), None);
    let stop = CancellationToken::new();
    assert_eq!(synchronizer.run(&stop).await.unwrap().failed, 1);
    remote.take_manifest("a", "bad");
    remote.fail("HEAD /v2/a/manifests/good", 1, Act::status(403));
    assert_eq!(synchronizer.run(&stop).await.unwrap().problems.len(), 1);
    assert_eq!(synchronizer.status().await.unwrap().failed_total, 1, "who knows");
    assert!(synchronizer.run(&stop).await.unwrap().is_success());
    assert_eq!(synchronizer.status().await.unwrap().failed_total, 0);
}

#[tokio::test]
async fn tags_that_are_too_many_are_told() {
    let remote = FakeRegistry::start().await;
    put(&remote, "v1", image(&[b"one"], None));
    let tags: Vec<_> = (0..100_001).map(|number| format!("t{number}")).collect();
    let list = serde_json::json!({ "name": "a", "tags": tags }).to_string();
    remote.fail("/v2/a/tags", 1, Act::Answer(200, Vec::new(), list.into_bytes()));
    let mut job = from(&remote);
    job.selection.tags = vec![registry::TagPattern::parse("v1").unwrap()];
    let report = run(&registry(), &job).await;
    assert!(!report.is_success());
    assert_eq!(report.problems[0].reason, "it has more tags than the 100000 that are looked at");
}

#[tokio::test]
async fn a_push_that_is_cut_short_is_begun_anew() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    let digest = push_image(&here, "a", Some("v1"), &[&vec![1; 300_000]]).await;
    remote.fail("PUT /v2/a/blobs", 1, Act::status(500));
    let job = job(Direction::To(client(&remote.url())), &["a"]);
    let report = copied(&here, &job).await;
    assert_eq!((report.copied, report.retried), (1, 1));
    let (_, manifest) = remote.manifest("a", "v1").unwrap();
    assert_eq!(sha256(&manifest), digest);
}

#[tokio::test]
async fn a_remote_that_does_not_let_it_in_is_named() {
    let remote = FakeRegistry::start().await;
    put(&remote, "v1", image(&[b"one"], None));
    remote.admit(Admission::Basic("u", "pw"));
    let report = run(&registry(), &from(&remote)).await;
    assert_eq!((report.planned, report.problems.len()), (0, 1));
    assert!(report.problems[0].reason.contains("answered 401"), "{report:?}");
}

#[tokio::test]
async fn a_run_does_not_wait_for_every_repository_of_a_remote_that_is_gone() {
    let names: Vec<_> = (0..50).map(|number| format!("r{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let job = job(Direction::From(client("http://127.0.0.1:1")), &names);
    let report = run(&registry(), &job).await;
    assert_eq!(report.problems.len(), 9, "{report:?}");
    assert!(report.problems[8].reason.contains("not looked at"));
}

#[tokio::test]
async fn what_is_due_again_does_not_wait_for_the_rest_of_the_queue() {
    let remote = FakeRegistry::start().await;
    for number in 0..20 {
        put(&remote, &format!("v{number}"), image(&[&[number; 1000]], None));
    }
    let slow = Act::Pace(100, std::time::Duration::from_millis(20));
    remote.fail("GET /v2/a/blobs", 10_000, slow);
    remote.fail("GET /v2/a/manifests", 1, Act::status(500));
    let job = Job { concurrency: 1, ..from(&remote) };
    let report = copied(&registry(), &job).await;
    assert_eq!((report.copied, report.retried), (20, 1));
    assert!(!is_last(&remote, "GET /v2/a/manifests"), "it came after all others");
}

#[tokio::test]
async fn what_is_due_again_does_not_wait_for_a_copy_that_takes_long() {
    let remote = FakeRegistry::start().await;
    put(&remote, "short", image(&[b"short"], None));
    let long = sha256(&[7; 1000]);
    put(&remote, "long", image(&[&[7; 1000]], None));
    let slow = Act::Pace(10, std::time::Duration::from_millis(50));
    remote.fail(&format!("GET /v2/a/blobs/{long}"), 1, slow);
    remote.fail(&format!("GET /v2/a/blobs/{}", sha256(b"short")), 1, Act::status(500));
    let here = registry();
    let job = from(&remote);
    let running = tokio::spawn({
        let here = Arc::clone(&here);
        async move { copied(&here, &job).await }
    });
    remote.wait_for(&format!("GET /v2/a/blobs/{}", sha256(b"short")), 2).await;
    assert_eq!(tagged(&here, "a", "long").await, None);
    assert_eq!(running.await.unwrap().copied, 2);
}

/// Whether the first thing that was asked for so is the last one that was, too.
fn is_last(remote: &FakeRegistry, what: &str) -> bool {
    let seen = remote.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.path));
    let asked: Vec<_> = seen.filter(|line| line.contains(what)).collect();
    asked.first() == asked.last()
}

#[tokio::test]
async fn an_outage_gives_nothing_up() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    for number in 0..10 {
        push_image(&here, "a", Some(&format!("v{number}")), &[b"base", &[number]]).await;
    }
    remote.fail("/v2/a/blobs", 10_000, Act::status(502));
    let job = job(Direction::To(client(&remote.url())), &["a"]);
    let synchronizer = Synchronizer::new(here, job, None);
    let report = synchronizer.run(&CancellationToken::new()).await.unwrap();
    assert_eq!((report.copied, report.failed, report.left), (0, 0, 10), "{report:?}");
    assert!(report.retried >= 8, "{report:?}");
    let status = synchronizer.status().await.unwrap();
    assert_eq!((status.failed_total, status.oldest.unwrap().attempts), (0, 0));
}

#[tokio::test]
async fn a_plan_that_breaks_off_is_made_again_soon_and_then_less_often() {
    let here = registry();
    let gone = job(Direction::From(client("http://127.0.0.1:1")), &["a"]);
    let mut waits = Vec::new();
    for broken_off in 1..=3 {
        let report = run(&here, &gone).await;
        assert_eq!((report.planned_at, report.plans_broken_off), (None, broken_off));
        let again = report.plan_again.unwrap();
        waits.push(again.duration_since(report.ended).as_secs());
    }
    assert!((40..=80).contains(&waits[0]) && waits[2] > 150, "{waits:?}");

    let remote = FakeRegistry::start().await;
    put(&remote, "v1", image(&[b"one"], None));
    let report = copied(&here, &from(&remote)).await;
    assert_eq!((report.planned_at, report.plan_again), (Some(report.ended), None));
    let report = run(&here, &gone).await;
    assert!(report.planned_at.is_some() && report.plan_again.is_some(), "{report:?}");
    assert_eq!(report.plans_broken_off, 1);
}

#[tokio::test]
async fn a_remote_that_does_not_answer_is_said_so() {
    let here = registry();
    let job = job(Direction::From(client("http://127.0.0.1:1")), &["a"]);
    let report = run(&here, &job).await;
    assert_eq!((report.planned, report.problems.len()), (0, 1));
    assert!(report.problems[0].reason.contains("can't be reached"), "{report:?}");
    let mut globs = job.clone();
    globs.selection.repositories = vec![registry::RepositoryPattern::parse("*").unwrap()];
    let synchronizer = Synchronizer::new(here, globs, None);
    let error = synchronizer.run(&CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, sync::SyncError::Source(_)), "{error}");
}
