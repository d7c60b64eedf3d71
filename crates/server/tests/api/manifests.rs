//! `/v2/<name>/manifests/<tag-or-digest>`

use oci::{Algorithm, Digest};
use registry::{IndexPlatforms, MissingReferences};
use serde_json::json;

use crate::support::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, TestServer, descriptor, sha256,
};

/// A server that takes manifests of which nothing else is there.
async fn lenient() -> TestServer {
    TestServer::builder()
        .registry(|r| {
            r.validation.index_platforms = IndexPlatforms::None;
            r.validation.missing_references = MissingReferences::Accept;
        })
        .start()
        .await
}

const EMPTY_INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

#[tokio::test]
async fn what_was_pushed_is_pulled() {
    let server = TestServer::start().await;
    let (manifest, digest) = server.push_image("a/b", "latest", "layer").await;
    for reference in ["latest", &digest.to_string()] {
        let target = format!("/v2/a/b/manifests/{reference}");
        let (reply, head) = (server.get(&target).await, server.head(&target).await);
        assert_eq!((reply.status, reply.text()), (200, manifest.as_str()));
        assert_eq!((head.status, head.text()), (200, ""));
        for reply in [reply, head] {
            assert_eq!(reply.header("content-type"), OCI_MANIFEST);
            assert_eq!(reply.header("content-length"), manifest.len().to_string());
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
            assert_eq!(reply.header("etag"), format!("\"{digest}\""));
        }
    }
}

#[tokio::test]
async fn the_answer_to_a_push() {
    let server = lenient().await;
    let digest = sha256(EMPTY_INDEX.as_bytes());
    for reference in ["latest", &digest.to_string()] {
        let reply = server.put_manifest("a", reference, OCI_INDEX, EMPTY_INDEX).await;
        assert_eq!((reply.status, reply.text()), (201, ""), "{reply:?}");
        assert_eq!(reply.header("content-length"), "0");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        let expected = format!("http://{}/v2/a/manifests/{digest}", server.address);
        assert_eq!(reply.header("location"), expected);
        assert_eq!(reply.header("oci-subject"), "");
        assert_eq!(reply.header("oci-tag"), "");
        assert_eq!(server.get(&reply.location()).await.text(), EMPTY_INDEX);
    }
}

