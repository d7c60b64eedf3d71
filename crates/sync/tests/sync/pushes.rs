//! What is pushed is copied, whatever happens between.

use std::sync::Arc;

use oci::Reference;
use serde_json::json;
use sync::{Direction, Reason, Synchronizer};
use tokio_util::sync::CancellationToken;

use crate::fake::{Act, FakeRegistry};
use crate::support::{
    Remote, client, from, has, image, job, push, push_image, reference, registry, tagged, to,
};

#[tokio::test]
async fn what_was_pushed_is_queued_on_the_storage_and_outlives_the_process() {
    let remote = Remote::start().await;
    let here = registry();
    let digest = push_image(&here, "a", Some("v1"), &[b"base"]).await;
    let job = to(&remote, &["a"]);
    let first = Synchronizer::new(Arc::clone(&here), job.clone(), None);
    let name = crate::support::name("a");
    assert!(first.pushed(&name, &reference("v1"), digest).await.unwrap());
    let other = crate::support::name("b");
    assert!(!first.pushed(&other, &reference("v1"), digest).await.unwrap());
    assert!(!first.pushed(&name, &Reference::Digest(digest), digest).await.unwrap());
    assert_eq!((first.counts().queued, first.counts().next_due.is_some()), (1, true));
    drop(first);

    let next = Synchronizer::new(Arc::clone(&here), job, None);
    let status = next.status().await.unwrap();
    let oldest = status.oldest.unwrap();
    assert_eq!((status.queued, oldest.reference.as_str()), (1, "v1"));
    assert_eq!((oldest.reason, oldest.attempts), (Reason::Pushed, 0));
    let report = next.work(&CancellationToken::new()).await.unwrap();
    assert_eq!((report.planned, report.copied, report.left), (0, 1, 0));
    assert_eq!(tagged(&remote.registry, "a", "v1").await, Some(digest));
    let status = next.status().await.unwrap();
    assert_eq!((status.queued, status.last.unwrap().copied), (0, 1));
    assert_eq!(next.counts().next_due, None);
}

#[tokio::test]
async fn a_job_that_copies_from_elsewhere_does_not_mind_pushes() {
    let remote = Remote::start().await;
    let here = registry();
    let digest = push_image(&here, "a", Some("v1"), &[b"base"]).await;
    let synchronizer = Synchronizer::new(here, from(&remote, &["a"]), None);
    let name = crate::support::name("a");
    assert!(!synchronizer.pushed(&name, &reference("v1"), digest).await.unwrap());
}

#[tokio::test]
async fn a_signature_goes_after_what_it_signs() {
    let remote = Remote::start().await;
    let here = registry();
    let name = crate::support::name("a");
    let (manifest, parts) = image(&[b"base"], None);
    let subject = json!({
        "mediaType": manifest["mediaType"],
        "digest": crate::support::sha256(manifest.to_string().as_bytes()).to_string(),
        "size": manifest.to_string().len(),
    });
    let digest = push(&here, "a", Some("v1"), (manifest, parts)).await;
    let signature = push(&here, "a", None, image(&[b"signature"], Some(&subject))).await;
    let mut job = to(&remote, &["a"]);
    job.referrers = true;
    let synchronizer = Synchronizer::new(Arc::clone(&here), job, None);
    let by_digest = Reference::Digest(signature);
    assert!(synchronizer.pushed(&name, &by_digest, signature).await.unwrap());
    assert!(synchronizer.pushed(&name, &reference("v1"), digest).await.unwrap());
    let report = synchronizer.work(&CancellationToken::new()).await.unwrap();
    assert_eq!((report.failed, report.left), (0, 0), "{report:?}");
    assert!(has(&remote.registry, "a", &signature).await);
}

#[tokio::test]
async fn what_is_pushed_while_the_queue_is_worked_off_is_taken_along() {
    let remote = Remote::start().await;
    let here = registry();
    let job = to(&remote, &["a"]);
    let synchronizer = Arc::new(Synchronizer::new(Arc::clone(&here), job, None));
    let stop = CancellationToken::new();
    let name = crate::support::name("a");
    let one = push_image(&here, "a", Some("v1"), &[&vec![1; 8 << 20]]).await;
    synchronizer.pushed(&name, &reference("v1"), one).await.unwrap();
    let working = tokio::spawn({
        let synchronizer = Arc::clone(&synchronizer);
        async move { synchronizer.work(&stop).await.unwrap() }
    });
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let two = push_image(&here, "a", Some("v2"), &[b"two"]).await;
    synchronizer.pushed(&name, &reference("v2"), two).await.unwrap();
    let report = working.await.unwrap();
    let rest = synchronizer.work(&CancellationToken::new()).await.unwrap();
    assert_eq!(report.copied + rest.copied, 2);
    assert_eq!(tagged(&remote.registry, "a", "v2").await, Some(two));
}

