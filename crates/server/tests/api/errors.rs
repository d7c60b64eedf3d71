//! Errors that belong to no endpoint, and those that are the server's own fault.

use std::sync::Arc;

use http::Method;

use crate::support::{OCI_INDEX, TestServer, sha256};
use crate::trap::{Trap, Trapped};

#[tokio::test]
async fn paths_that_are_not_of_the_api() {
    let server = TestServer::start().await;
    for path in
        ["/v1/", "/v2/a", "/v2/a/other/x", "/favicon.ico", "/v2/a/uploads/x", "/v2/%FF/tags/list"]
    {
        server.get(path).await.assert_error(404, "UNSUPPORTED");
        let head = server.head(path).await;
        assert_eq!((head.status, head.text()), (404, ""), "{path}");
        assert_eq!(head.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn names_that_no_repository_can_have() {
    let server = TestServer::start().await;
    let long = "a".repeat(300);
    for name in ["A", "a/../b", "a%00", "-a", "a__-b", &long] {
        for target in [
            format!("/v2/{name}/tags/list"),
            format!("/v2/{name}/manifests/latest"),
            format!("/v2/{name}/blobs/{}", sha256(b"")),
        ] {
            server.get(&target).await.assert_error(400, "NAME_INVALID");
        }
        let target = format!("/v2/{name}/blobs/uploads/");
        server.post(&target).await.assert_error(400, "NAME_INVALID");
    }
}

#[tokio::test]
async fn an_endless_request_target() {
    let server = TestServer::start().await;
    let target = format!("/v2/_catalog?last={}", "x".repeat(20_000));
    server.get(&target).await.assert_error(414, "UNSUPPORTED");
}

#[tokio::test]
async fn what_is_not_http() {
    let server = TestServer::start().await;
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GARBAGE\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        let answer = server.raw(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.is_empty(), "{answer}");
    }
    let mut crowd = b"GET /v2/ HTTP/1.1\r\nhost: x\r\n".to_vec();
    for i in 0..200 {
        crowd.extend_from_slice(format!("x-{i}: 1\r\n").as_bytes());
    }
    crowd.extend_from_slice(b"\r\n");
    let answer = server.raw(&crowd).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn a_storage_that_fails_is_never_a_not_found() {
    let driver = Trapped::default();
    let server = TestServer::builder().driver(Arc::new(driver.clone())).start().await;
    let (_, digest) = server.push_image("a", "latest", "layer").await;
    let layer = sha256(b"layer");
    let upload = server.start_upload("a").await;
    driver.set(Trap::Fail);
    for target in [
        "/v2/a/manifests/latest".to_owned(),
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{layer}"),
        "/v2/a/tags/list".to_owned(),
        "/v2/_catalog".to_owned(),
        format!("/v2/a/referrers/{digest}"),
        upload.clone(),
    ] {
        server.get(&target).await.assert_error(500, "UNKNOWN");
    }
    let request = server.request(Method::PATCH, &upload).body("x");
    request.send().await.assert_error(500, "UNKNOWN");
    driver.set(Trap::Full);
    server.post("/v2/a/blobs/uploads/").await.assert_error(507, "UNAVAILABLE");
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    server.put_manifest("a", "t", OCI_INDEX, index).await.assert_error(507, "UNAVAILABLE");
    driver.set(Trap::Off);
    assert_eq!(server.get("/v2/a/manifests/latest").await.status, 200);
    server.get("/v2/a/manifests/t").await.assert_error(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let driver = Trapped::default();
    let server = TestServer::builder().driver(Arc::new(driver.clone())).start().await;
    server.push_image("a", "latest", "layer").await;
    driver.set(Trap::Panic);
    for method in [Method::GET, Method::DELETE] {
        let reply = server.request(method, "/v2/a/manifests/latest").send().await;
        reply.assert_error(500, "UNKNOWN");
    }
    driver.set(Trap::Off);
    assert_eq!(server.get("/v2/a/manifests/latest").await.status, 200);
}
