//! Web pages of another origin.

use http::Method;

use crate::support::TestServer;

#[tokio::test]
async fn options_says_what_is_allowed() {
    let server = TestServer::start().await;
    let reply = server.request(Method::OPTIONS, "/v2/a/manifests/t").send().await;
    assert_eq!((reply.status, reply.text()), (200, ""));
    assert_eq!(reply.header("allow"), "DELETE, GET, HEAD, PUT");
    assert_eq!(reply.header("access-control-allow-origin"), "");
    assert_eq!(reply.header("access-control-allow-methods"), "");
}

#[tokio::test]
async fn a_preflight_passes_once_an_origin_is_configured() {
    let server = TestServer::builder()
        .options(|o| {
            let origin = "https://ui.example.com".parse().unwrap();
            o.headers.append("access-control-allow-origin", origin);
            o.headers.append("access-control-allow-credentials", "true".parse().unwrap());
        })
        .start()
        .await;
    let reply = server
        .request(Method::OPTIONS, "/v2/a/manifests/t")
        .header("origin", "https://ui.example.com")
        .header("access-control-request-method", "DELETE")
        .header("access-control-request-headers", "authorization,accept")
        .send()
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), "https://ui.example.com");
    assert_eq!(reply.header("access-control-allow-methods"), "DELETE, GET, HEAD, PUT");
    assert_eq!(reply.header("access-control-allow-headers"), "authorization,accept");
    assert_eq!(reply.header("access-control-allow-credentials"), "true");

    let reply = server.get("/v2/").await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://ui.example.com");
    let exposed = reply.header("access-control-expose-headers");
    assert!(exposed.contains("docker-content-digest") && exposed.contains("link"), "{exposed}");
}
