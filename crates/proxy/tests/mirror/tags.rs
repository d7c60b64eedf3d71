//! Tags, and how long what is known of them counts.

use std::time::Duration;

use oci::{Algorithm, Digest};
use proxy::{MirrorError, Policy};

use crate::fake::{Act, FakeRegistry};
use crate::support::{OCI_MANIFEST, Setup, Store, THERE, image};

#[tokio::test]
async fn who_asks_as_docker_does_has_the_tag_here() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
        let pulling = Setup::of(&[&fake]).over(&store);
        // HEAD by tag, and then GET by the digest that it said.
        assert_eq!(pulling.head("v1").await.unwrap().content.digest, digest);
        assert_eq!(pulling.digest(&digest.to_string()).await, digest);
        assert_eq!((fake.count("HEAD "), fake.count("GET ")), (1, 1));
        let offline = Setup::of(&[&fake]).offline().over(&store);
        assert_eq!(offline.digest("v1").await, digest, "{}", store.label);
        assert_eq!(offline.head("v1").await.unwrap().content.digest, digest);
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_tag_that_moves_there_moves_here() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let old = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("old"));
        let pulling = Setup::of(&[&fake]).over(&store);
        assert_eq!(pulling.digest("v1").await, old);
        assert_eq!(pulling.digest("v1").await, old);
        assert_eq!((fake.count("HEAD "), fake.count("GET ")), (2, 1), "looked up, not fetched");
        let new = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("new"));
        assert_eq!(pulling.head("v1").await.unwrap().content.digest, new);
        assert_eq!(pulling.digest("v1").await, new);
        let asked = fake.seen().len();
        assert_eq!(pulling.digest(&old.to_string()).await, old);
        assert_eq!(fake.seen().len(), asked, "{}", store.label);
        // And back, to what is here already.
        fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("old"));
        assert_eq!(pulling.head("v1").await.unwrap().content.digest, old);
        assert_eq!(Setup::unreachable().offline().over(&store).digest("v1").await, old);
    }
}

fn tag_ttl(tag_ttl: Duration) -> Policy {
    Policy { tag_ttl, ..Policy::default() }
}

#[tokio::test]
async fn a_tag_is_not_asked_for_again_at_once() {
    let fake = FakeRegistry::start().await;
    let old = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("old"));
    let store = Store::memory();
    let ttl = Duration::from_millis(600);
    let pulling = Setup::of(&[&fake]).policy(tag_ttl(ttl)).over(&store);
    assert_eq!(pulling.digest("v1").await, old);
    let new = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("new"));
    assert_eq!(pulling.digest("v1").await, old);
    assert_eq!(pulling.head("v1").await.unwrap().content.digest, old);
    assert_eq!(fake.count("manifests/v1"), 1);
    tokio::time::sleep(ttl).await;
    assert_eq!(pulling.digest("v1").await, new);
    assert_eq!(pulling.digest("v1").await, new);
    assert_eq!(fake.count("manifests/v1"), 2);
}

#[tokio::test]
async fn what_head_said_counts_for_get() {
    let fake = FakeRegistry::start().await;
    let old = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("old"));
    let store = Store::memory();
    assert_eq!(Setup::of(&[&fake]).over(&store).digest("v1").await, old);
    let new = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("new"));
    let pulling = Setup::of(&[&fake]).policy(tag_ttl(Duration::from_secs(600))).over(&store);
    assert_eq!(pulling.head("v1").await.unwrap().content.digest, new);
    // The tag here still names the old one, which is not what it names.
    assert_eq!(pulling.head("v1").await.unwrap().content.digest, new);
    assert_eq!(pulling.digest("v1").await, new);
}

