//! Several endpoints of one upstream, and the names of repositories.

use proxy::{Asking, NameRules, Upstream, UpstreamError, UpstreamOptions, UpstreamSetupError};

use crate::fake::{Act, FakeRegistry};
use crate::{MANIFEST, OCI_MANIFEST, all, asking, impatient, name, options, reference};

async fn two() -> (FakeRegistry, FakeRegistry, Upstream) {
    let (first, second) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for registry in [&first, &second] {
        registry.put_manifest("a", Some("v1"), OCI_MANIFEST, MANIFEST);
    }
    let upstream = impatient(&[first.url(), second.url()]);
    (first, second, upstream)
}

async fn resolve(upstream: &Upstream, tag: &str) -> Result<(), UpstreamError> {
    upstream.resolve(&name("a"), &reference(tag), &asking()).await.map(|_| ())
}

#[tokio::test]
async fn the_next_one_is_asked_when_one_fails() {
    for act in [Act::status(500), Act::status(503), Act::status(429), Act::status(404), Act::Hang] {
        let (first, second, upstream) = two().await;
        first.fail("HEAD ", 1, act.clone());
        resolve(&upstream, "v1").await.unwrap();
        assert_eq!((first.count(""), second.count("")), (1, 1), "{act:?}");
    }
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    for act in [None, Some(Act::status(401)), Some(Act::status(403))] {
        let (first, second, upstream) = two().await;
        if let Some(act) = act.clone() {
            first.fail("HEAD ", 1, act);
        }
        assert_eq!(resolve(&upstream, "v1").await.is_ok(), act.is_none());
        assert_eq!((first.count(""), second.count("")), (1, 0), "{act:?}");
    }
}

#[tokio::test]
async fn of_several_refusals_the_one_counts_that_says_most() {
    for (first_act, second_act, expected) in [
        (404, 404, 404),
        (404, 503, 503),
        (503, 404, 503),
        (429, 503, 429),
        (503, 429, 429),
        (500, 403, 403),
    ] {
        let (first, second, upstream) = two().await;
        first.fail("HEAD ", 1, Act::status(first_act));
        second.fail("HEAD ", 1, Act::status(second_act));
        let error = resolve(&upstream, "v1").await.unwrap_err();
        let status = error.status().map(|status| status.as_u16());
        assert_eq!(status, Some(expected), "{first_act} {second_act}");
    }
}

#[tokio::test]
async fn one_that_was_unreachable_is_tried_last() {
    let (first, second, upstream) = two().await;
    first.fail("HEAD ", 1, Act::Hang);
    resolve(&upstream, "v1").await.unwrap();
    assert_eq!(upstream.health().endpoints_down, 1);
    resolve(&upstream, "v1").await.unwrap();
    assert_eq!((first.count(""), second.count("")), (1, 2));
    second.fail("HEAD ", 1, Act::status(503));
    resolve(&upstream, "v1").await.unwrap();
    assert_eq!((first.count(""), second.count("")), (2, 3));
    assert_eq!(upstream.health().endpoints_down, 0, "it has answered again");
}

#[tokio::test]
async fn another_attempt_begins_with_the_next_one() {
    let (first, second, upstream) = two().await;
    for registry in [&first, &second] {
        registry.put_blob("a", b"content");
    }
    let digest = first.put_blob("a", b"content");
    for attempt in 0..4 {
        let asking = Asking { attempt, ..Asking::default() };
        let body = upstream.blob(&name("a"), &digest, 0, &asking).await.unwrap();
        assert_eq!(all(body).await.0, b"content");
    }
    assert_eq!((first.count("GET "), second.count("GET ")), (2, 2));
}

#[tokio::test]
async fn a_path_of_the_url_goes_first() {
    let registry = FakeRegistry::start().await;
    registry.put_manifest("a", Some("v1"), OCI_MANIFEST, MANIFEST);
    for path in ["/registry/docker", "/registry/docker/"] {
        let upstream = Upstream::new(options(&[format!("{}{path}", registry.url())])).unwrap();
        resolve(&upstream, "v1").await.unwrap();
    }
    assert_eq!(registry.count("HEAD /registry/docker/v2/a/manifests/v1"), 2);
}

#[test]
fn what_can_t_be_set_up() {
    let of = |url: &str| Upstream::new(options(&[url.to_owned()]));
    for url in ["ftp://a/", "http://user:pw@a/", "http://a/?x=y", "http://a/#x"] {
        let error = of(url).unwrap_err();
        assert!(matches!(error, UpstreamSetupError::Url { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("pw"), "{error}");
    }
    assert!(matches!(Upstream::new(options(&[])), Err(UpstreamSetupError::NoEndpoint { .. })));
    let rewrite = vec![("a*".to_owned(), "b".to_owned())];
    let names = NameRules { rewrite, ..NameRules::default() };
    let wrong = UpstreamOptions { names, ..options(&["http://a/".to_owned()]) };
    assert!(matches!(Upstream::new(wrong), Err(UpstreamSetupError::Rewrite { .. })));
    assert!(of("https://registry.example.com").is_ok(), "nobody is asked");
}

#[test]
fn names_are_translated() {
    let names = NameRules { library: true, ..NameRules::default() };
    let options = UpstreamOptions { names, ..options(&["http://a/".to_owned()]) };
    let upstream = Upstream::new(options).unwrap();
    assert_eq!(upstream.translate("alpine").unwrap().as_str(), "library/alpine");
    let error = upstream.translate("UPPER").unwrap_err();
    assert!(matches!(error, UpstreamError::NotAllowed { .. }), "{error:?}");
}
