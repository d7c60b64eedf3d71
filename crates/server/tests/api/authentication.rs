//! Where the API asks who is there. The kinds of authentication are tested in their own crate.

use auth::htpasswd::{self, Htpasswd, HtpasswdOptions};
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
        (Method::DELETE, "/v2/a/b/_wharf/repository", delete),
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

/// Users of a file, and everybody may pull.
async fn open_for_reading(directory: &tempfile::TempDir) -> TestServer {
    let path = directory.path().join("htpasswd");
    htpasswd::add(&path, "alice", b"secret", 4).unwrap();
    let options = HtpasswdOptions {
        realm: "r".into(),
        path,
        anonymous_pull: true,
        ..HtpasswdOptions::default()
    };
    let htpasswd = Box::new(Htpasswd::open(options).unwrap());
    TestServer::builder()
        .with(|app| app.with_authenticator(Authenticator::Htpasswd(htpasswd)))
        .options(|options| options.read_only = true)
        .start()
        .await
}

/// `alice:secret`
const ALICE: &str = "Basic YWxpY2U6c2VjcmV0";

fn token(reply: &Reply) -> String {
    format!("Bearer {}", reply.json()["token"].as_str().unwrap())
}

#[tokio::test]
async fn tokens_for_those_who_log_in_and_those_who_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let server = open_for_reading(&directory).await;
    let challenge = server.get("/v2/").await;
    assert_eq!(challenge.status, 401);
    let realm = format!("Bearer realm=\"http://{}/v2/_token\"", server.address);
    assert!(challenge.header("www-authenticate").starts_with(&realm));

    let anonymous = server.get("/v2/_token?scope=repository:a:pull,push").await;
    assert_eq!((anonymous.status, anonymous.header("cache-control")), (200, "no-store"));
    let login = [("authorization", ALICE)];
    let alice = server.get_with("/v2/_token?scope=repository:a:pull,push", &login).await;
    for (credentials, base, pull, push) in [
        (None, 401, 404, 401),
        (Some(token(&anonymous)), 200, 404, 401),
        (Some(token(&alice)), 200, 404, 405),
        (Some(ALICE.to_owned()), 200, 404, 405),
    ] {
        for (method, target, status) in [
            (Method::GET, "/v2/", base),
            (Method::GET, "/v2/a/tags/list", pull),
            // Read-only: 405 is as far as anybody gets.
            (Method::POST, "/v2/a/blobs/uploads/", push),
        ] {
            let mut request = server.request(method, target);
            if let Some(credentials) = &credentials {
                request = request.header("authorization", credentials);
            }
            assert_eq!(request.send().await.status, status, "{credentials:?} {target}");
        }
    }
}

#[tokio::test]
async fn the_oauth2_form_of_the_token_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let server = open_for_reading(&directory).await;
    let post = |form: &'static str| {
        let request = server.request(Method::POST, "/v2/_token");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(form).send()
    };
    let good =
        "grant_type=password&username=alice&password=secret&service=s&scope=repository:a:pull";
    assert!(post(good).await.json()["access_token"].is_string());
    let wrong = post("grant_type=password&username=alice&password=wrong&service=s").await;
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, "Basic realm=\"r\""));
    let unknown = post("grant_type=refresh_token&refresh_token=x&service=s").await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.json()["error"], "unsupported_grant_type");
}