#[tokio::test]
async fn not_found() {
    let server = TestServer::start().await;
    server.push_image("a", "latest", "layer").await;
    let unknown = sha256(b"other");
    for target in [
        "/v2/a/manifests/other".to_owned(),
        "/v2/none/manifests/latest".to_owned(),
        format!("/v2/a/manifests/{unknown}"),
        // No tag reads like this, so there is none.
        "/v2/a/manifests/.INVALID_MANIFEST_NAME".to_owned(),
        format!("/v2/a/manifests/{}", "t".repeat(129)),
        // A layer is not a manifest.
        format!("/v2/a/manifests/{}", sha256(b"layer")),
    ] {
        server.get(&target).await.assert_error(404, "MANIFEST_UNKNOWN");
        let head = server.head(&target).await;
        assert_eq!((head.status, head.text()), (404, ""), "{target}");
        server.delete(&target).await.assert_error(404, "MANIFEST_UNKNOWN");
    }
    server.get("/v2/a/manifests/sha256:baddigest").await.assert_error(400, "DIGEST_INVALID");
    server.get("/v2/a/manifests/md5:00").await.assert_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn if_none_match() {
    let server = TestServer::start().await;
    let (_, digest) = server.push_image("a", "latest", "layer").await;
    let digest = digest.to_string();
    for (value, status) in [
        (digest.clone(), 304),
        (format!("\"{digest}\""), 304),
        (format!("W/\"x\", W/\"{digest}\""), 304),
        ("*".to_owned(), 304),
        ("\"sha256:other\"".to_owned(), 200),
    ] {
        let reply = server.get_with("/v2/a/manifests/latest", &[("if-none-match", &value)]).await;
        assert_eq!(reply.status, status, "{value}");
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
        if status == 304 {
            assert_eq!((reply.text(), reply.header("content-length")), ("", ""));
        }
    }
}

#[tokio::test]
async fn stored_bytes_are_served_unless_plainly_refused() {
    let server = TestServer::start().await;
    let (manifest, digest) = server.push_image("a", "latest", "layer").await;
    for accept in ["*/*", OCI_MANIFEST, "application/json", "text/html"] {
        let reply = server.get_with("/v2/a/manifests/latest", &[("accept", accept)]).await;
        assert_eq!((reply.status, reply.text()), (200, manifest.as_str()), "{accept}");
    }
    // Two header lines, as clients send them.
    let two = [("accept", OCI_INDEX), ("accept", OCI_MANIFEST)];
    assert_eq!(server.get_with("/v2/a/manifests/latest", &two).await.status, 200);

    for reference in ["latest", &digest.to_string()] {
        let old = [("accept", DOCKER_MANIFEST)];
        let reply = server.get_with(&format!("/v2/a/manifests/{reference}"), &old).await;
        reply.assert_error(404, "MANIFEST_UNKNOWN");
        let message = "OCI manifest found, but accept header does not support OCI manifests";
        assert_eq!(reply.json()["errors"][0]["message"], message);
    }
}

#[tokio::test]
async fn an_index_is_served_to_everyone() {
    let server = lenient().await;
    server.put_manifest("a", "latest", OCI_INDEX, EMPTY_INDEX).await;
    let reply = server.get_with("/v2/a/manifests/latest", &[("accept", DOCKER_MANIFEST)]).await;
    assert_eq!((reply.status, reply.text()), (200, EMPTY_INDEX));
}

#[tokio::test]
async fn old_clients_get_an_image_out_of_a_manifest_list() {
    let server = TestServer::start().await;
    let child = async |layer: &str, os: &str, architecture: &str| {
        let reference = format!("child-{architecture}");
        let (text, digest) = server.push_image_as("a", &reference, layer, DOCKER_MANIFEST).await;
        let mut child = descriptor(DOCKER_MANIFEST, &digest, text.len());
        child["platform"] = json!({ "os": os, "architecture": architecture });
        (text, digest, child)
    };
    let (_, _, arm) = child("1", "linux", "arm64").await;
    let (amd_text, amd_digest, amd) = child("2", "linux", "amd64").await;
    let list = |children: &[&serde_json::Value]| {
        json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": children }).to_string()
    };
    let both = list(&[&arm, &amd]);
    assert_eq!(server.put_manifest("a", "both", DOCKER_LIST, both.clone()).await.status, 201);
    let arm_only = list(&[&arm]);
    assert_eq!(server.put_manifest("a", "arm", DOCKER_LIST, arm_only).await.status, 201);

    // Clients that can read it, and those that don't say, get the list.
    for headers in [&[][..], &[("accept", "*/*")], &[("accept", DOCKER_LIST)]] {
        let reply = server.get_with("/v2/a/manifests/both", headers).await;
        assert_eq!((reply.status, reply.text()), (200, both.as_str()), "{headers:?}");
    }
    let old = [("accept", DOCKER_MANIFEST)];
    let reply = server.get_with("/v2/a/manifests/both", &old).await;
    assert_eq!((reply.status, reply.text()), (200, amd_text.as_str()));
    assert_eq!(reply.header("content-type"), DOCKER_MANIFEST);
    assert_eq!(reply.header("docker-content-digest"), amd_digest.to_string());
    server.get_with("/v2/a/manifests/arm", &old).await.assert_error(404, "MANIFEST_UNKNOWN");
    // By digest, the bytes must be those of the digest.
    let by_digest = format!("/v2/a/manifests/{}", sha256(both.as_bytes()));
    assert_eq!(server.get_with(&by_digest, &old).await.text(), both);
    let ancient = [("accept", "application/vnd.docker.distribution.manifest.v1+json")];
    server.get_with("/v2/a/manifests/both", &ancient).await.assert_error(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn a_push_that_is_refused() {
    let server = TestServer::start().await;
    let put = async |reference: &str, media_type: &str, content: &str| {
        server.put_manifest("a", reference, media_type, content.to_owned()).await
    };
    let (unknown, other) = (sha256(b"unknown"), sha256(b"other").to_string());
    let config = descriptor("application/x", &unknown, 1);
    let dangling = json!({ "schemaVersion": 2, "config": config, "layers": [config, config] });
    let dangling = dangling.to_string();
    for (reference, media_type, content, status, code) in [
        ("t", "text/plain", EMPTY_INDEX, 400, "MANIFEST_INVALID"),
        ("t", "", EMPTY_INDEX, 400, "MANIFEST_INVALID"),
        ("t", OCI_INDEX, "not json", 400, "MANIFEST_INVALID"),
        ("t", OCI_INDEX, r#"{"schemaVersion":3,"manifests":[]}"#, 400, "MANIFEST_INVALID"),
        ("t", OCI_MANIFEST, EMPTY_INDEX, 400, "MANIFEST_INVALID"),
        (".bad", OCI_INDEX, EMPTY_INDEX, 400, "MANIFEST_INVALID"),
        ("sha256:bad", OCI_INDEX, EMPTY_INDEX, 400, "DIGEST_INVALID"),
        (&other, OCI_INDEX, EMPTY_INDEX, 400, "DIGEST_INVALID"),
        ("t", OCI_MANIFEST, &dangling, 400, "MANIFEST_BLOB_UNKNOWN"),
    ] {
        let reply = put(reference, media_type, content).await;
        assert_eq!(
            reply.failure(),
            (status, code.to_owned()),
            "{reference} {media_type} {content}"
        );
    }
    server.get("/v2/a/tags/list").await.assert_error(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn parameters_of_the_content_type_do_not_matter() {
    let server = lenient().await;
    let media_type = format!("{OCI_INDEX}; charset=utf-8");
    assert_eq!(server.put_manifest("a", "t", &media_type, EMPTY_INDEX).await.status, 201);
    assert_eq!(server.get("/v2/a/manifests/t").await.header("content-type"), OCI_INDEX);
}

#[tokio::test]
async fn four_mebibytes_are_taken_and_no_more() {
    let server = lenient().await;
    let manifest = |size: usize| {
        let frame = r#"{"schemaVersion":2,"manifests":[],"x":""}"#;
        frame.replace("\"x\":\"", &format!("\"x\":\"{}", "y".repeat(size - frame.len())))
    };
    let largest = manifest(4 << 20);
    assert_eq!(largest.len(), 4 << 20);
    assert_eq!(server.put_manifest("a", "t", OCI_INDEX, largest).await.status, 201);
    let reply = server.put_manifest("a", "t", OCI_INDEX, manifest((4 << 20) + 1)).await;
    reply.assert_error(413, "MANIFEST_INVALID");
    // The same without a length that gives it away.
    let head = format!(
        "PUT /v2/a/manifests/t HTTP/1.1\r\nhost: x\r\ncontent-type: {OCI_INDEX}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    let mut request = head.into_bytes();
    for _ in 0..5 {
        request.extend_from_slice(b"100000\r\n");
        request.extend_from_slice(&vec![b' '; 1 << 20]);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = server.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn tags_along_with_a_push_by_digest() {
    let server = lenient().await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, EMPTY_INDEX.as_bytes());
        let reference = format!("{digest}?tag=one&tag=two&tag=one");
        let reply = server.put_manifest("a", &reference, OCI_INDEX, EMPTY_INDEX).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let tags: Vec<_> = reply.headers.get_all("oci-tag").iter().collect();
        assert_eq!(tags, ["one", "two"]);
        for tag in ["one", "two"] {
            let pulled = server.get(&format!("/v2/a/manifests/{tag}")).await;
            assert_eq!(pulled.header("docker-content-digest"), digest.to_string());
            assert_eq!(pulled.text(), EMPTY_INDEX);
        }
    }
    let digest = sha256(EMPTY_INDEX.as_bytes());
    let crowd = (0..33).map(|i| format!("tag=t{i}")).collect::<Vec<_>>().join("&");
    for (query, status, code) in
        [(crowd.as_str(), 414, "UNSUPPORTED"), ("tag=.bad", 400, "MANIFEST_INVALID")]
    {
        let reference = format!("{digest}?{query}");
        let reply = server.put_manifest("a", &reference, OCI_INDEX, EMPTY_INDEX).await;
        reply.assert_error(status, code);
    }
    // In a push by tag, the parameter means nothing.
    let reply = server.put_manifest("b", "named?tag=other", OCI_INDEX, EMPTY_INDEX).await;
    assert_eq!((reply.status, reply.header("oci-tag")), (201, ""));
    assert_eq!(server.get("/v2/b/tags/list").await.json()["tags"], json!(["named"]));
}

#[tokio::test]
async fn sha512() {
    let server = lenient().await;
    let digest = Digest::of(Algorithm::Sha512, EMPTY_INDEX.as_bytes()).to_string();
    let reply = server.put_manifest("a", &digest, OCI_INDEX, EMPTY_INDEX).await;
    assert_eq!((reply.status, reply.header("docker-content-digest")), (201, digest.as_str()));
    let target = format!("/v2/a/manifests/{digest}");
    let pulled = server.get(&target).await;
    assert_eq!((pulled.text(), pulled.header("docker-content-digest")), (EMPTY_INDEX, &*digest));
    assert_eq!(server.delete(&target).await.status, 202);
    assert_eq!(server.head(&target).await.status, 404);
}

#[tokio::test]
async fn deleting() {
    let server = TestServer::start().await;
    let (_, digest) = server.push_image("a", "one", "layer").await;
    server.push_image("a", "two", "layer").await;
    let reply = server.delete("/v2/a/manifests/one").await;
    assert_eq!((reply.status, reply.text(), reply.header("content-length")), (202, "", "0"));
    assert_eq!(server.head("/v2/a/manifests/one").await.status, 404);
    assert_eq!(server.head(&format!("/v2/a/manifests/{digest}")).await.status, 200);
    server.delete("/v2/a/manifests/one").await.assert_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.delete(&format!("/v2/a/manifests/{digest}")).await.status, 202);
    assert_eq!(server.head("/v2/a/manifests/two").await.status, 404, "its tags go with it");
    assert_eq!(server.head(&format!("/v2/a/manifests/{digest}")).await.status, 404);
}
