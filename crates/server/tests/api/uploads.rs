//! `/v2/<name>/blobs/uploads/`

use std::time::Duration;

use http::Method;
use oci::{Algorithm, Digest};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Reply, TestServer, read_to_end, read_until, sha256};

async fn patch(server: &TestServer, target: &str, range: Option<&str>, body: &str) -> Reply {
    let mut request = server.request(Method::PATCH, target);
    if let Some(range) = range {
        request = request.header("content-range", range);
    }
    request.body(body.to_owned()).send().await
}

async fn commit(server: &TestServer, target: &str, digest: &Digest, body: &str) -> Reply {
    let request = server.request(Method::PUT, &format!("{target}&digest={digest}"));
    request.body(body.to_owned()).send().await
}

#[track_caller]
fn assert_session(reply: &Reply, status: u16, range: &str) {
    assert_eq!((reply.status, reply.text()), (status, ""), "{reply:?}");
    assert_eq!(reply.header("range"), range);
    let location = reply.location();
    let uuid = reply.header("docker-upload-uuid");
    assert!(location.contains(&format!("/blobs/uploads/{uuid}?_state=")), "{location}");
}

#[tokio::test]
async fn a_session_from_start_to_end() {
    let server = TestServer::start().await;
    let started = server.post("/v2/a/b/blobs/uploads/").await;
    assert_session(&started, 202, "0-0");
    assert_eq!(started.header("content-length"), "0");
    assert_eq!(started.header("oci-chunk-min-length"), "");
    assert!(started.header("location").starts_with(&format!("http://{}/v2/a/b/", server.address)));
    let target = started.location();

    assert_session(&server.get(&target).await, 204, "0-0");
    assert_session(&patch(&server, &target, Some("0-2"), "abc").await, 202, "0-2");
    assert_session(&server.head(&target).await, 204, "0-2");
    let second = patch(&server, &target, Some("3-5"), "def").await;
    assert_session(&second, 202, "0-5");

    let digest = sha256(b"abcdefghi");
    let request = server.request(Method::PUT, &format!("{}&digest={digest}", second.location()));
    let done = request.header("content-range", "6-8").body("ghi").send().await;
    assert_eq!((done.status, done.header("content-length")), (201, "0"), "{done:?}");
    assert_eq!(done.header("docker-content-digest"), digest.to_string());
    assert_eq!(done.location(), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(server.get(&done.location()).await.text(), "abcdefghi");
    server.get(&target).await.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_stream_of_unknown_length() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let request = format!(
        "PATCH {target} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\
         \r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    );
    let answer = server.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("Range: 0-6\r\n"), "{answer}");
    assert_eq!(commit(&server, &target, &sha256(b"abcdefg"), "").await.status, 201);
}

#[tokio::test]
async fn a_whole_blob_in_one_post() {
    let server = TestServer::start().await;
    for algorithm in Algorithm::ALL {
        let digest = Digest::of(algorithm, b"abc");
        let target = format!("/v2/a/blobs/uploads/?digest={digest}");
        let reply = server.request(Method::POST, &target).body("abc").send().await;
        assert_eq!(reply.status, 201);
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(server.get(&reply.location()).await.text(), "abc");
        let reply = server.request(Method::POST, &target).body("other").send().await;
        reply.assert_error(400, "DIGEST_INVALID");
    }
    let reply = server.post("/v2/a/blobs/uploads/?digest=sha256:x").await;
    reply.assert_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn mounts() {
    let server = TestServer::start().await;
    let digest = server.push_blob("source", "abc").await;
    for query in [format!("mount={digest}&from=source"), format!("mount={digest}")] {
        let target = format!("target{}", query.len());
        let reply = server.post(&format!("/v2/{target}/blobs/uploads/?{query}")).await;
        assert_eq!(reply.status, 201, "{query}");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(reply.location(), format!("/v2/{target}/blobs/{digest}"));
        assert_eq!(server.get(&reply.location()).await.text(), "abc");
    }
    // Whatever stands in the way of a mount, the client can upload.
    let unknown = sha256(b"unknown");
    for query in [
        format!("mount={unknown}&from=source"),
        format!("mount={unknown}"),
        format!("mount={digest}&from=nowhere"),
        format!("mount={digest}&from=NOT_A_NAME"),
        "mount=sha256:bad&from=source".to_owned(),
    ] {
        let reply = server.post(&format!("/v2/t/blobs/uploads/?{query}")).await;
        assert_session(&reply, 202, "0-0");
        assert_eq!(commit(&server, &reply.location(), &sha256(b"x"), "x").await.status, 201);
    }
}

#[tokio::test]
async fn chunks_out_of_order_leave_the_session_as_it_was() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let refused = patch(&server, &target, Some("3-5"), "def").await;
    refused.assert_error(416, "RANGE_INVALID");
    assert_eq!(refused.header("range"), "0-0");
    assert_eq!(server.get(&refused.location()).await.header("range"), "0-0");
    assert_eq!(patch(&server, &target, Some("0-2"), "abc").await.status, 202);

    for range in ["0-2", "4-6", "nonsense", "5-3"] {
        let refused = patch(&server, &target, Some(range), "xyz").await;
        refused.assert_error(416, "RANGE_INVALID");
        assert_eq!(refused.header("range"), "0-2", "{range}");
        assert_eq!(refused.header("docker-upload-uuid").len(), 36);
    }
    // The same with the last chunk, in the closing request; its URL still tells the progress.
    let digest = sha256(b"abcdef");
    let closing = format!("{target}&digest={digest}");
    let request = server.request(Method::PUT, &closing).header("content-range", "4-6");
    request.body("xyz").send().await.assert_error(416, "RANGE_INVALID");
    assert_session(&server.get(&closing).await, 204, "0-2");
    // Neither too much nor too little.
    for body in ["de", "defg"] {
        patch(&server, &target, Some("3-5"), body).await.assert_error(400, "SIZE_INVALID");
    }
    let standing = server.get(&target).await.header("range").to_owned();
    assert_eq!(standing, "0-2");
    let request = server.request(Method::PUT, &closing).header("content-range", "3-5");
    assert_eq!(request.body("def").send().await.status, 201);
}

#[tokio::test]
async fn closing_with_the_wrong_digest() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let put = async |query: &str| {
        let request = server.request(Method::PUT, &format!("{target}&{query}"));
        request.body("abc").send().await
    };
    // Without a digest nothing happens to the session.
    for (query, detail) in [("", "digest missing"), ("digest=", "digest missing")] {
        let reply = put(query).await;
        reply.assert_error(400, "DIGEST_INVALID");
        assert_eq!(reply.json()["errors"][0]["detail"], detail);
    }
    for query in ["digest=x", "digest=md5:00", "digest=sha256:ABC"] {
        put(query).await.assert_error(400, "DIGEST_INVALID");
    }
    assert_session(&server.get(&target).await, 204, "0-0");
    // With another one it is over.
    let other = sha256(b"other");
    put(&format!("digest={other}")).await.assert_error(400, "DIGEST_INVALID");
    server.get(&target).await.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_form_is_a_blob_like_any_other() {
    let server = TestServer::start().await;
    let form = "digest=sha256%3Aevil&a=b";
    let content_type = "application/x-www-form-urlencoded";
    let target = server.start_upload("a").await;
    let request = server.request(Method::PATCH, &target).header("content-type", content_type);
    let reply = request.body(form).send().await;
    assert_eq!(reply.status, 202);
    let digest = sha256(format!("{form}{form}").as_bytes());
    let request = server.request(Method::PUT, &format!("{}&digest={digest}", reply.location()));
    let reply = request.header("content-type", content_type).body(form).send().await;
    assert_eq!(reply.status, 201, "{reply:?}");
}

#[tokio::test]
async fn cancelling() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let reply = server.delete(&target).await;
    assert_eq!((reply.status, reply.text()), (204, ""));
    assert_eq!(reply.header("docker-upload-uuid").len(), 36);
    assert_eq!(reply.header("content-length"), "");
    server.delete(&target).await.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
    patch(&server, &target, None, "x").await.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
    server.get("/v2/a/blobs/uploads/a%20b").await.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn the_state_parameter_is_not_needed_but_must_not_contradict() {
    let server = TestServer::start().await;
    let (first, second) = (server.start_upload("a").await, server.start_upload("a").await);
    let path = |target: &str| target.split('?').next().unwrap().to_owned();
    let state = |target: &str| target.split_once('?').unwrap().1.to_owned();
    for query in ["", "?_state=", "?_state=garbage", "?_state=AAAA"] {
        let reply = server.get(&format!("{}{query}", path(&first))).await;
        assert_session(&reply, 204, "0-0");
    }
    // A Location from before the last chunk still works with a range, or without the parameter.
    assert_eq!(patch(&server, &first, None, "abc").await.status, 202);
    assert_eq!(patch(&server, &first, Some("3-4"), "de").await.status, 202);
    assert_eq!(patch(&server, &path(&first), None, "f").await.status, 202);
    // Without either it may be a request that was held up and has been sent again since.
    let late = patch(&server, &first, None, "abc").await;
    late.assert_error(416, "RANGE_INVALID");
    assert_eq!(late.header("range"), "0-5");
    let crossed = format!("{}?{}", path(&first), state(&second));
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let reply = server.request(method, &crossed).send().await;
        reply.assert_error(404, "BLOB_UPLOAD_INVALID");
    }
    assert_session(&server.get(&first).await, 204, "0-5");
    // The session belongs to its repository.
    let elsewhere = path(&first).replace("/v2/a/", "/v2/b/");
    server.get(&elsewhere).await.assert_error(404, "BLOB_UPLOAD_UNKNOWN");
    server.get(&first.replace("/v2/a/", "/v2/b/")).await.assert_error(404, "BLOB_UPLOAD_INVALID");
}

