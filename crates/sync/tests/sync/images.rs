//! Images, both ways.

use std::sync::Arc;

use crate::support::{
    Remote, copied, from, has, has_blob, name, push_image, push_index, registry, registry_over,
    sha256, tagged, to,
};

#[tokio::test]
async fn what_a_remote_has_comes_here_byte_for_byte() {
    let remote = Remote::start().await;
    let large = vec![7_u8; 3 << 20];
    let one = push_image(&remote.registry, "team/app", Some("v1"), &[b"base", &large]).await;
    let two = push_image(&remote.registry, "team/app", Some("v2"), &[b"base", b"two"]).await;
    push_image(&remote.registry, "other/app", Some("v1"), &[b"base"]).await;
    let here = registry();
    let report = copied(&here, &from(&remote, &["team/*"])).await;
    assert_eq!((report.planned, report.copied, report.manifests), (2, 2, 2));
    assert_eq!(tagged(&here, "team/app", "v1").await, Some(one));
    assert_eq!(tagged(&here, "team/app", "v2").await, Some(two));
    assert!(has_blob(&here, "team/app", &sha256(&large)).await);
    assert_eq!(tagged(&here, "other/app", "v1").await, None);
    // Everything once, though two images have it.
    assert_eq!(report.blobs, 4 + u64::from(report.blobs == 5));
    assert!(report.bytes > 3 << 20);

    let report = copied(&here, &from(&remote, &["team/*"])).await;
    assert_eq!((report.planned, report.bytes), (0, 0), "there was nothing left to do");
    let moved = push_image(&remote.registry, "team/app", Some("v1"), &[b"base", b"three"]).await;
    let report = copied(&here, &from(&remote, &["team/*"])).await;
    assert_eq!((report.planned, report.copied), (1, 1));
    assert_eq!(tagged(&here, "team/app", "v1").await, Some(moved));
}

#[tokio::test]
async fn what_is_here_goes_to_a_remote_and_is_mounted_where_it_can_be() {
    let remote = Remote::start().await;
    let here = registry();
    let one = push_image(&here, "a", Some("v1"), &[b"base", b"one"]).await;
    let two = push_image(&here, "b", Some("v1"), &[b"base", b"two"]).await;
    let mut job = to(&remote, &["*"]);
    job.concurrency = 1;
    let report = copied(&here, &job).await;
    assert_eq!((report.copied, report.blobs), (2, 4), "the base and the configuration only once");
    assert_eq!(report.blobs_there, 2);
    assert_eq!(tagged(&remote.registry, "a", "v1").await, Some(one));
    assert_eq!(tagged(&remote.registry, "b", "v1").await, Some(two));
    assert!(has_blob(&remote.registry, "b", &sha256(b"base")).await);
    assert_eq!(copied(&here, &job).await.planned, 0);
}

#[tokio::test]
async fn an_index_comes_with_its_children_and_is_what_it_was() {
    let remote = Remote::start().await;
    let (index, children) = push_index(&remote.registry, "a", "v1").await;
    let here = registry();
    copied(&here, &from(&remote, &["a"])).await;
    assert_eq!(tagged(&here, "a", "v1").await, Some(index));
    for child in &children {
        assert!(has(&here, "a", child).await);
    }
    let there = Remote::start().await;
    copied(&here, &to(&there, &["a"])).await;
    assert_eq!(tagged(&there.registry, "a", "v1").await, Some(index));
    assert!(has(&there.registry, "a", &children[1]).await);
}

#[tokio::test]
async fn content_that_is_here_in_another_repository_is_not_fetched() {
    let remote = Remote::start().await;
    push_image(&remote.registry, "a", Some("v1"), &[b"base", b"one"]).await;
    let here = registry();
    push_image(&here, "mine", Some("v1"), &[b"base"]).await;
    let report = copied(&here, &from(&remote, &["a"])).await;
    assert_eq!((report.blobs_there, report.blobs), (1, 2));
    assert!(has_blob(&here, "a", &sha256(b"base")).await);
}

#[tokio::test]
async fn an_object_store_holds_the_queue_and_the_images_as_well() {
    let remote = Remote::start().await;
    let (index, _) = push_index(&remote.registry, "a", "v1").await;
    push_image(&remote.registry, "b", Some("v1"), &[b"base"]).await;
    let (one, other) = objects::testing::replicas();
    let here = registry_over(Arc::new(one));
    let report = copied(&here, &from(&remote, &["*"])).await;
    assert_eq!((report.planned, report.copied), (2, 2));
    let other = registry_over(Arc::new(other));
    assert_eq!(tagged(&other, "a", "v1").await, Some(index));
    let there = Remote::start().await;
    copied(&other, &to(&there, &["*"])).await;
    assert_eq!(tagged(&there.registry, "a", "v1").await, Some(index));
    assert!(there.registry.list_tags(&name("b"), registry::Page::default()).await.is_ok());
}
