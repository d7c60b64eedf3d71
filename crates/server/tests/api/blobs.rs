//! `/v2/<name>/blobs/<digest>`

use http::Method;
use oci::{Algorithm, Digest};

use crate::support::{TestServer, sha256};

fn content() -> Vec<u8> {
    (0..2048_u32).map(|i| (i % 251) as u8).collect()
}

#[tokio::test]
async fn what_was_pushed_is_pulled() {
    let server = TestServer::start().await;
    for content in [content(), Vec::new(), vec![7; 3 << 20]] {
        let digest = server.push_blob("a/b", content.clone()).await;
        let target = format!("/v2/a/b/blobs/{digest}");
        let (get, head) = (server.get(&target).await, server.head(&target).await);
        assert_eq!(get.status, 200);
        assert!(get.body == content);
        assert_eq!((head.status, head.text()), (200, ""));
        for reply in [get, head] {
            assert_eq!(reply.header("content-length"), content.len().to_string());
            assert_eq!(reply.header("content-type"), "application/octet-stream");
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
            assert_eq!(reply.header("etag"), format!("\"{digest}\""));
            assert_eq!(reply.header("cache-control"), "max-age=31536000");
            assert_eq!(reply.header("accept-ranges"), "bytes");
        }
    }
}

#[tokio::test]
async fn not_found() {
    let server = TestServer::start().await;
    let digest = server.push_blob("a", "here").await;
    let missing = sha256(b"missing");
    for target in [format!("/v2/a/blobs/{missing}"), format!("/v2/other/blobs/{digest}")] {
        let reply = server.get(&target).await;
        reply.assert_error(404, "BLOB_UNKNOWN");
        assert_eq!(reply.json()["errors"][0]["detail"], target.rsplit('/').next().unwrap());
        assert_eq!(
            (server.head(&target).await.status, server.head(&target).await.text()),
            (404, "")
        );
        server.delete(&target).await.assert_error(404, "BLOB_UNKNOWN");
    }
    for bad in ["sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e", "x"] {
        server.get(&format!("/v2/a/blobs/{bad}")).await.assert_error(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn ranges() {
    let server = TestServer::start().await;
    let content = content();
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", content.clone()).await);
    for (range, part) in [
        ("500-1499", 500..1500),
        ("500-", 500..2048),
        ("-500", 1548..2048),
        ("2000-5000", 2000..2048),
    ] {
        let reply = server.get_with(&target, &[("range", &format!("bytes={range}"))]).await;
        assert_eq!(reply.status, 206, "{range}");
        assert_eq!(reply.header("content-length"), part.len().to_string());
        let expected = format!("bytes {}-{}/2048", part.start, part.end - 1);
        assert_eq!(reply.header("content-range"), expected);
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert!(reply.body == content[part], "{range}");
    }
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=x-"] {
        let reply = server.get_with(&target, &[("range", range)]).await;
        reply.assert_error(416, "RANGE_INVALID");
        assert_eq!(reply.header("content-range"), "bytes */2048");
    }
    let whole = server.get_with(&target, &[("range", "lines=1-2")]).await;
    assert_eq!((whole.status, whole.body.len()), (200, 2048));
    let request = server.request(Method::HEAD, &target).header("range", "bytes=0-9");
    let head = request.send().await;
    assert_eq!((head.status, head.header("content-length")), (200, "2048"));
}

#[tokio::test]
async fn several_ranges_at_once() {
    let server = TestServer::start().await;
    let content: String = ('a'..='z').collect();
    let target = format!("/v2/a/blobs/{}", server.push_blob("a", content).await);
    let reply = server.get_with(&target, &[("range", "bytes=0-2,-2")]).await;
    assert_eq!(reply.status, 206);
    assert_eq!(reply.header("content-range"), "");
    let boundary = reply.header("content-type").strip_prefix("multipart/byteranges; boundary=");
    let boundary = boundary.unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Range: bytes 0-2/26\r\nContent-Type: application/octet-stream\
         \r\n\r\nabc\r\n--{boundary}\r\nContent-Range: bytes 24-25/26\r\nContent-Type: \
         application/octet-stream\r\n\r\nyz\r\n--{boundary}--\r\n"
    );
    assert_eq!(reply.text(), expected);
    assert_eq!(reply.header("content-length"), expected.len().to_string());
}

#[tokio::test]
async fn conditions() {
    let server = TestServer::start().await;
    let digest = server.push_blob("a", content()).await;
    let target = format!("/v2/a/blobs/{digest}");
    let etag = format!("\"{digest}\"");
    let cached = server.get_with(&target, &[("if-none-match", &etag)]).await;
    assert_eq!((cached.status, cached.text(), cached.header("etag")), (304, "", etag.as_str()));
    let range = ("range", "bytes=0-0");
    for (if_range, status) in
        [(etag.as_str(), 206), ("\"other\"", 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)]
    {
        let reply = server.get_with(&target, &[range, ("if-range", if_range)]).await;
        assert_eq!(reply.status, status, "{if_range}");
    }
}

#[tokio::test]
async fn the_digest_is_the_one_that_was_asked_for() {
    let server = TestServer::start().await;
    let content = content();
    let digest = Digest::of(Algorithm::Sha512, &content).to_string();
    let upload = server.start_upload("a").await;
    let commit = server.request(Method::PUT, &format!("{upload}&digest={digest}"));
    let reply = commit.body(content.clone()).send().await;
    assert_eq!((reply.status, reply.header("docker-content-digest")), (201, digest.as_str()));
    assert!(reply.location().ends_with(&digest));
    for reply in [server.get(&reply.location()).await, server.head(&reply.location()).await] {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("docker-content-digest"), digest);
        assert_eq!(reply.header("content-length"), "2048");
    }
    let canonical = server.get(&format!("/v2/a/blobs/{}", sha256(&content))).await;
    assert!(canonical.body == content);
}

#[tokio::test]
async fn deleting() {
    let server = TestServer::start().await;
    let digest = server.push_blob("a", "x").await;
    server.push_blob("b", "x").await;
    let reply = server.delete(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!((reply.status, reply.header("content-length")), (202, "0"));
    assert_eq!(server.head(&format!("/v2/a/blobs/{digest}")).await.status, 404);
    assert_eq!(server.head(&format!("/v2/b/blobs/{digest}")).await.status, 200);
}