#[tokio::test]
async fn what_is_worked_off_after_a_push_is_no_run_of_the_job() {
    let remote = Remote::start().await;
    let here = registry();
    push_image(&here, "a", Some("v1"), &[b"base"]).await;
    let synchronizer = Synchronizer::new(Arc::clone(&here), to(&remote, &["a"]), None);
    let stop = CancellationToken::new();
    let planned_at = synchronizer.run(&stop).await.unwrap().planned_at;
    assert!(planned_at.is_some());

    let digest = push_image(&here, "a", Some("v2"), &[b"more"]).await;
    let name = crate::support::name("a");
    assert!(synchronizer.pushed(&name, &reference("v2"), digest).await.unwrap());
    assert_eq!(synchronizer.work(&stop).await.unwrap().copied, 1);
    let last = synchronizer.status().await.unwrap().last.unwrap();
    assert_eq!((last.copied, last.planned_at), (1, planned_at));

    // Nor is a run that was told to stop.
    stop.cancel();
    assert!(synchronizer.run(&stop).await.unwrap().stopped);
    assert_eq!(synchronizer.status().await.unwrap().last.unwrap().planned_at, planned_at);
}

#[tokio::test]
async fn what_is_worked_off_later_does_not_hide_what_went_wrong_with_a_run() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    let name = crate::support::name("a");
    let bad = push_image(&here, "a", Some("bad"), &[b"bad"]).await;
    remote.fail("PUT /v2/a/manifests/bad", 1, Act::status(400));
    let job = job(Direction::To(client(&remote.url())), &["a"]);
    let synchronizer = Synchronizer::new(Arc::clone(&here), job, None);
    let stop = CancellationToken::new();
    let report = synchronizer.run(&stop).await.unwrap();
    assert_eq!((report.failed, report.problems.len()), (1, 1));

    let good = push_image(&here, "a", Some("good"), &[b"good"]).await;
    synchronizer.pushed(&name, &reference("good"), good).await.unwrap();
    let report = synchronizer.work(&stop).await.unwrap();
    assert_eq!((report.copied, report.problems.len()), (1, 0), "it is told once");
    let last = synchronizer.status().await.unwrap().last.unwrap();
    assert_eq!((last.copied, last.problems[0].reference.as_deref()), (1, Some("bad")));
    assert_eq!(synchronizer.counts().succeeded, None);

    synchronizer.pushed(&name, &reference("bad"), bad).await.unwrap();
    assert_eq!(synchronizer.work(&stop).await.unwrap().copied, 1);
    assert_eq!(synchronizer.status().await.unwrap().last.unwrap().problems, []);
    assert!(synchronizer.counts().succeeded.is_some());
}

#[tokio::test]
async fn what_was_left_out_of_a_plan_is_left_out_after_the_queue_is_worked_off() {
    let remote = FakeRegistry::start().await;
    let here = registry();
    push_image(&here, "a", Some("v1"), &[b"base"]).await;
    remote.fail("HEAD /v2/a/manifests/v1", 1, Act::status(403));
    let job = job(Direction::To(client(&remote.url())), &["a"]);
    let synchronizer = Synchronizer::new(Arc::clone(&here), job, None);
    let stop = CancellationToken::new();
    assert_eq!(synchronizer.run(&stop).await.unwrap().problems.len(), 1);
    let digest = push_image(&here, "a", Some("v2"), &[b"more"]).await;
    let name = crate::support::name("a");
    synchronizer.pushed(&name, &reference("v2"), digest).await.unwrap();
    assert_eq!(synchronizer.work(&stop).await.unwrap().copied, 1);
    assert_eq!(synchronizer.status().await.unwrap().last.unwrap().problems.len(), 1);
    assert_eq!(synchronizer.counts().succeeded, None);
    assert!(synchronizer.run(&stop).await.unwrap().is_success());
    assert!(synchronizer.counts().succeeded.is_some());
}
