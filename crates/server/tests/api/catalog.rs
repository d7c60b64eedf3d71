//! `/v2/_catalog`

use serde_json::json;

use crate::support::TestServer;

async fn with_repositories(names: &[&str]) -> TestServer {
    let server = TestServer::builder().options(|o| o.catalog_entries_max = 4).start().await;
    for name in names {
        server.push_image(name, "latest", "x").await;
    }
    server
}

#[tokio::test]
async fn an_empty_catalog() {
    let server = TestServer::start().await;
    let reply = server.get("/v2/_catalog").await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "repositories": [] })));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("link"), "");
}

#[tokio::test]
async fn pages_by_link() {
    let server = with_repositories(&["a", "b/c", "b/d", "e"]).await;
    let first = server.get("/v2/_catalog?n=2").await;
    assert_eq!(first.json(), json!({ "repositories": ["a", "b/c"] }));
    assert_eq!(first.header("link"), "</v2/_catalog?last=b%2Fc&n=2>; rel=\"next\"");
    let second = server.get("/v2/_catalog?last=b%2Fc&n=2").await;
    assert_eq!(second.json(), json!({ "repositories": ["b/d", "e"] }));
    assert_eq!(second.header("link"), "", "there is nothing behind it");
    let behind = server.get("/v2/_catalog?last=bb").await;
    assert_eq!(behind.json(), json!({ "repositories": ["e"] }));
}

#[tokio::test]
async fn numbers() {
    let server = with_repositories(&["a", "b"]).await;
    let none = server.get("/v2/_catalog?n=0").await;
    assert_eq!((none.status, none.json()), (200, json!({ "repositories": [] })));
    assert_eq!(none.header("link"), "");
    assert_eq!(server.get("/v2/_catalog?n=4").await.status, 200);
    for (n, shown) in [("5", json!(5)), ("-1", json!(-1)), ("x", json!("x"))] {
        let reply = server.get(&format!("/v2/_catalog?n={n}")).await;
        reply.assert_error(400, "PAGINATION_NUMBER_INVALID");
        assert_eq!(reply.json()["errors"][0]["detail"], json!({ "n": shown }));
    }
}

#[tokio::test]
async fn head_has_the_size_of_get() {
    let server = with_repositories(&["a"]).await;
    let (get, head) = (server.get("/v2/_catalog").await, server.head("/v2/_catalog").await);
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert!(head.body.is_empty());
}
