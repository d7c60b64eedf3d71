//! Where the API asks who is there. The kinds of authentication are tested in their own crate.

use auth::{Authenticator, Silly};
use http::Method;
use oci::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::support::{Reply, Request, TestServer};

async fn server() -> TestServer {
    let silly = Silly { realm: "r".into(), service: "s".into() };
    TestServer::builder()
        .with(|app| app.with_authenticator(Authenticator::Silly(silly)))
        .start()
        .await
}

fn somebody(request: Request) -> Request {
    request.header("authorization", "Bearer anything")
}

fn scope(reply: &Reply) -> String {
    let challenge = reply.header("www-authenticate");
    let scope = challenge.split_once("scope=\"").map_or("", |(_, rest)| rest);
    scope.trim_end_matches('"').to_owned()
}

#[tokio::test]
async fn without_credentials_there_is_a_challenge() {
    let server = server().await;
    let reply = server.get("/v2/").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"r\",service=\"s\"");
    assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
    let expected = json!({ "errors": [{
        "code": "UNAUTHORIZED", "message": "authentication required", "detail": Value::Null,
    }] });
    assert_eq!(reply.json(), expected);
    assert_eq!(somebody(server.request(Method::GET, "/v2/")).send().await.status, 200);
}

#[tokio::test]
async fn each_request_asks_for_the_rights_it_needs() {
    let server = server().await;
    let digest = Digest::of(Algorithm::Sha256, b"x");
    let pull = "repository:a/b:pull";
    let push = "repository:a/b:pull repository:a/b:push";
    let delete = "repository:a/b:delete";
    let mount = format!("/v2/a/b/blobs/uploads/?mount={digest}&from=c/d");
    for (method, target, expected) in [
        (Method::GET, "/v2/a/b/manifests/t", pull),
        (Method::HEAD, "/v2/a/b/manifests/t", pull),
        (Method::PUT, "/v2/a/b/manifests/t", push),
        (Method::DELETE, "/v2/a/b/manifests/t", delete),
        (Method::GET, "/v2/a/b/tags/list", pull),
        (Method::GET, &format!("/v2/a/b/referrers/{digest}"), pull),
        (Method::GET, &format!("/v2/a/b/blobs/{digest}"), pull),
        (Method::DELETE, &format!("/v2/a/b/blobs/{digest}"), delete),
        (Method::POST, "/v2/a/b/blobs/uploads/", push),
        (Method::PATCH, "/v2/a/b/blobs/uploads/id", push),
        (Method::DELETE, "/v2/a/b/blobs/uploads/id", delete),
        (Method::GET, "/v2/_catalog", "registry:catalog:*"),
        (Method::POST, &mount, &format!("{push} repository:c/d:pull")),
    ] {
        let reply = server.request(method.clone(), target).send().await;
        assert_eq!(reply.status, 401, "{method} {target}");
        assert_eq!(scope(&reply), expected, "{method} {target}");
        if method == Method::HEAD {
            continue;
        }
        let records = reply.json()["errors"][0]["detail"].clone();
        let named: Vec<_> = records
            .as_array()
            .unwrap()
            .iter()
            .map(|r| {
                let text = |key: &str| r[key].as_str().unwrap().to_owned();
                format!("{}:{}:{}", text("Type"), text("Name"), text("Action"))
            })
            .collect();
        assert_eq!(named.join(" "), expected, "{method} {target}");
    }
}

#[tokio::test]
async fn what_needs_no_credentials() {
    let server = server().await;
    for target in ["/", "/livez", "/readyz"] {
        assert_eq!(server.get(target).await.status, 200, "{target}");
    }
    // A browser sends no credentials with its preflight.
    let preflight = server.request(Method::OPTIONS, "/v2/a/tags/list").send().await;
    assert_eq!(preflight.status, 200);
    // Nobody issues tokens here.
    assert_eq!(server.get("/v2/_token").await.status, 404);
}

#[tokio::test]
async fn strangers_learn_nothing_of_what_is_allowed() {
    let server = server().await;
    // As in Distribution, 401 comes before 405.
    let reply = server.request(Method::PUT, "/v2/a/tags/list").send().await;
    assert_eq!(reply.status, 401);
    let reply = somebody(server.request(Method::PUT, "/v2/a/tags/list")).send().await;
    assert_eq!(reply.status, 405);
}
