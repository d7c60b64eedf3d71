//! Upstreams that can't be asked, and what is served then.

use std::time::Duration;

use proxy::{MirrorError, NameRules, Policy, UpstreamError};
use registry::RepositoryPattern;

use crate::fake::{Act, FakeRegistry};
use crate::support::{OCI_MANIFEST, Pulling, Setup, Store, THERE, image};

async fn cached(store: &Store) -> (FakeRegistry, Pulling, oci::Digest) {
    let fake = FakeRegistry::start().await;
    let digest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
    let pulling = Setup::of(&[&fake]).over(store);
    assert_eq!(pulling.digest("v1").await, digest);
    (fake, pulling, digest)
}

#[tokio::test]
async fn the_last_answer_is_served_and_marked() {
    for store in Store::each().await {
        let (fake, pulling, digest) = cached(&store).await;
        let unreachable = Setup::unreachable().over(&store);
        for status in [429, 500, 503] {
            fake.fail("HEAD ", 2, Act::status(status));
            let served = pulling.get("v1").await.unwrap();
            assert_eq!(served.content.digest, digest);
            assert!(served.stale.unwrap().contains(&status.to_string()), "{}", store.label);
            let served = pulling.head("v1").await.unwrap();
            assert_eq!(served.content.digest, digest);
            assert!(served.stale.is_some());
        }
        assert_eq!(pulling.mirror.counts().stale, 6);
        assert_eq!(pulling.digest("v1").await, digest);
        let served = unreachable.get("v1").await.unwrap();
        assert_eq!((served.content.digest, served.stale.is_some()), (digest, true));
        assert!(unreachable.head("v1").await.unwrap().stale.is_some());
        // What has a digest is what it is.
        assert_eq!(unreachable.digest(&digest.to_string()).await, digest);
        assert_eq!(unreachable.mirror.counts().stale, 2);
    }
}

#[tokio::test]
async fn a_new_one_that_can_not_be_fetched_leaves_the_old_one() {
    let store = Store::memory();
    let (fake, pulling, old) = cached(&store).await;
    let new = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("2"));
    fake.fail("GET ", 1, Act::status(503));
    let served = pulling.get("v1").await.unwrap();
    assert_eq!((served.content.digest, served.stale.is_some()), (old, true));
    assert_eq!(pulling.digest("v1").await, new);
}

#[tokio::test]
async fn an_answer_is_an_answer_also_when_it_is_no() {
    for store in Store::each().await {
        let (fake, pulling, digest) = cached(&store).await;
        fake.take_manifest(THERE, "v1");
        assert!(pulling.get("v1").await.unwrap_err().is_not_found(), "{}", store.label);
        assert!(pulling.head("v1").await.unwrap_err().is_not_found());
        assert_eq!(pulling.digest(&digest.to_string()).await, digest);
        let deny = vec![RepositoryPattern::parse("app").unwrap()];
        let names = NameRules { deny, ..NameRules::default() };
        let denied = Setup { names, ..Setup::of(&[&fake]) }.over(&store);
        for error in [denied.get("v1").await.err(), denied.head("v1").await.err()] {
            let is_told =
                matches!(&error, Some(MirrorError::Upstream(UpstreamError::NotAllowed { .. })));
            assert!(is_told, "{error:?}");
        }
        assert_eq!(pulling.mirror.counts().stale + denied.mirror.counts().stale, 0);
    }
}

#[tokio::test]
async fn what_is_too_old_is_not_served() {
    for store in Store::each().await {
        let (fake, _, digest) = cached(&store).await;
        let limited = |limit| {
            let policy = Policy { stale_if_error: Some(limit), ..Policy::default() };
            Setup::of(&[&fake]).policy(policy).over(&store)
        };
        let (strict, lenient) =
            (limited(Duration::from_millis(50)), limited(Duration::from_secs(600)));
        // By when it was written: these have not looked it up yet.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        fake.fail("HEAD ", usize::MAX, Act::status(503));
        let error = strict.get("v1").await.unwrap_err();
        let MirrorError::Upstream(upstream) = &error else { panic!("{error:?}") };
        assert_eq!(upstream.status().unwrap().as_u16(), 503, "{}", store.label);
        assert!(strict.head("v1").await.is_err());
        assert_eq!(lenient.get("v1").await.unwrap().content.digest, digest);
        // By when it was looked up.
        fake.mend();
        assert_eq!(strict.digest("v1").await, digest);
        assert_eq!(lenient.digest("v1").await, digest);
        fake.fail("HEAD ", usize::MAX, Act::status(503));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(strict.get("v1").await.is_err());
        assert!(lenient.get("v1").await.unwrap().stale.is_some());
        assert_eq!(strict.mirror.counts().stale, 0);
    }
}
