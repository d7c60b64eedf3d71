//! What stands in the way of pushes for a while: read-only mode, and a volume that is nearly full.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use server::{FreeSpaceMin, WriteGate};
use tokio::io::AsyncWriteExt as _;

use crate::support::{OCI_MANIFEST, Reply, TestServer, read_to_end, sha256};
use crate::trap::{TOTAL_BYTES, Trapped};

fn detail(reply: &Reply) -> String {
    reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn read_only_mode_is_switched_while_the_server_runs() {
    let server = TestServer::builder().start().await;
    let (_, digest) = server.push_image("a", "latest", "layer").await;
    let upload = server.start_upload("a").await;
    let registry = server.app.registry();
    let manifest = format!("/v2/a/manifests/{digest}");

    registry.make_read_only("moving house").await.unwrap();
    server.app.look_after_storage().await;
    assert!(server.app.read_only().is_on());
    for (method, target) in [
        (Method::POST, "/v2/a/blobs/uploads/"),
        (Method::PATCH, &upload),
        (Method::PUT, "/v2/a/manifests/t"),
        (Method::DELETE, &manifest),
        (Method::DELETE, "/v2/a/_wharf/repository"),
    ] {
        let reply = server.request(method, target).body("x").send().await;
        reply.assert_error(405, "UNSUPPORTED");
        let detail = detail(&reply);
        assert!(
            detail.contains("moving house") && detail.contains("wharf readonly off"),
            "{detail}"
        );
        assert!(!reply.header("allow").contains("DELETE"), "{reply:?}");
    }
    assert_eq!(server.get(&manifest).await.status, 200);

    assert!(registry.make_writable().await.unwrap());
    server.app.look_after_storage().await;
    // The session goes on.
    let reply = server.request(Method::PATCH, &upload).body("x").send().await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(server.delete(&manifest).await.status, 202);
}

#[tokio::test]
async fn a_note_that_can_t_be_looked_for_changes_nothing() {
    let driver = Trapped::default();
    let server = TestServer::builder().driver(Arc::new(driver.clone())).start().await;
    server.app.registry().make_read_only("").await.unwrap();
    server.app.look_after_storage().await;
    driver.set(crate::trap::Trap::Fail);
    server.app.look_after_storage().await;
    assert!(server.app.read_only().is_on());
}

/// A server on a volume of which so much is free, with a fourth of it to stay free.
async fn server_with(free_bytes: u64) -> (TestServer, Trapped) {
    let driver = Trapped::default();
    driver.set_free(free_bytes);
    let builder = TestServer::builder().driver(Arc::new(driver.clone()));
    let min = FreeSpaceMin::Millionths(250_000);
    (builder.options(|o| o.free_space_min = min).start().await, driver)
}

#[tokio::test]
async fn pushes_are_refused_before_the_volume_is_full() {
    let (server, driver) = server_with(TOTAL_BYTES).await;
    let (content, digest) = server.push_image("a", "latest", "layer").await;
    let upload = server.start_upload("a").await;
    let blob = server.request(Method::PATCH, &upload).body("more").send().await.location();

    driver.set_free(TOTAL_BYTES / 4 - 1);
    server.app.look_after_storage().await;
    let single = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"x"));
    for (method, target) in [
        (Method::POST, "/v2/a/blobs/uploads/"),
        (Method::POST, &single),
        (Method::PATCH, &blob),
        (Method::PUT, "/v2/a/manifests/t"),
    ] {
        let request = server.request(method, target).header("content-type", OCI_MANIFEST);
        let reply = request.body("x").send().await;
        reply.assert_error(507, "UNAVAILABLE");
        let detail = detail(&reply);
        assert!(detail.contains("255.9 MiB of 1.0 GiB are free"), "{detail}");
        assert!(detail.contains("storage.maintenance.freespace.min"), "{detail}");
    }
    // What has come can be finished, and everything else goes on.
    let close = format!("{blob}&digest={}", sha256(b"more"));
    assert_eq!(server.request(Method::PUT, &close).send().await.status, 201);
    assert_eq!(server.get("/v2/a/manifests/latest").await.text(), content);
    assert_eq!(server.delete(&format!("/v2/a/manifests/{digest}")).await.status, 202);

    driver.set_free(TOTAL_BYTES);
    server.app.look_after_storage().await;
    server.push_image("a", "latest", "layer").await;
}

#[tokio::test]
async fn what_is_too_large_for_the_room_is_refused_at_once() {
    let (server, _) = server_with(TOTAL_BYTES / 4 + 1000).await;
    let digest = sha256(b"x");
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\
         expect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    let answer = server.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
    assert!(answer.contains("no room for 1001 bytes"), "{answer}");
    server.push_blob("a", vec![0; 1000]).await;
}

#[tokio::test]
async fn what_no_request_brings_is_held_to_the_same() {
    let (server, driver) = server_with(TOTAL_BYTES).await;
    let registry = server.app.registry();
    let own = WriteGate::new(Arc::clone(registry), false, FreeSpaceMin::Millionths(250_000));
    let gates = [server.app.write_gate(), own];
    let asked = async |bytes| {
        let mut answers = Vec::new();
        for gate in &gates {
            gate.look().await;
            answers.push(gate.admit(bytes).await);
        }
        assert_eq!(answers[0], answers[1]);
        answers.remove(0)
    };
    assert_eq!(asked(1).await, Ok(()));
    let reason = asked(TOTAL_BYTES).await.unwrap_err();
    assert!(reason.contains("no room for 1.0 GiB"), "{reason}");
    driver.set_free(1);
    let reason = asked(0).await.unwrap_err();
    assert!(reason.contains("nearly full"), "{reason}");
    driver.set_free(TOTAL_BYTES);
    registry.make_read_only("moving house").await.unwrap();
    let reason = asked(0).await.unwrap_err();
    assert!(reason.contains("moving house"), "{reason}");
    registry.make_writable().await.unwrap();
    assert_eq!(asked(0).await, Ok(()));
    let configured = WriteGate::new(Arc::clone(registry), true, FreeSpaceMin::Bytes(0));
    assert!(configured.admit(0).await.unwrap_err().contains("maintenance.readonly"));
}

#[tokio::test]
async fn a_body_of_unknown_length_ends_when_the_room_does() {
    let (server, driver) = server_with(TOTAL_BYTES).await;
    let upload = server.start_upload("a").await;
    let mut socket = server.connect().await;
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n4\r\nsome\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    driver.set_free(1);
    server.app.look_after_storage().await;
    socket.write_all(b"4\r\nmore\r\n0\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
    assert!(answer.contains("nearly full"), "{answer}");
    assert_eq!(server.get(&upload).await.header("range"), "0-3");
}

#[tokio::test]
async fn the_check_can_be_turned_off_and_needs_to_know_the_room() {
    for (free_bytes, min) in [(1, FreeSpaceMin::Bytes(0)), (0, FreeSpaceMin::Bytes(u64::MAX))] {
        let driver = Trapped::default();
        driver.set_free(free_bytes);
        let builder = TestServer::builder().driver(Arc::new(driver));
        let server = builder.options(|o| o.free_space_min = min).start().await;
        server.push_image("a", "latest", "layer").await;
    }
}
