//! What of a source is copied, and under which names.

use std::num::NonZeroUsize;

use crate::support::{Remote, copied, from, push_image, registry, tagged, to};

#[tokio::test]
async fn repositories_that_are_named_need_no_catalog_and_globs_do() {
    let remote = Remote::start().await;
    for repository in ["a/one", "a/two", "b/one"] {
        push_image(&remote.registry, repository, Some("v1"), &[b"base"]).await;
    }
    let here = registry();
    let report = copied(&here, &from(&remote, &["a/*", "b/one"])).await;
    assert_eq!(report.copied, 3);
    let here = registry();
    let report = copied(&here, &from(&remote, &["a/one", "gone"])).await;
    assert_eq!(report.copied, 1);
    assert_eq!(tagged(&here, "a/two", "v1").await, None);
}

#[tokio::test]
async fn the_newest_are_those_that_were_written_last() {
    let remote = Remote::start().await;
    let here = registry();
    for tag in ["c", "a", "b"] {
        push_image(&here, "a", Some(tag), &[tag.as_bytes()]).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut job = to(&remote, &["a"]);
    job.selection.newest = NonZeroUsize::new(2);
    copied(&here, &job).await;
    for (tag, expected) in [("a", true), ("b", true), ("c", false)] {
        assert_eq!(tagged(&remote.registry, "a", tag).await.is_some(), expected, "{tag}");
    }
}