#[tokio::test]
async fn algorithm_and_chunk_size() {
    let server =
        TestServer::builder().options(|o| o.chunk_min_length_bytes = Some(1024)).start().await;
    let reply = server.post("/v2/a/blobs/uploads/?digest-algorithm=sha512").await;
    assert_session(&reply, 202, "0-0");
    assert_eq!(reply.header("oci-chunk-min-length"), "1024");
    let digest = Digest::of(Algorithm::Sha512, b"abc");
    assert_eq!(commit(&server, &reply.location(), &digest, "abc").await.status, 201);
    let reply = server.post("/v2/a/blobs/uploads/?digest-algorithm=md5").await;
    reply.assert_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn what_came_before_a_client_hung_up_is_kept() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let mut socket = server.connect().await;
    let head = format!("PATCH {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(b"abc").await.unwrap();
    drop(socket);
    let mut attempts = 0..200;
    let status = loop {
        let reply = server.get(&target).await;
        if reply.header("range") == "0-2" {
            break reply;
        }
        assert!(attempts.next().is_some(), "{reply:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // The writer is gone as well, so that the client can go on.
    let reply = commit(&server, &status.location(), &sha256(b"abcdef"), "def").await;
    assert_eq!(reply.status, 201, "{reply:?}");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_and_what_came_is_kept() {
    let idle = Duration::from_millis(100);
    let server = TestServer::builder().options(|o| o.body_idle_timeout = idle).start().await;
    let target = server.start_upload("a").await;
    let mut socket = server.connect().await;
    let head = format!("PATCH {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc");
    socket.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut socket, "\"errors\"").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(server.get(&target).await.header("range"), "0-2");
}

#[tokio::test]
async fn two_writers_at_once() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let mut first = server.connect().await;
    let head = format!("PATCH {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc");
    first.write_all(head.as_bytes()).await.unwrap();
    let mut refused = patch(&server, &target, None, "xyz").await;
    for _ in 0..50 {
        // The first may not have begun when the second came.
        if refused.status == 409 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        refused = patch(&server, &target, None, "xyz").await;
    }
    refused.assert_error(409, "BLOB_UPLOAD_INVALID");
    first.write_all(b"def").await.unwrap();
    let answer = read_until(&mut first, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn a_refused_upload_is_told_so_even_while_it_is_sending() {
    let server = TestServer::start().await;
    let mut socket = server.connect().await;
    let size = 32 << 20;
    let head = format!(
        "PATCH /v2/a/blobs/uploads/gone HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Like a client that only reads when it has sent everything.
    socket.write_all(&vec![0; size]).await.expect("the server takes the rest");
    let answer = read_to_end(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("BLOB_UPLOAD_UNKNOWN"), "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on_or_not() {
    let server = TestServer::start().await;
    let target = server.start_upload("a").await;
    let head = |target: &str| {
        format!(
            "PATCH {target} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
        )
    };
    let mut socket = server.connect().await;
    socket.write_all(head(&target).as_bytes()).await.unwrap();
    let answer = read_until(&mut socket, "\r\n\r\n").await;
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"abc").await.unwrap();
    assert!(read_until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 202 "));

    let mut socket = server.connect().await;
    socket.write_all(head("/v2/a/blobs/uploads/gone").as_bytes()).await.unwrap();
    let answer = read_until(&mut socket, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
