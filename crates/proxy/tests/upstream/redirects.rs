//! Where upstreams lead to, and what goes along.

use proxy::UpstreamError;

use crate::fake::{Act, Admission, FakeRegistry};
use crate::{all, asking, content, name, upstream, user, with_credentials};

const CONTENT: usize = 1000;

/// A registry, and a store that has its blobs.
async fn pair() -> (FakeRegistry, FakeRegistry, oci::Digest) {
    let (registry, store) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let digest = registry.put_blob("a", &content(CONTENT));
    store.put_blob("a", &content(CONTENT));
    (registry, store, digest)
}

#[tokio::test]
async fn credentials_do_not_go_along() {
    for admission in [Admission::Basic("u", "secret"), Admission::tokens_for("u", "secret")] {
        let (registry, store, digest) = pair().await;
        registry.admit(admission);
        let upstream = with_credentials(&registry, user("u", "secret"));
        // The first request brings the credentials to be sent at once.
        upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap();
        for url in [store.url(), store.url_as_localhost()] {
            let url = format!("{url}/v2/a/blobs/{digest}?X-Signature=secret");
            registry.fail("GET /v2/a/blobs", 1, Act::redirect(url));
            let body = upstream.blob(&name("a"), &digest, 10, &asking()).await.unwrap();
            assert!(all(body).await.0 == content(CONTENT)[10..]);
        }
        let seen = store.seen();
        assert_eq!(seen.len(), 2);
        for seen in seen {
            assert_eq!(seen.authorization(), None, "{seen:?}");
            assert_eq!(seen.headers["range"], "bytes=10-");
        }
        let sent = registry.seen().into_iter().rfind(|seen| seen.method == "GET").unwrap();
        assert!(sent.authorization().is_some(), "but the registry itself had them");
    }
}

#[tokio::test]
async fn credentials_do_not_come_back_either() {
    let (registry, store, digest) = pair().await;
    registry.admit(Admission::Basic("u", "secret"));
    let upstream = with_credentials(&registry, user("u", "secret"));
    upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap();
    let path = format!("/v2/a/blobs/{digest}");
    registry.fail("GET /v2/a/blobs", 1, Act::redirect(format!("{}{path}", store.url())));
    let back = format!("{}{path}?chosen=elsewhere", registry.url());
    store.fail("GET ", 1, Act::redirect(back));
    let error = upstream.blob(&name("a"), &digest, 0, &asking()).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    let last = registry.seen().pop().unwrap();
    assert!(last.path.contains("chosen") && last.authorization().is_none(), "{last:?}");
}

#[tokio::test]
async fn where_it_may_not_lead_to() {
    let (registry, _, digest) = pair().await;
    for (to, expected) in [
        ("http://169.254.169.254/latest/meta-data/", "not a public address"),
        ("http://10.0.0.1/", "not a public address"),
        ("http://0.0.0.0/", "not a public address"),
        ("http://[fe80::1]/", "not a public address"),
        ("ftp://127.0.0.1/", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("http://", "leads nowhere"),
    ] {
        registry.fail("GET ", 1, Act::redirect(to));
        let error = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Invalid { .. }), "{to}: {error:?}");
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
    registry.fail("GET ", 1, Act::status(302));
    let error = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap_err();
    assert!(error.to_string().contains("leads nowhere"), "{error}");
}

#[tokio::test]
async fn it_leads_in_a_circle() {
    let (registry, _, digest) = pair().await;
    registry.fail("GET ", usize::MAX, Act::redirect(format!("/v2/a/blobs/{digest}")));
    let error = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap_err();
    assert!(error.to_string().contains("more than 5 times"), "{error}");
    assert_eq!(registry.count("GET "), 6);
}

#[tokio::test]
async fn errors_do_not_show_signed_urls() {
    let (registry, store, digest) = pair().await;
    let gone = "http://127.0.0.1:9/blob?X-Signature=secret";
    registry.fail("GET ", 1, Act::redirect(gone));
    let error = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");

    registry.fail(
        "GET ",
        1,
        Act::redirect(format!("{}/v2/a/blobs/{digest}?s=secret", store.url())),
    );
    store.fail("GET ", 1, Act::CutAt(5));
    let body = upstream(&registry).blob(&name("a"), &digest, 0, &asking()).await.unwrap();
    let (_, error) = all(body).await;
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn a_store_whose_urls_are_for_get_only() {
    let (registry, store, digest) = pair().await;
    registry.fail("HEAD ", 1, Act::redirect(format!("{}/v2/a/blobs/{digest}", store.url())));
    store.fail("HEAD ", 1, Act::status(403));
    let size = upstream(&registry).stat_blob(&name("a"), &digest, &asking()).await.unwrap();
    assert_eq!(size, CONTENT as u64);
}
