//! Clients that are sent elsewhere for a blob's bytes.

use regex::Regex;
use registry::{RedirectRule, Redirects};
use server::NotRedirected;

use crate::support::{Builder, TestServer, sha256};

fn redirecting() -> Builder {
    TestServer::builder().registry(|options| {
        let rules = vec![RedirectRule::Base("https://cdn.example.org/base/".into())];
        options.redirects = Redirects { by_storage: true, rules };
    })
}

#[tokio::test]
async fn get_is_answered_with_where_the_blob_is() {
    let server = redirecting().start().await;
    let digest = server.push_blob("a", "content").await;
    let target = format!("/v2/a/blobs/{digest}");
    let hex = digest.to_string().replace("sha256:", "");
    let reply = server.get(&target).await;
    assert_eq!((reply.status, reply.text()), (307, ""));
    let expected = format!(
        "https://cdn.example.org/base/docker/registry/v2/blobs/sha256/{}/{hex}/data",
        &hex[..2]
    );
    assert_eq!(reply.header("location"), expected);
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    // The URL of a store is good for some minutes.
    assert_eq!(reply.header("cache-control"), "no-store");
    let etag = format!("\"{digest}\"");
    assert_eq!(server.get_with(&target, &[("if-none-match", &etag)]).await.status, 304);
    // What is asked with HEAD is known here.
    let head = server.head(&target).await;
    assert_eq!((head.status, head.header("content-length")), (200, "7"));
}

#[tokio::test]
async fn nobody_is_sent_to_what_is_not_there() {
    let server = redirecting().start().await;
    let digest = server.push_blob("a", "content").await;
    for target in [format!("/v2/b/blobs/{digest}"), format!("/v2/a/blobs/{}", sha256(b"x"))] {
        server.get(&target).await.assert_error(404, "BLOB_UNKNOWN");
    }
    let (_, digest) = server.push_image("a", "v1", "layer").await;
    assert_eq!(server.get(&format!("/v2/a/manifests/{digest}")).await.status, 200);
}

#[tokio::test]
async fn who_cannot_follow_gets_the_bytes() {
    let agents = || vec![Regex::new("^old-client/").unwrap()];
    let local = vec!["127.0.0.0/8".parse().unwrap()];
    let far = vec!["10.0.0.0/8".parse().unwrap()];
    for (networks, agent, status) in [
        (local, "docker/28", 200),
        (far.clone(), "docker/28", 307),
        (far.clone(), "old-client/1", 200),
        (far, "an old-client/1", 307),
    ] {
        let builder = redirecting().options(|options| {
            options.not_redirected = NotRedirected { networks, user_agents: agents() };
        });
        let server = builder.start().await;
        let digest = server.push_blob("a", "content").await;
        let target = format!("/v2/a/blobs/{digest}");
        let reply = server.get_with(&target, &[("user-agent", agent)]).await;
        assert_eq!(reply.status, status, "{agent}");
    }
}

#[tokio::test]
async fn a_storage_without_urls_redirects_nobody() {
    let builder = TestServer::builder().registry(|options| {
        let rewrite = RedirectRule::Rewrite {
            scheme: None,
            host: Some("cdn".into()),
            trim_path_prefix: None,
        };
        options.redirects = Redirects { by_storage: true, rules: vec![rewrite] };
    });
    let server = builder.start().await;
    let digest = server.push_blob("a", "content").await;
    let reply = server.get(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!((reply.status, reply.text()), (200, "content"));
}
