//! What stands in the way of pushes for a while.

use std::sync::Arc;

use http::Method;

use crate::support::{Reply, TestServer};
use crate::trap::Trapped;

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
