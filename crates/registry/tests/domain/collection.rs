//! What a collection deletes, what it keeps, and what it says of it.

use std::sync::Arc;
use std::time::Duration;

use oci::{Algorithm, Digest, MediaType, Reference};
use registry::collection::Report;
use registry::{Collection, CollectionError, CollectionOptions, Options, Registry, layout};
use serde_json::json;
use storage::Driver;
use storage::faulty::{Fault, Faulty};
use storage::memory::Memory;

use crate::support::{
    chunk, files, image, index, name, overwrite, pull_blob, push, push_blob, push_image, tag, tags,
};

fn registry() -> Arc<Registry> {
    Arc::new(crate::support::registry())
}

/// Everything may go at once.
fn at_once() -> CollectionOptions {
    CollectionOptions { older_than: Duration::ZERO, ..CollectionOptions::default() }
}

async fn collect(registry: &Arc<Registry>, options: CollectionOptions) -> Report {
    Collection::new(Arc::clone(registry), options).run().await.unwrap()
}

/// Pushes an image with a layer of its own.
async fn push_layered(registry: &Registry, repository: &str, reference: &str) -> (Digest, Digest) {
    let config = push_blob(registry, repository, b"{}").await;
    let layer = push_blob(registry, repository, reference.as_bytes()).await;
    let layers = json!({"layers": [
        {"mediaType": "application/layer", "digest": layer.to_string(), "size": reference.len()},
    ]});
    let content = image(&config, layers);
    let pushed = push(registry, repository, reference, MediaType::OciManifest, &content).await;
    (pushed.unwrap().digest, layer)
}

/// Puts a manifest onto the storage that would not be accepted.
async fn put_revision(registry: &Registry, repository: &str, json: &serde_json::Value) -> Digest {
    let content = serde_json::to_vec(json).unwrap();
    let digest = Digest::of(Algorithm::Sha256, &content);
    let driver = registry.driver();
    driver.put(&layout::blob_data(&digest), content.into()).await.unwrap();
    let link = layout::revision_link(&name(repository), &digest);
    driver.put(&link, digest.to_string().into()).await.unwrap();
    digest
}

async fn has_data(registry: &Registry, digest: &Digest) -> bool {
    registry.driver().stat(&layout::blob_data(digest)).await.is_ok()
}

