//! What is written to an upstream.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, MediaType, RepositoryName};
use proxy::{Asking, Begun, Outgoing, Upstream, UpstreamError};

use crate::fake::{Act, Admission, FakeRegistry};
use crate::{
    MANIFEST, OCI_MANIFEST, asking, content, impatient, name, options, reference, upstream, user,
    with_credentials,
};

fn outgoing(bytes: &[u8]) -> Outgoing {
    let pieces: Vec<_> =
        bytes.chunks(50_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

async fn push(upstream: &Upstream, to: &RepositoryName, bytes: &[u8]) -> Result<(), UpstreamError> {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    match upstream.begin_upload(to, &digest, None, &asking()).await? {
        Begun::Mounted => panic!("nothing was to be mounted"),
        Begun::Upload(upload) => {
            let size = bytes.len() as u64;
            upstream.finish_upload(upload, &digest, size, outgoing(bytes), &asking()).await
        }
    }
}

#[tokio::test]
async fn a_blob_is_sent_as_a_whole_with_its_length() {
    let registry = FakeRegistry::start().await;
    let upstream = upstream(&registry);
    for bytes in [content(0), content(3), content(300_000)] {
        push(&upstream, &name("a/b"), &bytes).await.unwrap();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        assert_eq!(registry.blob("a/b", &digest), Some(bytes.clone()));
        let seen = registry.seen().pop().unwrap();
        assert_eq!(seen.headers["content-length"], bytes.len().to_string());
        assert!(seen.path.contains("?s=1&digest=sha256%3A"), "{}", seen.path);
    }
}

#[tokio::test]
async fn a_password_and_a_token_allow_pushes() {
    for admission in [Admission::Basic("u", "pw"), Admission::tokens_for("u", "pw")] {
        let registry = FakeRegistry::start().await;
        registry.admit(admission);
        let upstream = with_credentials(&registry, user("u", "pw"));
        push(&upstream, &name("a"), b"one").await.unwrap();
        // What reading allows does not allow this.
        let digest = Digest::of(Algorithm::Sha256, b"one");
        assert_eq!(upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap(), 3);
        push(&upstream, &name("a"), b"two").await.unwrap();
        let tag = reference("v1");
        let (media_type, manifest) = (MediaType::OciManifest, Bytes::from_static(MANIFEST));
        let put = upstream.put_manifest(&name("a"), &tag, media_type, &manifest, &asking()).await;
        assert!(!put.unwrap().lists_subject);
        assert_eq!(registry.manifest("a", "v1").unwrap().0, OCI_MANIFEST);
        let bodies_refused = registry
            .seen()
            .iter()
            .filter(|s| s.method == "PUT" && s.authorization().is_none())
            .count();
        assert_eq!(bodies_refused, 0, "who asks is known before a body is sent");
    }
}

#[tokio::test]
async fn a_blob_is_mounted_where_that_can_be() {
    let registry = FakeRegistry::start().await;
    let upstream = upstream(&registry);
    let digest = registry.put_blob("from", b"layer");
    let from = name("from");
    let begun = upstream.begin_upload(&name("to"), &digest, Some(&from), &asking()).await.unwrap();
    assert!(matches!(begun, Begun::Mounted));
    assert_eq!(registry.blob("to", &digest).as_deref(), Some(&b"layer"[..]));
    let other = Digest::of(Algorithm::Sha256, b"other");
    let begun = upstream.begin_upload(&name("to"), &other, Some(&from), &asking()).await.unwrap();
    assert!(matches!(begun, Begun::Upload(_)), "{begun:?}");
}

#[tokio::test]
async fn credentials_do_not_go_where_an_upload_strays_to() {
    let registry = FakeRegistry::start().await;
    let elsewhere = FakeRegistry::start().await;
    registry.admit(Admission::Basic("u", "pw"));
    registry.take_uploads_at(&elsewhere.url());
    let upstream = with_credentials(&registry, user("u", "pw"));
    push(&upstream, &name("a"), b"one").await.unwrap();
    let seen = elsewhere.seen();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "PUT"));
    assert_eq!(seen[0].authorization(), None);
    for forbidden in ["http://10.0.0.1", "ftp://127.0.0.1"] {
        registry.take_uploads_at(forbidden);
        let error = push(&upstream, &name("a"), b"two").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Invalid { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_an_error_and_is_given_up() {
    let registry = FakeRegistry::start().await;
    let upstream = upstream(&registry);
    let digest = Digest::of(Algorithm::Sha256, b"abcdef");
    let Begun::Upload(upload) =
        upstream.begin_upload(&name("a"), &digest, None, &asking()).await.unwrap()
    else {
        panic!("nothing was to be mounted")
    };
    let broken: Outgoing = Box::pin(stream::iter([
        Ok(Bytes::from_static(b"abc")),
        Err(std::io::Error::other("the disk is on fire")),
    ]));
    let sent = upstream.finish_upload(upload, &digest, 6, broken, &asking()).await;
    assert!(matches!(sent, Err(UpstreamError::Cut { .. })), "{sent:?}");
    assert_eq!(registry.blob("a", &digest), None);
    assert_eq!(registry.count("DELETE "), 1);
}

#[tokio::test]
async fn who_takes_nothing_is_not_waited_for() {
    let registry = FakeRegistry::start().await;
    let upstream = impatient(&[registry.url()]);
    // It reads all, and does not answer; that may take its time, so that only the request is seen.
    let big = content(20_000_000);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    registry.take_uploads_at(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            open.push(socket);
        }
    });
    let begun = Instant::now();
    let error = push(&upstream, &name("a"), &big).await.unwrap_err();
    assert!(error.to_string().contains("nothing was taken for"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_an_upstream_says_of_a_manifest_is_checked() {
    let registry = FakeRegistry::start().await;
    let upstream = upstream(&registry);
    let manifest = Bytes::from_static(MANIFEST);
    let put = async || {
        let (to, media_type) = (reference("v1"), MediaType::OciManifest);
        upstream.put_manifest(&name("a"), &to, media_type, &manifest, &asking()).await
    };
    let other = Digest::of(Algorithm::Sha256, b"other").to_string();
    registry.fail("PUT ", 1, Act::Header("docker-content-digest", other));
    assert!(matches!(put().await, Err(UpstreamError::Invalid { .. })));
    registry.fail("PUT ", 1, Act::Header("oci-subject", "sha256:x".into()));
    assert!(put().await.unwrap().lists_subject);
    registry.fail("PUT ", 1, Act::Answer(429, vec![("retry-after".into(), "7".into())], vec![]));
    let error = put().await.unwrap_err();
    let wait = match error {
        UpstreamError::Answered { retry_after, .. } => retry_after,
        other => panic!("{other}"),
    };
    assert_eq!(wait, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn only_the_first_endpoint_is_written_to_and_asked_what_is_there() {
    let first = FakeRegistry::start().await;
    let second = FakeRegistry::start().await;
    let digest = second.put_blob("a", b"one");
    let upstream = Upstream::new(options(&[first.url(), second.url()])).unwrap();
    let of_first = Asking { first_only: true, ..Asking::default() };
    let there = upstream.stat_blob(&name("a"), &digest, &of_first).await;
    assert!(there.unwrap_err().is_not_found());
    assert_eq!(upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap(), 3);
    push(&upstream, &name("a"), b"two").await.unwrap();
    assert_eq!((first.count("PUT "), second.count("PUT ")), (1, 0));
}

#[tokio::test]
async fn the_catalog_is_read_page_by_page() {
    let registry = FakeRegistry::start().await;
    for number in 0..250 {
        registry.put_manifest(&format!("r/{number:03}"), Some("v1"), OCI_MANIFEST, MANIFEST);
    }
    let upstream = upstream(&registry);
    let (names, more) = upstream.repositories(1000, &asking()).await.unwrap();
    assert_eq!((names.len(), more), (250, false));
    assert_eq!(registry.count("_catalog"), 3);
    let (names, more) = upstream.repositories(7, &asking()).await.unwrap();
    assert_eq!((names.len(), more), (7, true));
}

#[tokio::test]
async fn an_upstream_is_asked_no_more_often_than_is_allowed() {
    let registry = FakeRegistry::start().await;
    let digest = registry.put_blob("a", b"one");
    let upstream = upstream(&registry);
    upstream.limit_requests(NonZeroU32::new(600).unwrap());
    let begun = Instant::now();
    for _ in 0..6 {
        upstream.stat_blob(&name("a"), &digest, &asking()).await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
}
