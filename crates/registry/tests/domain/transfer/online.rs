//! A source that is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use oci::MediaType;
use registry::transfer::End;
use registry::{Options, Registry, TransferOptions};
use serde_json::json;
use storage::observed::{Action, Outcome};
use storage::{Driver, Observed, Observer, StoragePath};

use super::model::{Step, assert_images_are_whole, assert_whole, contents, play, pulled, whole};
use super::{copy, copy_with, filled, memory};
use crate::support::{image, push, push_blob, push_image};

/// Every image of the target is whole, also while others are being pushed to the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_meanwhile_comes_whole_or_later() {
    let (source, target) = (filled().await, memory());
    let is_done = Arc::new(AtomicBool::new(false));
    let pushing = tokio::spawn({
        let (source, is_done) = (Arc::clone(&source), Arc::clone(&is_done));
        async move {
            let registry = Registry::new(source, Options::default());
            for number in 0..600 {
                let repository = format!("busy/{}", number % 3);
                let layer = push_blob(&registry, &repository, format!("{number}").as_bytes()).await;
                let layer = json!({"mediaType": "application/test", "digest": layer.to_string(), "size": 9});
                let config = push_blob(&registry, &repository, b"{}").await;
                let image = image(&config, json!({"layers": [layer]}));
                let tag = format!("t{}", number % 40);
                push(&registry, &repository, &tag, MediaType::OciManifest, &image).await.unwrap();
                tokio::task::yield_now().await;
            }
            is_done.store(true, Ordering::Relaxed);
        }
    });
    while !is_done.load(Ordering::Relaxed) {
        // One pass, so that nothing makes good what it has torn.
        let options = TransferOptions { passes_max: 1, ..TransferOptions::default() };
        let report = copy_with(&source, &target, options).await;
        assert!(report.is_success(), "{report:?}");
        assert_whole(&target).await;
        assert_images_are_whole(&target).await;
    }
    pushing.await.unwrap();
    assert_eq!(copy(&source, &target).await.end, End::Settled);
    assert_eq!(contents(&target).await, whole(&source).await);
}

/// Pushes an image after some operation on the source.
#[derive(Debug)]
struct Pusher {
    source: Arc<dyn Driver>,
    at: usize,
    operations: AtomicUsize,
    /// In the order of a push.
    files: Vec<(StoragePath, Bytes)>,
}

impl Observer for Pusher {
    fn observed(&self, _: Action, _: Duration, _: Outcome) {
        if self.operations.fetch_add(1, Ordering::Relaxed) == self.at {
            for (path, content) in &self.files {
                // Memory never keeps one waiting.
                self.source.put(path, content.clone()).now_or_never().unwrap().unwrap();
            }
        }
    }
}

async fn clone_of(driver: &Arc<dyn Driver>) -> Arc<dyn Driver> {
    let clone = memory();
    for (path, content) in contents(driver).await {
        clone.put(&StoragePath::parse(path).unwrap(), content).await.unwrap();
    }
    clone
}

#[tokio::test]
async fn a_push_at_any_moment_comes_whole_or_later() {
    let old = memory();
    let image = |repository, content| Step::Image { repository, tag: 0, content };
    play(&old, &[image(0, 0), image(1, 0)]).await;
    let new = clone_of(&old).await;
    play(&new, &[image(1, 1), image(1, 2), image(2, 1)]).await;
    let before = contents(&old).await;
    let pushed =
        contents(&new).await.into_iter().filter(|(path, now)| before.get(path) != Some(now));
    let files: Vec<_> =
        pushed.map(|(path, content)| (StoragePath::parse(path).unwrap(), content)).collect();

    let mut comes_whole = 0;
    for at in 0.. {
        let (source, target) = (clone_of(&old).await, memory());
        let pusher = Arc::new(Pusher {
            source: Arc::clone(&source),
            at,
            operations: AtomicUsize::new(0),
            files: files.clone(),
        });
        let observer: Arc<dyn Observer> = Arc::clone(&pusher) as _;
        let busy: Arc<dyn Driver> = Arc::new(Observed::new(Arc::clone(&source), Some(observer)));
        let options = TransferOptions { passes_max: 1, concurrency: 2, ..Default::default() };
        let report = copy_with(&busy, &target, options).await;
        assert!(report.is_success(), "{at} {report:?}");
        assert_whole(&target).await;
        assert_images_are_whole(&target).await;
        comes_whole +=
            usize::from(pulled(&target, "a/b", "t0").await == pulled(&new, "a/b", "t0").await);
        if pusher.operations.load(Ordering::Relaxed) <= at {
            // It has ended before.
            assert!(at > 30 && (1..at).contains(&comes_whole), "{at} {comes_whole}");
            break;
        }
        assert_eq!(copy(&source, &target).await.end, End::Settled);
        assert_eq!(contents(&target).await, whole(&new).await, "{at}");
    }
}

#[tokio::test]
async fn one_pass_says_that_there_may_be_more() {
    let (source, target) = (filled().await, memory());
    let options = TransferOptions { passes_max: 1, ..TransferOptions::default() };
    let report = copy_with(&source, &target, options.clone()).await;
    assert_eq!((report.end, report.passes), (End::PassesUsedUp, 1));
    assert!(report.is_success());
    assert_eq!(copy_with(&source, &target, options).await.end, End::Settled);
}

#[tokio::test]
async fn a_tag_that_moved_moves() {
    let (source, target) = (memory(), memory());
    let registry = Registry::new(Arc::clone(&source), Options::default());
    push_image(&registry, "r", "t").await;
    copy(&source, &target).await;
    let other = push_image(&registry, "r", "other").await;
    let path = registry::layout::tag_current(&crate::support::name("r"), &crate::support::tag("t"));
    super::overwrite(&source, &path, other.to_string()).await;
    assert_ne!(pulled(&target, "r", "t").await, pulled(&source, "r", "t").await);
    copy(&source, &target).await;
    assert_eq!(pulled(&target, "r", "t").await, pulled(&source, "r", "t").await);
}
