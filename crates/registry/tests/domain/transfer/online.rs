//! A source that is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use registry::transfer::End;
use registry::{Options, Registry, TransferOptions};

use super::model::{assert_whole, contents, pulled, whole};
use super::{copy, copy_with, filled, memory};
use crate::support::{push_blob, push_image};

/// Every image of the target is whole, also while others are being pushed to the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_meanwhile_comes_whole_or_later() {
    let (source, target) = (filled().await, memory());
    let is_done = Arc::new(AtomicBool::new(false));
    let pushing = tokio::spawn({
        let (source, is_done) = (Arc::clone(&source), Arc::clone(&is_done));
        async move {
            let registry = Registry::new(source, Options::default());
            for number in 0..400 {
                let repository = format!("busy/{}", number % 3);
                push_blob(&registry, &repository, format!("{number}").as_bytes()).await;
                push_image(&registry, &repository, &format!("t{}", number % 40)).await;
                tokio::task::yield_now().await;
            }
            is_done.store(true, Ordering::Relaxed);
        }
    });
    while !is_done.load(Ordering::Relaxed) {
        let report = copy(&source, &target).await;
        assert!(report.is_success(), "{report:?}");
        assert_whole(&target).await;
    }
    pushing.await.unwrap();
    assert_eq!(copy(&source, &target).await.end, End::Settled);
    assert_eq!(contents(&target).await, whole(&source).await);
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
