//! What of a source is copied, and under which names.

use std::num::NonZeroUsize;

use oci::{MediaType, RepositoryName};
use serde_json::json;
use sync::{Direction, Platform, Platforms, Reason, Synchronizer, VersionRange};
use tokio_util::sync::CancellationToken;

use crate::fake::FakeRegistry;
use crate::support::{
    Remote, client, copied, descriptor, from, has, job, push_image, push_index, registry, tagged,
    to,
};

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

#[tokio::test]
async fn images_of_a_remote_say_themselves_when_they_were_made() {
    let remote = FakeRegistry::start().await;
    for (tag, created) in [("new", Some("2026-03-01")), ("old", Some("2025-01-01")), ("odd", None)]
    {
        let config = match created {
            Some(day) => json!({"created": format!("{day}T00:00:00Z"), "tag": tag}),
            None => json!({"tag": tag}),
        };
        let config = config.to_string().into_bytes();
        remote.put_blob("a", &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OciManifest.as_str(),
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [],
        });
        let content = manifest.to_string();
        remote.put_manifest("a", Some(tag), MediaType::OciManifest.as_str(), content.as_bytes());
    }
    let mut job = job(Direction::From(client(&remote.url())), &["a"]);
    for (newest, expected) in [(1, vec!["new"]), (2, vec!["new", "old"])] {
        job.selection.newest = NonZeroUsize::new(newest);
        let plan = Synchronizer::new(registry(), job.clone(), None).plan().await.unwrap();
        let tags: Vec<_> = plan.items.iter().map(|item| item.reference.as_str()).collect();
        assert_eq!(tags, expected);
    }
    // What was asked once is not asked again, also not after a restart.
    let here = registry();
    job.selection.newest = NonZeroUsize::new(1);
    copied(&here, &job).await;
    let asked = remote.count("GET /v2/a/manifests");
    copied(&here, &job).await;
    assert_eq!(remote.count("GET /v2/a/manifests"), asked);
}

#[tokio::test]
async fn versions_in_a_range_get_the_name_that_the_job_gives_them() {
    let remote = Remote::start().await;
    for tag in ["v1.2.0", "v1.9.3", "v2.0.0", "latest"] {
        push_image(&remote.registry, "team/app", Some(tag), &[tag.as_bytes()]).await;
    }
    let mut job = from(&remote, &["team/*"]);
    job.selection.semver = Some(VersionRange::parse(">=1.3, <2").unwrap());
    job.names.rewrite = vec![("team".to_owned(), "ours".to_owned())];
    job.names.prefix = "copies".to_owned();
    let here = registry();
    assert_eq!(copied(&here, &job).await.copied, 1);
    assert!(tagged(&here, "copies/ours/app", "v1.9.3").await.is_some());

    job.names.prefix = "x".repeat(RepositoryName::parse("a").unwrap().as_str().len() * 300);
    let plan = Synchronizer::new(here, job, None).plan().await.unwrap();
    assert_eq!((plan.items.len(), plan.problems.len()), (0, 1), "{plan:?}");
}

#[tokio::test]
async fn of_an_index_only_the_platforms_that_are_wanted_come_and_it_stays_what_it_is() {
    let remote = Remote::start().await;
    let (index, [amd64, arm64]) = push_index(&remote.registry, "a", "v1").await;
    let here = registry();
    let mut job = from(&remote, &["a"]);
    job.platforms = Platforms(vec![Platform::parse("linux/arm64").unwrap()]);
    copied(&here, &job).await;
    assert_eq!(tagged(&here, "a", "v1").await, Some(index));
    assert!(has(&here, "a", &arm64).await);
    assert!(!has(&here, "a", &amd64).await);
    assert_eq!(copied(&here, &job).await.planned, 0);
}

#[tokio::test]
async fn platforms_that_are_wanted_later_come_later() {
    let remote = Remote::start().await;
    let (index, [amd64, arm64]) = push_index(&remote.registry, "a", "v1").await;
    for referrers in [false, true] {
        let (here, there) = (registry(), FakeRegistry::start().await);
        let mut from = from(&remote, &["a"]);
        let mut to = job(Direction::To(client(&there.url())), &["a"]);
        (from.name, to.name) = ("from".to_owned(), "to".to_owned());
        (from.referrers, to.referrers) = (referrers, referrers);
        let arm = Platforms(vec![Platform::parse("linux/arm64").unwrap()]);
        (from.platforms, to.platforms) = (arm.clone(), arm);
        copied(&here, &from).await;
        copied(&here, &to).await;
        let has_there = |digest: &oci::Digest| there.manifest("a", &digest.to_string()).is_some();
        assert!(!has(&here, "a", &amd64).await && !has_there(&amd64));

        (from.platforms, to.platforms) = (Platforms::default(), Platforms::default());
        let plan = Synchronizer::new(here.clone(), from.clone(), None).plan().await.unwrap();
        assert_eq!(plan.items[0].reason, Reason::Incomplete, "{plan:?}");
        copied(&here, &from).await;
        copied(&here, &to).await;
        assert_eq!(tagged(&here, "a", "v1").await, Some(index));
        assert!(has(&here, "a", &amd64).await && has_there(&amd64) && has_there(&arm64));

        // A child is asked for once, and not at every run.
        let synchronizer = Synchronizer::new(here.clone(), to, None);
        let stop = CancellationToken::new();
        assert_eq!(synchronizer.run(&stop).await.unwrap().planned, 0);
        let asked = there.count(&format!("HEAD /v2/a/manifests/{amd64}"));
        assert_eq!(synchronizer.run(&stop).await.unwrap().planned, 0);
        assert_eq!(there.count(&format!("HEAD /v2/a/manifests/{amd64}")), asked);
    }
}
