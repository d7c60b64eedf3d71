//! What read-only mode and the delete switch let through.

use http::Method;

use server::Deletion;

use crate::support::{OCI_MANIFEST, Reply, TestServer, sha256};

#[track_caller]
fn assert_refused(reply: &Reply, allow: &str, setting: &str) {
    reply.assert_error(405, "UNSUPPORTED");
    assert_eq!(reply.header("allow"), allow);
    let detail = reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(setting), "{detail}");
}

#[tokio::test]
async fn read_only_refuses_every_write() {
    let server = TestServer::builder().options(|o| o.read_only = true).start().await;
    let digest = sha256(b"x");
    let blob = format!("/v2/a/blobs/{digest}");
    let single = format!("/v2/a/blobs/uploads/?digest={digest}");
    let mount = format!("/v2/a/blobs/uploads/?mount={digest}&from=b");
    let setting = "storage.maintenance.readonly.enabled";
    for (method, target, allow) in [
        (Method::POST, "/v2/a/blobs/uploads/", ""),
        (Method::POST, &single, ""),
        (Method::POST, &mount, ""),
        (Method::PATCH, "/v2/a/blobs/uploads/u", "GET, HEAD"),
        (Method::PUT, "/v2/a/blobs/uploads/u?digest=x", "GET, HEAD"),
        (Method::DELETE, "/v2/a/blobs/uploads/u", "GET, HEAD"),
        (Method::PUT, "/v2/a/manifests/t", "GET, HEAD"),
        (Method::DELETE, "/v2/a/manifests/t", "GET, HEAD"),
        (Method::DELETE, &blob, "GET, HEAD"),
    ] {
        let request = server.request(method, target).header("content-type", OCI_MANIFEST);
        assert_refused(&request.body("x").send().await, allow, setting);
    }
    assert_eq!(server.get("/v2/").await.status, 200);
    server.get("/v2/a/manifests/t").await.assert_error(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn deleting_must_be_enabled() {
    let server = TestServer::builder().options(|o| o.deletion = Deletion::default()).start().await;
    let (_, digest) = server.push_image("a", "latest", "layer").await;
    let setting = "storage.delete.enabled";
    let manifests = "GET, HEAD, PUT";
    assert_refused(&server.delete("/v2/a/manifests/latest").await, manifests, setting);
    let by_digest = format!("/v2/a/manifests/{digest}");
    assert_refused(&server.delete(&by_digest).await, manifests, setting);
    let blob = format!("/v2/a/blobs/{}", sha256(b"layer"));
    assert_refused(&server.delete(&blob).await, "GET, HEAD", setting);
    assert_eq!(server.head(&by_digest).await.status, 200);
    assert_eq!(server.head(&blob).await.status, 200);
    // To give up an upload takes nothing away that was pushed.
    let upload = server.start_upload("a").await;
    assert_eq!(server.delete(&upload).await.status, 204);
}

#[tokio::test]
async fn methods_that_mean_nothing() {
    let server = TestServer::start().await;
    let digest = sha256(b"x");
    let blob = format!("/v2/a/blobs/{digest}");
    let referrers = format!("/v2/a/referrers/{digest}");
    for (method, target, allow) in [
        (Method::POST, "/v2/_catalog", "GET, HEAD"),
        (Method::GET, "/v2/a/_wharf/repository", "DELETE"),
        (Method::DELETE, "/v2/a/tags/list", "GET, HEAD"),
        (Method::PUT, referrers.as_str(), "GET, HEAD"),
        (Method::POST, "/v2/a/manifests/t", "DELETE, GET, HEAD, PUT"),
        (Method::PUT, &blob, "DELETE, GET, HEAD"),
        (Method::GET, "/v2/a/blobs/uploads/", "POST"),
        (Method::POST, "/v2/a/blobs/uploads/u", "DELETE, GET, HEAD, PATCH, PUT"),
        (Method::TRACE, "/v2/a/tags/list", "GET, HEAD"),
    ] {
        let reply = server.request(method.clone(), target).send().await;
        reply.assert_error(405, "UNSUPPORTED");
        assert_eq!(reply.header("allow"), allow, "{method} {target}");
    }
}

#[tokio::test]
async fn each_kind_of_deletion_has_its_switch() {
    let kinds = ["tags", "manifests", "blobs", "repositories"];
    for allowed in kinds {
        let server = TestServer::builder()
            .options(|o| {
                o.deletion = Deletion {
                    tags: allowed == "tags",
                    manifests: allowed == "manifests",
                    blobs: allowed == "blobs",
                    repositories: allowed == "repositories",
                }
            })
            .start()
            .await;
        let (_, digest) = server.push_image("a", "latest", "layer").await;
        let blob = sha256(b"layer");
        for kind in kinds {
            let target = match kind {
                "tags" => "/v2/a/manifests/latest".to_owned(),
                "manifests" => format!("/v2/a/manifests/{digest}"),
                "blobs" => format!("/v2/a/blobs/{blob}"),
                _ => "/v2/a/_wharf/repository".to_owned(),
            };
            let request = server.request(Method::OPTIONS, &target).send().await;
            let offered = request.header("allow").split(", ").any(|method| method == "DELETE");
            assert_eq!(offered, kind == allowed, "{kind} where {allowed}");
            let reply = server.delete(&target).await;
            if kind == allowed {
                assert_eq!(reply.status, 202, "{reply:?}");
            } else {
                reply.assert_error(405, "UNSUPPORTED");
                let detail = reply.json()["errors"][0]["detail"].to_string();
                assert!(detail.contains(&format!("storage.delete.{kind}")), "{detail}");
            }
        }
    }
}
