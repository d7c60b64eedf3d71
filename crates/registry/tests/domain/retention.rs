//! What goes by retention rules, and what does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::{Algorithm, Digest, MediaType, Reference};
use registry::collection::{Event, Report};
use registry::retention::{Keep, RetentionRule};
use registry::{
    Collection, CollectionOptions, Options, Registry, RepositoryPattern, RetentionRules,
    TagPattern, layout,
};
use serde_json::json;
use storage::Driver;
use storage::faulty::{Failure, Fault, Faulty, Progress};
use storage::memory::Memory;

use crate::support::{
    files, image, index, name, overwrite, push, push_blob, push_image, tag, tags,
};

const HOUR: Duration = Duration::from_secs(3600);
const NONE: Keep =
    Keep { all: false, newest: None, semver: None, pushed_within: None, pulled_within: None };

fn rule(repositories: &str, tags: &[&str], keep: Keep) -> RetentionRule {
    RetentionRule {
        repositories: vec![RepositoryPattern::parse(repositories).unwrap()],
        tags: tags.iter().map(|text| TagPattern::parse(text).unwrap()).collect(),
        keep,
        ..RetentionRule::default()
    }
}

fn newest(count: u64) -> Keep {
    Keep { newest: Some(count), ..NONE }
}

/// Everything may go at once, by these rules.
fn by(rules: Vec<RetentionRule>) -> CollectionOptions {
    CollectionOptions {
        older_than: Duration::ZERO,
        retention: Some(Arc::new(RetentionRules { rules, dry_run: false })),
        ..CollectionOptions::default()
    }
}

async fn collect(registry: &Arc<Registry>, options: CollectionOptions) -> Report {
    Collection::new(Arc::clone(registry), options).run().await.unwrap()
}

fn registries() -> Vec<Arc<Registry>> {
    let (replica, _) = objects::testing::replicas();
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(Memory::new()), Arc::new(replica)];
    let options = Options { record_pulls: true, renew_tags: true, ..Options::default() };
    drivers.into_iter().map(|d| Arc::new(Registry::new(d, options.clone()))).collect()
}

async fn has_manifest(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    registry.get_manifest(&name(repository), &Reference::Digest(*digest)).await.is_ok()
}

/// Pushes images one after the other, as far apart as the storage's clock can tell.
async fn push_all(registry: &Registry, repository: &str, tags: &[&str]) -> Vec<Digest> {
    let mut digests = Vec::new();
    for tag in tags {
        digests.push(push_image(registry, repository, tag).await);
        std::thread::sleep(Duration::from_millis(2));
    }
    digests
}

