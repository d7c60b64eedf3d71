//! `/v2/<name>/tags/list`

use serde_json::json;

use crate::support::TestServer;

async fn with_tags(tags: &[&str]) -> TestServer {
    let server = TestServer::builder().options(|o| o.tags_max = 3).start().await;
    for tag in tags {
        server.push_image("a/b", tag, "x").await;
    }
    server
}

#[tokio::test]
async fn all_tags_in_byte_order() {
    let server = with_tags(&["b", "a", "B", "_", "1"]).await;
    let reply = server.get("/v2/a/b/tags/list").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.json(), json!({ "name": "a/b", "tags": ["1", "B", "_", "a", "b"] }));
    assert_eq!(reply.header("link"), "");
    let head = server.head("/v2/a/b/tags/list").await;
    assert_eq!((head.status, head.header("content-length")), (200, reply.header("content-length")));
}

#[tokio::test]
async fn pages() {
    let server = with_tags(&["a", "b", "c", "d"]).await;
    let tags = |reply: &crate::support::Reply| reply.json()["tags"].clone();
    let first = server.get("/v2/a/b/tags/list?n=2").await;
    assert_eq!(tags(&first), json!(["a", "b"]));
    assert_eq!(first.header("link"), "</v2/a/b/tags/list?last=b&n=2>; rel=\"next\"");
    let second = server.get("/v2/a/b/tags/list?last=b&n=2").await;
    assert_eq!((tags(&second), second.header("link")), (json!(["c", "d"]), ""));
    assert_eq!(tags(&server.get("/v2/a/b/tags/list?last=bb").await), json!(["c", "d"]));
    assert_eq!(tags(&server.get("/v2/a/b/tags/list?last=z").await), json!([]));
    // More than the limit is reduced to it.
    let clamped = server.get("/v2/a/b/tags/list?n=9").await;
    assert_eq!(tags(&clamped), json!(["a", "b", "c"]));
    assert_eq!(clamped.header("link"), "</v2/a/b/tags/list?last=c&n=3>; rel=\"next\"");
}

#[tokio::test]
async fn numbers() {
    let server = with_tags(&["a"]).await;
    let none = server.get("/v2/a/b/tags/list?n=0").await;
    assert_eq!((none.json()["tags"].clone(), none.header("link")), (json!([]), ""));
    server.get("/v2/a/b/tags/list?n=-1").await.assert_error(400, "PAGINATION_NUMBER_INVALID");
    server.get("/v2/a/b/tags/list?n=1.5").await.assert_error(400, "PAGINATION_NUMBER_INVALID");
}

#[tokio::test]
async fn a_repository_that_is_not_there() {
    let server = with_tags(&["a"]).await;
    for query in ["", "?n=0", "?n=5", "?last=x"] {
        let reply = server.get(&format!("/v2/other/tags/list{query}")).await;
        reply.assert_error(404, "NAME_UNKNOWN");
        assert_eq!(reply.json()["errors"][0]["detail"], json!({ "name": "other" }));
    }
}