#[tokio::test]
async fn what_a_tag_named_once_does_not_take_it_back() {
    let fake = FakeRegistry::start().await;
    let old = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("old"));
    let store = Store::memory();
    let pulling = Setup::of(&[&fake]).over(&store);
    assert_eq!(pulling.head("v1").await.unwrap().content.digest, old);
    let new = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("new"));
    assert_eq!(pulling.digest("v1").await, new);
    // It comes only now.
    assert_eq!(pulling.digest(&old.to_string()).await, old);
    assert_eq!(Setup::unreachable().offline().over(&store).digest("v1").await, new);
}

#[tokio::test]
async fn an_absence_is_remembered_for_a_while() {
    let fake = FakeRegistry::start().await;
    let ttl = Duration::from_millis(600);
    let policy = Policy { negative_ttl: ttl, ..Policy::default() };
    let pulling = Setup::of(&[&fake]).policy(policy).over(&Store::memory());
    let digest = crate::support::sha256(&image("1"));
    for (of, times) in [("v1", 1), (&digest.to_string() as &str, 2)] {
        assert!(pulling.get(of).await.unwrap_err().is_not_found());
        assert!(pulling.get(of).await.unwrap_err().is_not_found());
        assert!(pulling.head(of).await.unwrap_err().is_not_found());
        assert_eq!(fake.seen().len(), times);
    }
    for _ in 0..2 {
        assert!(pulling.open(&digest).await.unwrap_err().is_not_found());
        assert_eq!(fake.seen().len(), 3);
    }
    fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
    fake.put_blob(THERE, &image("1"));
    tokio::time::sleep(ttl).await;
    assert_eq!(pulling.digest("v1").await, digest);
    assert_eq!(pulling.blob(&digest).await, image("1"));
}

#[tokio::test]
async fn offline_nobody_is_asked() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
        let other = fake.put_manifest(THERE, Some("v2"), OCI_MANIFEST, &image("2"));
        let blob = fake.put_blob(THERE, b"blob");
        assert_eq!(Setup::of(&[&fake]).over(&store).digest("v1").await, digest);
        let asked = fake.seen().len();
        let pulling = Setup::of(&[&fake]).offline().over(&store);
        assert_eq!(pulling.digest("v1").await, digest);
        assert_eq!(pulling.digest(&digest.to_string()).await, digest);
        for of in ["v2", &other.to_string()] {
            for error in [pulling.get(of).await.err(), pulling.head(of).await.err()] {
                assert!(matches!(error, Some(MirrorError::Offline { .. })), "{error:?}");
            }
        }
        assert!(matches!(pulling.open(&blob).await, Err(MirrorError::Offline { .. })));
        assert_eq!(fake.seen().len(), asked, "{}", store.label);
        let counts = pulling.mirror.counts();
        // A tag that is not here is only looked up.
        let misses = counts.manifests.misses + counts.blobs.misses;
        assert_eq!((counts.manifests.hits, misses), (2, 2));
    }
}

#[tokio::test]
async fn many_who_ask_for_a_tag_at_once_cost_two_requests() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
        let pulling = Setup::of(&[&fake]).over(&store);
        let all = futures_util::future::join_all((0..50).map(|_| pulling.digest("v1"))).await;
        assert!(all.iter().all(|found| *found == digest));
        assert_eq!((fake.count("HEAD "), fake.count("GET ")), (1, 1), "{}", store.label);
    }
}

#[tokio::test]
async fn a_tag_of_a_digest_of_another_kind() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
        let digest = Digest::of(Algorithm::Sha512, &image("1"));
        fake.put_manifest_as(THERE, &digest, OCI_MANIFEST, &image("1"));
        let said = Act::Header("docker-content-digest", digest.to_string());
        fake.fail("manifests/v1", usize::MAX, said);
        let pulling = Setup::of(&[&fake]).over(&store);
        assert_eq!(pulling.head("v1").await.unwrap().content.digest, digest);
        assert_eq!(pulling.digest("v1").await, digest);
        let offline = Setup::unreachable().offline().over(&store);
        assert_eq!(offline.digest("v1").await, digest, "{}", store.label);
        assert_eq!(offline.digest(&digest.to_string()).await, digest);
    }
}