#[tokio::test(start_paused = true)]
async fn tags_go_and_their_manifests_stay_unless_untagged_ones_go() {
    for registry in registries() {
        let digests = push_all(&registry, "a", &["t1", "t2", "t3", "other"]).await;
        let rules = vec![rule("a", &["t*"], newest(2))];
        let report = collect(&registry, by(rules.clone())).await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 0), "{report:?}");
        assert_eq!((report.retention.kept, report.retention.going), (3, 1));
        assert_eq!(report.retention.tags[0].why, "rule 1: nothing keeps it");
        assert_eq!(tags(&registry, "a").await, ["other", "t2", "t3"]);
        assert!(has_manifest(&registry, "a", &digests[0]).await);

        let again = collect(&registry, by(rules)).await;
        assert_eq!(again.garbage.tags, 0);
        // In the same run the manifest goes that lost its tag just now, and the one before.
        let untagged = RetentionRule {
            untagged: Some(Duration::ZERO),
            ..rule("a", &[], Keep { newest: Some(2), ..NONE })
        };
        let report = collect(&registry, by(vec![untagged])).await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 2), "{report:?}");
        assert_eq!(tags(&registry, "a").await, ["other", "t3"]);
        assert!(has_manifest(&registry, "a", &digests[2]).await);
        assert!(!has_manifest(&registry, "a", &digests[0]).await);
        assert!(!has_manifest(&registry, "a", &digests[1]).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_stays_while_it_is_young_or_has_another_tag() {
    for registry in registries() {
        let digest = push_image(&registry, "a", "v1").await;
        let config = push_blob(&registry, "a", b"{}").await;
        let content = image(&config, json!({"annotations": {"pushed as": "v1"}}));
        push(&registry, "a", "stable", MediaType::OciManifest, &content).await.unwrap();
        let untagged = |age| RetentionRule { untagged: Some(age), ..rule("**", &["v*"], NONE) };
        let report = collect(&registry, by(vec![untagged(Duration::ZERO)])).await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 0), "{report:?}");
        assert!(has_manifest(&registry, "a", &digest).await);
        registry.delete_tag(&name("a"), &tag("stable")).await.unwrap();
        assert_eq!(collect(&registry, by(vec![untagged(HOUR)])).await.deleted.manifests, 0);
        let graceful = CollectionOptions { older_than: HOUR, ..by(vec![untagged(Duration::ZERO)]) };
        assert_eq!(collect(&registry, graceful).await.deleted.manifests, 0);
        let report = collect(&registry, by(vec![untagged(Duration::ZERO)])).await;
        assert_eq!(report.deleted.manifests, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn children_signatures_and_their_tags_follow() {
    for registry in registries() {
        let child = push_image(&registry, "a", "child").await;
        registry.delete_tag(&name("a"), &tag("child")).await.unwrap();
        let content = index(&[child]);
        let parent =
            push(&registry, "a", "v1", MediaType::OciIndex, &content).await.unwrap().digest;
        let signature = format!("sha256-{}.sig", parent.hex());
        push_image(&registry, "a", &signature).await;
        let config = push_blob(&registry, "a", b"{}").await;
        let subject = json!({"mediaType": MediaType::OciIndex.as_str(), "digest": parent.to_string(), "size": 2});
        let content = image(&config, json!({"subject": subject}));
        let referrer = Digest::of(Algorithm::Sha256, &content);
        push(&registry, "a", &referrer.to_string(), MediaType::OciManifest, &content)
            .await
            .unwrap();
        std::thread::sleep(Duration::from_millis(2));

        let rules =
            |keep| vec![RetentionRule { untagged: Some(Duration::ZERO), ..rule("**", &[], keep) }];
        let report = collect(&registry, by(rules(newest(1)))).await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (0, 0), "{report:?}");
        let report = collect(&registry, by(rules(NONE))).await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 3), "{report:?}");
        assert!(!has_manifest(&registry, "a", &child).await);
        assert!(!has_manifest(&registry, "a", &referrer).await);
        assert_eq!(tags(&registry, "a").await, [signature]);
        let report = collect(&registry, by(rules(NONE))).await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 1), "{report:?}");
        assert!(files(&**registry.driver(), "/docker").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_of_each_tag_and_changes_nothing() {
    let registry = registries().remove(0);
    push_all(&registry, "a", &["v1", "v2"]).await;
    push_image(&registry, "prod/a", "v1").await;
    let before = files(&**registry.driver(), "/docker").await;
    let rules = RetentionRules {
        rules: vec![
            rule("prod/**", &[], Keep { all: true, ..NONE }),
            RetentionRule { untagged: Some(Duration::ZERO), ..rule("**", &[], newest(1)) },
        ],
        dry_run: true,
    };
    let rules = Some(Arc::new(rules));
    for (dry_run, (tags, manifests)) in [(true, (1, 1)), (false, (0, 0))] {
        let told = Arc::new(Mutex::new(Vec::new()));
        let observer = Arc::clone(&told);
        let options = CollectionOptions { dry_run, retention: rules.clone(), ..by(Vec::new()) };
        let collection = Collection::new(Arc::clone(&registry), options).with_observer(Arc::new(
            move |event: &Event<'_>| {
                if let Event::Retention { name, tag, decision } = event {
                    observer.lock().unwrap().push(format!("{name}:{tag} {decision}"));
                }
            },
        ));
        let report = collection.run().await.unwrap();
        assert_eq!(
            (report.garbage.tags, report.garbage.manifests),
            (tags, manifests),
            "{report:?}"
        );
        let mut told = told.lock().unwrap().clone();
        told.sort();
        let expected = [
            "a:v1 rule 2: nothing keeps it",
            "a:v2 rule 2: among the newest 1",
            "prod/a:v1 rule 1: it keeps all",
        ];
        assert_eq!(told, expected);
        assert_eq!(files(&**registry.driver(), "/docker").await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_of_what_is_there_counts() {
    for registry in registries() {
        push_all(&registry, "a", &["v1", "v2", "v1"]).await;
        collect(&registry, by(vec![rule("**", &[], newest(1))])).await;
        assert_eq!(tags(&registry, "a").await, ["v1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_pulled_stays() {
    for registry in registries() {
        let pulled = Keep { pulled_within: Some(HOUR), ..NONE };
        let rules = || by(vec![rule("**", &[], pulled)]);
        let digests = push_all(&registry, "a", &["by-tag", "by-digest", "never"]).await;
        // It is not known what was pulled before that was noted.
        assert_eq!(collect(&registry, rules()).await.garbage.tags, 0);
        overwrite(&registry, &layout::pulls_since(), b"1").await;
        registry.note_pull(&name("a"), &Reference::Tag(tag("by-tag")));
        registry.note_pull(&name("a"), &Reference::Digest(digests[1]));
        // The collection itself has it written down.
        let report = collect(&registry, rules()).await;
        assert_eq!(report.deleted.tags, 1, "{report:?}");
        assert_eq!(tags(&registry, "a").await, ["by-digest", "by-tag"]);
        // Other servers see it.
        let other = Registry::new(Arc::clone(registry.driver()), Options::default());
        let report = collect(&Arc::new(other), rules()).await;
        assert_eq!((report.garbage.tags, report.retention.kept), (0, 2));
        // Somebody stopped noting it.
        registry.end_pulls().await.unwrap();
        assert_eq!(collect(&registry, rules()).await.garbage.tags, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_read_keeps_its_repository() {
    let registry = registries().remove(0);
    push_all(&registry, "torn", &["v1", "v2"]).await;
    push_all(&registry, "good", &["v1", "v2"]).await;
    overwrite(&registry, &layout::tag_current(&name("torn"), &tag("v1")), b"").await;
    let all = RetentionRule { untagged: Some(Duration::ZERO), ..rule("**", &[], NONE) };
    let report = collect(&registry, by(vec![all])).await;
    assert_eq!((report.deleted.tags, report.deleted.manifests), (2, 2), "{report:?}");
    assert_eq!((report.problems_total, tags(&registry, "torn").await.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn only_the_selected_repositories_lose_tags() {
    let registry = registries().remove(0);
    push_image(&registry, "one", "v1").await;
    push_image(&registry, "two", "v1").await;
    let selection = Arc::new(|name: &oci::RepositoryName| name.as_str() == "one");
    let options = by(vec![rule("**", &[], NONE)]);
    let options = CollectionOptions { repositories: Some(selection), ..options };
    assert_eq!(collect(&registry, options).await.deleted.tags, 1);
    assert_eq!(tags(&registry, "two").await, ["v1"]);
}

/// Waits for the collector to announce what goes, and lets `meanwhile` happen then.
async fn collect_while(
    registry: &Arc<Registry>,
    options: CollectionOptions,
    meanwhile: impl Future<Output = ()>,
) -> Report {
    let collection = Collection::new(Arc::clone(registry), options);
    let running = collection.run();
    tokio::pin!(running);
    // Longer than anything but the wait after the announcement.
    let begun = tokio::time::timeout(Duration::from_millis(3500), &mut running).await;
    assert!(begun.is_err());
    let announced = files(&**registry.driver(), "/wharf/v1/collection").await;
    assert!(announced.iter().any(|path| path.ends_with("/announced")), "{announced:?}");
    meanwhile.await;
    running.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_pushed_or_pulled_meanwhile_stays_with_what_it_names() {
    let all_untagged =
        |keep| RetentionRule { untagged: Some(Duration::ZERO), ..rule("**", &["v*"], keep) };
    for registry in registries() {
        let digest = push_all(&registry, "a", &["v1", "v2"]).await[0];
        let options = by(vec![all_untagged(newest(1))]);
        let report = collect_while(&registry, options, async {
            push_image(&registry, "a", "v1").await;
        })
        .await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (0, 0), "{report:?}");
        assert!(report.rescued > 0);
        assert_eq!(tags(&registry, "a").await, ["v1", "v2"]);
        assert!(has_manifest(&registry, "a", &digest).await);

        registry.flush_pulls().await.unwrap();
        overwrite(&registry, &layout::pulls_since(), b"1").await;
        let pulled = Keep { pulled_within: Some(HOUR), ..NONE };
        let report = collect_while(&registry, by(vec![all_untagged(pulled)]), async {
            registry.note_pull(&name("a"), &Reference::Tag(tag("v1")));
        })
        .await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 1), "{report:?}");
        assert_eq!(tags(&registry, "a").await, ["v1"]);
    }
}

/// A tag that the rules would let go, but that was not there when that was announced, keeps what it
/// names.
#[tokio::test(start_paused = true)]
async fn a_new_tag_on_what_goes_keeps_it() {
    for registry in registries() {
        let digest = push_image(&registry, "a", "v1").await;
        let config = push_blob(&registry, "a", b"{}").await;
        let content = image(&config, json!({"annotations": {"pushed as": "v1"}}));
        let none = RetentionRule { untagged: Some(Duration::ZERO), ..rule("**", &[], NONE) };
        let report = collect_while(&registry, by(vec![none]), async {
            push(&registry, "a", "v2", MediaType::OciManifest, &content).await.unwrap();
        })
        .await;
        assert_eq!(report.deleted.manifests, 0, "{report:?}");
        assert_eq!(tags(&registry, "a").await, ["v2"]);
        assert!(has_manifest(&registry, "a", &digest).await);
    }
}

/// So does one that was made by a registry that knows of no collector, and pins nothing.
#[tokio::test(start_paused = true)]
async fn a_new_tag_of_another_registry_keeps_what_it_names() {
    for registry in registries() {
        let digest = push_image(&registry, "a", "v1").await;
        let none = RetentionRule { untagged: Some(Duration::ZERO), ..rule("**", &[], NONE) };
        let report = collect_while(&registry, by(vec![none]), async {
            let link = layout::tag_current(&name("a"), &tag("v2"));
            registry.driver().put(&link, digest.to_string().into()).await.unwrap();
        })
        .await;
        assert_eq!((report.deleted.tags, report.deleted.manifests), (1, 0), "{report:?}");
        assert!(registry.get_manifest(&name("a"), &Reference::Tag(tag("v2"))).await.is_ok());
    }
}

/// Whatever can't be deleted stays whole: a tag with its manifest and all that this is made of.
#[tokio::test(start_paused = true)]
async fn what_can_t_be_deleted_stays_whole() {
    let all = || {
        let untagged = Some(Duration::ZERO);
        by(vec![RetentionRule { untagged, ..rule("**", &[], NONE) }])
    };
    let prepare = async |driver: Arc<dyn Driver>| {
        let registry = Arc::new(Registry::new(driver, Options::default()));
        push_image(&registry, "a", "v1").await;
        registry
    };
    let trial = Faulty::new(Arc::new(Memory::new()));
    let registry = prepare(Arc::new(trial.clone())).await;
    let first = trial.operations();
    collect(&registry, all()).await;
    for operation in first..trial.operations() {
        let inner: Arc<dyn Driver> = Arc::new(Memory::new());
        let faulty = Faulty::new(Arc::clone(&inner));
        let registry = prepare(Arc::new(faulty.clone())).await;
        faulty.fail_at(operation, Fault::Error(Failure::Io, Progress::Nothing));
        // It may have failed as a whole.
        let _ = Collection::new(registry, all()).run().await;
        let at = faulty.hit();
        let registry = Registry::new(inner, Options::default());
        let left = registry.list_tags(&name("a"), registry::Page::default()).await;
        for tag in left.map(|tags| tags.names.clone()).unwrap_or_default() {
            let reference = Reference::parse(&tag).unwrap();
            let stored = registry.get_manifest(&name("a"), &reference).await;
            assert!(stored.is_ok(), "{at:?} {stored:?}");
            let config = Digest::of(Algorithm::Sha256, b"{}");
            let found = registry.open_blob(&name("a"), &config).await;
            assert!(found.is_ok(), "{at:?} {found:?}");
        }
    }
}
