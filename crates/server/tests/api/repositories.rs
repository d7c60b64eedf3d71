//! Deletion of whole repositories.

use crate::support::TestServer;

#[tokio::test]
async fn a_repository_is_deleted_and_those_below_it_stay() {
    let server = TestServer::start().await;
    let (_, digest) = server.push_image("a/b", "latest", "layer").await;
    server.push_image("a/b/c", "latest", "layer").await;
    server.push_image("a/manifests", "latest", "layer").await;
    server.start_upload("a/b").await;
    let target = "/v2/a/b/_wharf/repository";
    let reply = server.delete(target).await;
    assert_eq!((reply.status, reply.text()), (202, ""));
    assert_eq!(
        server.get("/v2/_catalog").await.json()["repositories"].to_string(),
        r#"["a/b/c","a/manifests"]"#
    );
    server.get("/v2/a/b/tags/list").await.assert_error(404, "NAME_UNKNOWN");
    server.get(&format!("/v2/a/b/manifests/{digest}")).await.assert_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(server.get("/v2/a/b/c/manifests/latest").await.status, 200);
    server.delete(target).await.assert_error(404, "NAME_UNKNOWN");
    server.delete("/v2/a/_wharf/repository").await.assert_error(404, "NAME_UNKNOWN");
    // Its name is no other endpoint.
    assert_eq!(server.delete("/v2/a/manifests/_wharf/repository").await.status, 202);
    server.push_image("a/b", "latest", "layer").await;
}