async fn has_manifest(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    registry.get_manifest(&name(repository), &Reference::Digest(*digest)).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn what_nothing_refers_to_goes_and_the_rest_stays() {
    let registry = registry();
    let (_, kept) = push_layered(&registry, "one", "v1").await;
    let orphan = push_blob(&registry, "one", b"orphan").await;
    let (gone, layer) = push_layered(&registry, "two", "v2").await;
    registry.delete_manifest(&name("two"), &gone).await.unwrap();

    let report = collect(&registry, at_once()).await;

    // In "two": the layer, and the configuration that "one" has as well.
    assert_eq!(report.deleted.layers, 3, "{report:?}");
    assert_eq!(report.deleted.blobs, 3, "{report:?}");
    assert_eq!(report.deleted.blob_bytes, report.garbage.blob_bytes);
    assert_eq!(report.repositories_removed, 1);
    for digest in [orphan, layer, gone] {
        assert!(!has_data(&registry, &digest).await);
    }
    assert_eq!(pull_blob(&registry, "one", &kept).await, b"v1");
    assert!(registry.stat_blob(&name("one"), &orphan).await.is_err());
    let left = files(&**registry.driver(), "/").await;
    assert!(!left.iter().any(|path| path.contains("/two/") || path.contains("/collection/p")));

    let again = collect(&registry, at_once()).await;
    assert_eq!((again.garbage, again.deleted), Default::default());
}

#[tokio::test(start_paused = true)]
async fn what_is_young_stays() {
    let registry = registry();
    let orphan = push_blob(&registry, "one", b"orphan").await;
    let report = collect(&registry, CollectionOptions::default()).await;
    assert_eq!(report.deleted, Default::default());
    assert!(has_data(&registry, &orphan).await);
    // What a link that is young leads to is not even looked at.
    assert_eq!((report.blobs_seen, report.young_blobs), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing_and_says_what_would_go() {
    let registry = registry();
    push_blob(&registry, "one", b"orphan").await;
    let before = files(&**registry.driver(), "/").await;
    let options = CollectionOptions { dry_run: true, ..at_once() };
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let collection = Collection::new(Arc::clone(&registry), options).with_observer(Arc::new(
        move |event: &registry::collection::Event<'_>| {
            if let registry::collection::Event::Garbage { garbage, reason } = event {
                observer.lock().unwrap().push(format!("{garbage}: {}", reason.as_str()));
            }
        },
    ));
    let report = collection.run().await.unwrap();
    assert_eq!((report.garbage.blobs, report.garbage.layers), (1, 1));
    assert_eq!(report.deleted, Default::default());
    assert_eq!(files(&**registry.driver(), "/").await, before);
    let told = told.lock().unwrap();
    assert!(told.iter().all(|line| line.ends_with("no manifest refers to it")), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn children_and_referrers_live_and_die_with_their_parents() {
    let registry = registry();
    let push_untagged = async |of: &str, more| {
        let config = push_blob(&registry, "one", b"{}").await;
        let content = image(&config, more);
        let digest = Digest::of(Algorithm::Sha256, &content).to_string();
        let pushed = push(&registry, "one", &digest, MediaType::OciManifest, &content).await;
        assert!(!of.is_empty());
        pushed.unwrap().digest
    };
    let subject = |digest: &Digest| json!({"subject": {"mediaType": MediaType::OciManifest.as_str(), "digest": digest.to_string(), "size": 2}});
    let child = push_untagged("child", json!({"annotations": {"is": "child"}})).await;
    let content = index(&[child]);
    let parent = push(&registry, "one", "v1", MediaType::OciIndex, &content).await.unwrap().digest;
    let signature = push_untagged("signature", subject(&parent)).await;
    let second = push_untagged("signature of a signature", subject(&signature)).await;
    let stray = push_untagged("stray", json!({"annotations": {"is": "stray"}})).await;

    let options = CollectionOptions { untagged: true, ..at_once() };
    let report = collect(&registry, options.clone()).await;
    assert_eq!(report.deleted.manifests, 1, "{report:?}");
    assert!(!has_manifest(&registry, "one", &stray).await);
    for digest in [child, parent, signature, second] {
        assert!(has_manifest(&registry, "one", &digest).await);
    }

    registry.delete_tag(&name("one"), &tag("v1")).await.unwrap();
    let report = collect(&registry, options).await;
    assert_eq!(report.deleted.manifests, 4, "{report:?}");
    assert_eq!(report.repositories_removed, 1);
    assert!(files(&**registry.driver(), "/docker").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn untagged_manifests_stay_unless_asked_for_but_for_those_whose_subject_is_gone() {
    let registry = registry();
    let subject = push_image(&registry, "one", "v1").await;
    let config = push_blob(&registry, "one", b"{}").await;
    let of_subject = json!({"subject": {"mediaType": MediaType::OciManifest.as_str(), "digest": subject.to_string(), "size": 2}});
    let content = image(&config, of_subject);
    let digest = Digest::of(Algorithm::Sha256, &content).to_string();
    let signature =
        push(&registry, "one", &digest, MediaType::OciManifest, &content).await.unwrap().digest;
    let stray = push_image(&registry, "one", "v2").await;
    registry.delete_tag(&name("one"), &tag("v2")).await.unwrap();

    assert_eq!(collect(&registry, at_once()).await.deleted.manifests, 0);
    registry.delete_manifest(&name("one"), &subject).await.unwrap();
    let keep = CollectionOptions { referrers: false, ..at_once() };
    assert_eq!(collect(&registry, keep).await.deleted.manifests, 0);
    assert_eq!(collect(&registry, at_once()).await.deleted.manifests, 1);
    assert!(!has_manifest(&registry, "one", &signature).await);
    assert!(has_manifest(&registry, "one", &stray).await);
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_read_keeps_its_repository_and_no_other() {
    let registry = registry();
    let (damaged, layer) = push_layered(&registry, "bad", "v1").await;
    let orphan = push_blob(&registry, "bad", b"orphan of bad").await;
    let torn = push_image(&registry, "torn", "v1").await;
    let other = push_blob(&registry, "good", b"orphan of good").await;
    overwrite(&registry, &layout::blob_data(&damaged), b"not json").await;
    overwrite(&registry, &layout::revision_link(&name("torn"), &torn), b"").await;

    let report = collect(&registry, CollectionOptions { untagged: true, ..at_once() }).await;
    assert_eq!(report.problems.len(), 2, "{report:?}");
    assert_eq!(report.problems[0].repository.as_deref(), Some("bad"));
    assert_eq!((report.deleted.blobs, report.deleted.layers), (1, 1), "{report:?}");
    for digest in [layer, orphan, torn, damaged] {
        assert!(has_data(&registry, &digest).await);
    }
    assert!(!has_data(&registry, &other).await);
}

/// Distribution serves images of Docker's first schema from old volumes, and so does wharf.
#[tokio::test(start_paused = true)]
async fn the_layers_of_an_image_of_the_first_schema_stay() {
    let registry = registry();
    let layer = push_blob(&registry, "old", b"layer of old").await;
    let content = json!({
        "schemaVersion": 1, "name": "old", "tag": "v1", "signatures": [],
        "fsLayers": [{"blobSum": layer.to_string()}],
    });
    let manifest = put_revision(&registry, "old", &content).await;
    let report = collect(&registry, at_once()).await;
    assert_eq!((report.deleted, report.problems), Default::default());
    assert!(has_manifest(&registry, "old", &manifest).await);
    assert_eq!(pull_blob(&registry, "old", &layer).await, b"layer of old");
}

#[tokio::test(start_paused = true)]
async fn a_manifest_of_no_known_shape_keeps_its_repository() {
    let registry = registry();
    let blob = push_blob(&registry, "odd", b"part of something").await;
    put_revision(&registry, "odd", &json!({"blobs": [{"digest": blob.to_string()}]})).await;
    let report = collect(&registry, at_once()).await;
    assert_eq!((report.deleted, report.problems.len()), (Default::default(), 1));
    registry.stat_blob(&name("odd"), &blob).await.unwrap();
}

/// Distribution's names may begin with a host, which may have capital letters.
#[tokio::test(start_paused = true)]
async fn a_directory_that_is_no_repository_keeps_all_blobs() {
    let registry = registry();
    let theirs = push_blob(&registry, "lower", b"theirs").await;
    let orphan = push_blob(&registry, "one", b"orphan").await;
    let (driver, root) = (registry.driver(), layout::repositories());
    for below in ["Host.example/app", "host/App"] {
        let link = layout::layer_link(&name("x"), &theirs).to_string();
        let link = link.replace("/repositories/x/", &format!("/repositories/{below}/"));
        assert!(link.starts_with(root.as_str()));
        let link = storage::StoragePath::parse(link).unwrap();
        driver.put(&link, theirs.to_string().into()).await.unwrap();
    }
    let report = collect(&registry, at_once()).await;
    assert_eq!((report.deleted.blobs, report.deleted.layers), (0, 2), "{report:?}");
    let [problem] = &*report.problems else { panic!("{report:?}") };
    assert!(problem.what.contains("repositories/Host.example (and 1 more)"), "{problem:?}");
    for digest in [theirs, orphan] {
        assert!(has_data(&registry, &digest).await);
    }
}

/// Those of a NAS are nobody's repositories, and keep nothing.
#[tokio::test(start_paused = true)]
async fn what_machines_put_among_repositories_keeps_no_blob() {
    let registry = registry();
    push_blob(&registry, "one", b"orphan").await;
    let (driver, root) = (registry.driver(), layout::repositories());
    for file in [".snapshot/1/x", "one/.snapshot/x", "_recycle/x"] {
        let path = storage::StoragePath::parse(format!("{root}/{file}")).unwrap();
        driver.put(&path, "x".into()).await.unwrap();
    }
    let report = collect(&registry, at_once()).await;
    assert_eq!((report.deleted.blobs, report.problems.len()), (1, 0), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn content_under_other_digests_is_kept_and_goes_as_well() {
    let registry = registry();
    let layer = b"layer under sha512";
    let sha512 = Digest::of(Algorithm::Sha512, layer);
    registry.put_blob(&name("one"), &sha512, chunk(&layer[..])).await.unwrap();
    let config = push_blob(&registry, "one", b"{}").await;
    let layers = json!({"layers": [
        {"mediaType": "application/layer", "digest": sha512.to_string(), "size": layer.len()},
    ]});
    let content = image(&config, layers);
    let digest = Digest::of(Algorithm::Sha512, &content);
    let media_type = MediaType::OciManifest;
    push(&registry, "one", &digest.to_string(), media_type, &content).await.unwrap();

    assert_eq!(collect(&registry, at_once()).await.deleted, Default::default());
    assert_eq!(pull_blob(&registry, "one", &sha512).await, layer);
    let report = collect(&registry, CollectionOptions { untagged: true, ..at_once() }).await;
    assert_eq!(report.deleted.manifests, 1);
    // The layer is linked under both of its digests.
    assert_eq!((report.deleted.layers, report.deleted.blobs), (3, 3), "{report:?}");
    assert!(files(&**registry.driver(), "/docker").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_the_selected_repositories_lose_something() {
    let registry = registry();
    let one = push_blob(&registry, "one", b"orphan of one").await;
    let two = push_blob(&registry, "two", b"orphan of two").await;
    let selection = Arc::new(|name: &oci::RepositoryName| name.as_str() == "one");
    let options = CollectionOptions { repositories: Some(selection), ..at_once() };
    assert_eq!(collect(&registry, options).await.deleted.blobs, 1);
    assert!(!has_data(&registry, &one).await);
    registry.stat_blob(&name("two"), &two).await.unwrap();
}

#[tokio::test]
async fn nothing_goes_where_pins_are_listed_late() {
    let driver = Faulty::new(Arc::new(Memory::new())).listing_late();
    let registry = Arc::new(Registry::new(Arc::new(driver), Options::default()));
    let orphan = push_blob(&registry, "one", b"orphan").await;
    let refused = Collection::new(Arc::clone(&registry), at_once()).run().await;
    assert!(matches!(refused, Err(CollectionError::ListsLate)), "{refused:?}");
    assert!(has_data(&registry, &orphan).await);
    let options = CollectionOptions { dry_run: true, ..at_once() };
    let report = collect(&registry, options).await;
    assert_eq!((report.garbage.layers, report.garbage.blobs), (1, 1), "it may be looked for");
}

#[tokio::test(start_paused = true)]
async fn there_is_one_collection_at_a_time() {
    let registry = registry();
    push_blob(&registry, "one", b"orphan").await;
    let first = Collection::new(Arc::clone(&registry), at_once());
    let running = first.run();
    tokio::pin!(running);
    // It waits for everybody to see its announcement.
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut running).await.is_err());
    let second = Collection::new(Arc::clone(&registry), at_once()).run().await;
    assert!(matches!(second, Err(CollectionError::Running)), "{second:?}");
    assert_eq!(running.await.unwrap().deleted.blobs, 1);
    // One that was killed is no hindrance, and what it left is cleared away.
    push_blob(&registry, "one", b"orphan").await;
    let killed = Collection::new(Arc::clone(&registry), at_once());
    assert!(tokio::time::timeout(Duration::from_millis(1), killed.run()).await.is_err());
    let lists = files(&**registry.driver(), "/wharf/v1/collection/lists").await;
    assert_eq!(lists.len(), 1);
    assert_eq!(collect(&registry, at_once()).await.deleted.blobs, 1);
    let left = files(&**registry.driver(), "/wharf/v1/collection").await;
    assert_eq!(left, ["/wharf/v1/collection/last", "/wharf/v1/collection/lease"]);
    assert!(registry.last_collection().await.unwrap().is_some());
    assert_eq!((registry.collections().finished, registry.collections().deleted.blobs), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn on_an_object_store_it_is_the_same() {
    let (driver, _) = objects::testing::replicas();
    let registry = Arc::new(Registry::new(Arc::new(driver), Options::default()));
    let (_, kept) = push_layered(&registry, "one", "v1").await;
    let orphan = push_blob(&registry, "one", b"orphan").await;
    let (gone, _) = push_layered(&registry, "two", "v2").await;
    registry.delete_manifest(&name("two"), &gone).await.unwrap();
    let report = collect(&registry, at_once()).await;
    assert_eq!((report.deleted.layers, report.deleted.blobs), (3, 3), "{report:?}");
    assert!(!has_data(&registry, &orphan).await);
    assert_eq!(pull_blob(&registry, "one", &kept).await, b"v1");
    let left = files(&**registry.driver(), "/wharf").await;
    assert_eq!(left, ["/wharf/v1/collection/last"]);
}

#[tokio::test(start_paused = true)]
async fn uploads_may_be_on_trial_by_themselves() {
    let registry = registry();
    let orphan = push_blob(&registry, "one", b"orphan").await;
    let id = registry.start_upload(&name("one"), None).await.unwrap().id;
    let path = layout::upload_started_at(&name("one"), &id);
    registry.driver().put(&path, "2020-01-02T03:04:05Z".into()).await.unwrap();
    let trial = |uploads_dry_run| CollectionOptions {
        uploads_older_than: Some(Duration::from_secs(3600)),
        uploads_dry_run,
        ..at_once()
    };
    let report = collect(&registry, trial(true)).await;
    assert_eq!((report.deleted.blobs, report.uploads), (1, 0), "{report:?}");
    assert!(!has_data(&registry, &orphan).await);
    registry.upload_status(&name("one"), &id).await.unwrap();
    assert_eq!(collect(&registry, trial(false)).await.uploads, 1);
    assert!(registry.upload_status(&name("one"), &id).await.is_err());
}

/// A server starts while a collection runs that has found none, and takes the layer of an image.
#[tokio::test(start_paused = true)]
async fn what_a_server_promises_stays_that_was_not_there_at_first() {
    let registry = registry();
    let layer = push_blob(&registry, "one", b"layer").await;
    let (untagged, of_untagged) = push_layered(&registry, "two", "v1").await;
    registry.delete_tag(&name("two"), &tag("v1")).await.unwrap();
    let collect_beside = async |grace: Duration| {
        let promises: registry::collection::Promises =
            Arc::new(move || Box::pin(std::future::ready(Ok(grace))));
        let options = CollectionOptions { promises: Some(promises), untagged: true, ..at_once() };
        collect(&registry, options).await
    };
    let report = collect_beside(Duration::from_secs(3600)).await;
    assert_eq!((report.deleted, report.garbage.layers), (Default::default(), 3), "{report:?}");
    assert!(has_manifest(&registry, "two", &untagged).await);
    for (repository, layer) in [("one", &layer), ("two", &of_untagged)] {
        registry.stat_blob(&name(repository), layer).await.unwrap();
    }
    let report = collect_beside(Duration::ZERO).await;
    assert_eq!((report.deleted.manifests, report.deleted.layers), (1, 3), "{report:?}");
}

/// Wherever it is cut short, nothing that is referred to is missing, and the next one finishes.
#[tokio::test(start_paused = true)]
async fn a_collection_that_fails_or_is_killed_does_no_harm() {
    async fn prepare(driver: Arc<dyn Driver>) -> (Arc<Registry>, Digest) {
        let registry = Arc::new(Registry::new(driver, Options::default()));
        let (_, kept) = push_layered(&registry, "one", "v1").await;
        push_blob(&registry, "one", b"orphan").await;
        let (gone, _) = push_layered(&registry, "two", "v2").await;
        registry.delete_manifest(&name("two"), &gone).await.unwrap();
        (registry, kept)
    }
    let trial = Faulty::new(Arc::new(Memory::new()));
    let (registry, _) = prepare(Arc::new(trial.clone())).await;
    let first = trial.operations();
    collect(&registry, at_once()).await;
    let last = trial.operations();
    assert!(last - first > 10, "{first} to {last}");
    for operation in first..last {
        for fault in Fault::ALL {
            let inner: Arc<dyn Driver> = Arc::new(Memory::new());
            let faulty = Faulty::new(Arc::clone(&inner));
            let (registry, _) = prepare(Arc::new(faulty.clone())).await;
            faulty.fail_at(operation, fault);
            // It may have got along with it.
            let outcome = Collection::new(registry, at_once()).run().await;
            let at = format!("{:?} {outcome:?}", faulty.hit());
            let registry = Arc::new(Registry::new(inner, Options::default()));
            assert_eq!(tags(&registry, "one").await, ["v1"], "{at}");
            let report = collect(&registry, at_once()).await;
            assert!(report.problems.is_empty(), "{at} {report:?}");
            let (_, kept) = push_layered(&registry, "one", "v1").await;
            assert_eq!(pull_blob(&registry, "one", &kept).await, b"v1", "{at}");
            // Manifest, configuration and layer.
            let blobs = files(&**registry.driver(), "/docker/registry/v2/blobs").await;
            assert_eq!(blobs.len(), 3, "{at} {blobs:?}");
        }
    }
}

/// A client asks for a manifest, and then names it in an index.
#[tokio::test(start_paused = true)]
async fn what_a_client_was_told_of_stays_for_the_grace_time() {
    let grace = Duration::from_millis(50);
    let registry = Registry::new(Arc::new(Memory::new()), Options { grace, ..Options::default() });
    let registry = Arc::new(registry);
    let child = push_image(&registry, "one", "v1").await;
    let forgotten = push_image(&registry, "one", "v2").await;
    let layer = push_blob(&registry, "one", b"asked for").await;
    for old in ["v1", "v2"] {
        registry.delete_tag(&name("one"), &tag(old)).await.unwrap();
    }
    std::thread::sleep(2 * grace);
    registry.promise_manifest(&name("one"), &child).await.unwrap();
    registry.promise_blob(&name("one"), &layer).await.unwrap();
    let options = CollectionOptions { older_than: grace, untagged: true, ..at_once() };
    let report = collect(&registry, options).await;
    assert_eq!(report.deleted.manifests, 1, "{report:?}");
    assert!(!has_manifest(&registry, "one", &forgotten).await);
    let content = index(&[child]);
    push(&registry, "one", "both", MediaType::OciIndex, &content).await.unwrap();
    registry.stat_blob(&name("one"), &layer).await.unwrap();
    let unknown = registry.promise_manifest(&name("one"), &forgotten).await;
    assert!(unknown.is_err());
}
