//! Manifests, and what tags name.

use std::time::Duration;

use oci::{Algorithm, Digest, MediaType};
use proxy::UpstreamError;

use crate::fake::{Act, FakeRegistry};
use crate::{MANIFEST, OCI_MANIFEST, asking, impatient, name, reference, upstream};

async fn registry() -> (FakeRegistry, Digest) {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_manifest("a/b", Some("v1"), OCI_MANIFEST, MANIFEST);
    (registry, digest)
}

#[tokio::test]
async fn a_tag_is_resolved_without_its_content() {
    let (registry, digest) = registry().await;
    let upstream = upstream(&registry);
    let resolved = upstream.resolve(&name("a/b"), &reference("v1"), &asking()).await.unwrap();
    assert_eq!(resolved.digest, digest);
    assert_eq!(resolved.media_type, MediaType::OciManifest);
    assert_eq!(resolved.size_bytes, Some(MANIFEST.len() as u64));
    assert_eq!((registry.count("HEAD "), registry.count("GET ")), (1, 0));
    assert!(registry.seen()[0].headers["accept"].contains("image.index.v1+json"));
    assert_eq!(registry.seen()[0].headers["accept-encoding"], "identity");
}

#[tokio::test]
async fn a_tag_is_resolved_by_its_content_where_head_says_too_little() {
    for act in [
        Act::status(405),
        Act::Without("docker-content-digest"),
        Act::Header("content-type", "application/octet-stream".to_owned()),
    ] {
        let (registry, digest) = registry().await;
        registry.fail("HEAD ", 1, act.clone());
        let upstream = upstream(&registry);
        let resolved = upstream.resolve(&name("a/b"), &reference("v1"), &asking()).await.unwrap();
        assert_eq!(resolved.digest, digest, "{act:?}");
        assert_eq!(registry.count("GET "), 1, "{act:?}");
    }
}

#[tokio::test]
async fn a_manifest_comes_as_it_is() {
    let (registry, digest) = registry().await;
    let upstream = upstream(&registry);
    for text in ["v1", &digest.to_string()] {
        let fetched = upstream.manifest(&name("a/b"), &reference(text), &asking()).await.unwrap();
        assert_eq!((fetched.digest, &fetched.content[..]), (digest, MANIFEST), "{text}");
    }
    assert_eq!(upstream.health().requests.ok, 2);
    assert_eq!(upstream.health().bytes, 2 * MANIFEST.len() as u64);
}

#[tokio::test]
async fn a_manifest_by_another_digest_is_found_by_its_content() {
    let (registry, _) = registry().await;
    let digest = Digest::of(Algorithm::Sha512, MANIFEST);
    registry.put_manifest("a/b", Some(&digest.to_string()), OCI_MANIFEST, MANIFEST);
    let upstream = upstream(&registry);
    let asked = reference(&digest.to_string());
    let fetched = upstream.manifest(&name("a/b"), &asked, &asking()).await.unwrap();
    assert_eq!(fetched.digest, digest);
    let resolved = upstream.resolve(&name("a/b"), &asked, &asking()).await.unwrap();
    assert_eq!(resolved.digest, digest);
}

#[tokio::test]
async fn what_is_not_what_was_asked_for() {
    let other = Digest::of(Algorithm::Sha256, b"other").to_string();
    let huge = vec![b' '; 5 << 20];
    for (act, expected) in [
        (Act::Corrupt(3), "has the digest"),
        (Act::Header("docker-content-digest", other), "has the digest"),
        (Act::Header("docker-content-digest", "x".to_owned()), "is not a digest"),
        (Act::Answer(200, Vec::new(), huge), "larger than 4194304 bytes"),
        (Act::Answer(200, Vec::new(), b"<html>".to_vec()), "no manifest"),
        (Act::Answer(200, Vec::new(), br#"{"schemaVersion":1}"#.to_vec()), "no manifest"),
        (Act::status(204), "204 was not expected"),
    ] {
        let (registry, _) = registry().await;
        registry.fail("GET ", 9, act.clone());
        let upstream = upstream(&registry);
        let error = upstream.manifest(&name("a/b"), &reference("v1"), &asking()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Invalid { .. }), "{act:?}: {error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(upstream.health().requests.invalid, 1, "{act:?}");
    }
}

#[tokio::test]
async fn a_digest_that_head_denies() {
    let (registry, digest) = registry().await;
    let other = Digest::of(Algorithm::Sha256, b"other").to_string();
    registry.fail("HEAD ", 1, Act::Header("docker-content-digest", other));
    let asked = reference(&digest.to_string());
    let error = upstream(&registry).resolve(&name("a/b"), &asked, &asking()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn refusals_are_what_they_are() {
    let limited = vec![
        ("retry-after".to_owned(), "17".to_owned()),
        ("ratelimit-limit".to_owned(), "100;w=21600".to_owned()),
        ("ratelimit-remaining".to_owned(), "0;w=21600".to_owned()),
    ];
    let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull less"}]}"#.to_vec();
    let (registry, _) = registry().await;
    registry.fail("GET ", 1, Act::Answer(429, limited, body));
    let upstream = upstream(&registry);
    let ask = || async {
        upstream.manifest(&name("a/b"), &reference("v1"), &asking()).await.unwrap_err()
    };
    let UpstreamError::Answered { status, code, message, retry_after, .. } = ask().await else {
        panic!("another error")
    };
    assert_eq!((status.as_u16(), code.as_deref()), (429, Some("TOOMANYREQUESTS")));
    assert_eq!((message.as_str(), retry_after), ("pull less", Some(Duration::from_secs(17))));
    let limit = upstream.health().rate_limit.unwrap();
    assert_eq!((limit.remaining, limit.limit), (0, Some(100)));
    assert_eq!(limit.window, Some(Duration::from_secs(21600)));

    for status in [401, 403, 404, 500, 503] {
        registry.fail("GET ", 1, Act::status(status));
        assert_eq!(ask().await.status().map(|status| status.as_u16()), Some(status));
    }
    let requests = upstream.health().requests;
    assert_eq!((requests.limited, requests.denied, requests.not_found), (1, 2, 1));
    assert_eq!((requests.failed, requests.ok), (2, 0));
    let resolved = upstream.resolve(&name("a/b"), &reference("no"), &asking()).await;
    assert!(resolved.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_server_that_hangs_or_is_gone() {
    let (registry, _) = registry().await;
    registry.fail("HEAD ", 1, Act::Hang);
    registry.fail("GET ", 1, Act::HangAt(5));
    let client = impatient(&[registry.url()]);
    let error = client.resolve(&name("a/b"), &reference("v1"), &asking()).await.unwrap_err();
    assert!(error.to_string().contains("no answer within 0.5 s"), "{error}");
    assert_eq!((client.health().requests.unreachable, client.health().endpoints_down), (1, 1));
    let error = client.manifest(&name("a/b"), &reference("v1"), &asking()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Cut { at_bytes: 5, .. }), "{error:?}");
    assert_eq!(client.health().endpoints_down, 0, "it answered");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_for_ever() {
    let (registry, _) = registry().await;
    let every = Duration::from_secs(10);
    registry.fail("GET ", 1, Act::Pace(1, every));
    let started = tokio::time::Instant::now();
    let asked = reference("v1");
    let error = upstream(&registry).manifest(&name("a/b"), &asked, &asking()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Cut { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(150), "{:?}", started.elapsed());
}
