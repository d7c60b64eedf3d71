//! `/v2/` and `/`

use http::Method;

use crate::support::TestServer;

#[tokio::test]
async fn the_base_says_that_this_is_a_registry() {
    let server = TestServer::start().await;
    for path in ["/v2/", "/v2", "//v2//"] {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let reply = server.request(method.clone(), path).send().await;
            assert_eq!(reply.status, 200, "{method} {path}");
            assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(reply.header("content-length"), "2");
            assert_eq!(reply.text(), if method == Method::HEAD { "" } else { "{}" });
        }
    }
}

#[tokio::test]
async fn the_root_is_there_for_load_balancers() {
    let server = TestServer::start().await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.text()), (200, ""));
    assert_eq!(reply.header("cache-control"), "no-cache");
    assert_eq!(reply.header("content-length"), "0");
}

#[tokio::test]
async fn configured_headers_come_with_every_answer() {
    let server = TestServer::builder()
        .options(|o| {
            o.headers.append("x-content-type-options", "nosniff".parse().unwrap());
            o.headers.append("x-two", "1".parse().unwrap());
            o.headers.append("x-two", "2".parse().unwrap());
        })
        .start()
        .await;
    for path in ["/v2/", "/v2/a/manifests/x", "/v2/_catalog?n=x"] {
        let reply = server.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.headers.get_all("x-two").iter().count(), 2, "{path}");
    }
}

#[tokio::test]
async fn everything_lies_below_the_prefix_but_the_probes() {
    let prefix = server::PathPrefix::parse("/registry/").unwrap();
    let server = TestServer::builder().options(|o| o.prefix = prefix).start().await;
    assert_eq!(server.get("/registry/v2/").await.status, 200);
    assert_eq!(server.get("/v2/").await.status, 404);
    assert_eq!(server.get("/livez").await.status, 200);
    let reply = server.post("/registry/v2/a/blobs/uploads/").await;
    assert!(reply.location().starts_with("/registry/v2/a/blobs/uploads/"), "{reply:?}");
    assert_eq!(server.get(&reply.location()).await.status, 204);
}
