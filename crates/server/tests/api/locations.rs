//! `Location` behind reverse proxies.

use http::Method;
use server::{HostUrl, PathPrefix};

use crate::support::TestServer;

async fn location(server: &TestServer, headers: &[(&str, &str)]) -> String {
    let mut request = server.request(Method::POST, "/v2/a/blobs/uploads/");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let reply = request.send().await;
    let location = reply.header("location");
    location.split("/v2/a/blobs/uploads/").next().unwrap().to_owned()
}

#[tokio::test]
async fn from_what_the_proxy_says() {
    let server = TestServer::start().await;
    let own = format!("http://{}", server.address);
    for (headers, expected) in [
        (&[][..], own.as_str()),
        (
            &[("x-forwarded-proto", "https"), ("x-forwarded-host", "r.example.com")],
            "https://r.example.com",
        ),
        (
            &[
                ("forwarded", "proto=https;host=\"r.example.com:8443\", for=10.0.0.1"),
                ("x-forwarded-host", "no"),
            ],
            "https://r.example.com:8443",
        ),
        (
            &[("x-forwarded-host", "r.example.com"), ("x-forwarded-prefix", "/sub/")],
            "http://r.example.com/sub",
        ),
        (
            &[
                ("x-forwarded-host", "r.example.com"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-port", "8443"),
            ],
            "https://r.example.com:8443",
        ),
    ] {
        assert_eq!(location(&server, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn from_the_configuration() {
    let forwarded = [("x-forwarded-host", "no"), ("x-forwarded-prefix", "/sub")];
    let host = HostUrl::parse("https://r.example.com").unwrap();
    let fixed = TestServer::builder().options(|o| o.host = Some(host)).start().await;
    assert_eq!(location(&fixed, &forwarded).await, "https://r.example.com");
    let relative = TestServer::builder().options(|o| o.relative_urls = true).start().await;
    assert_eq!(location(&relative, &forwarded).await, "/sub");
    assert_eq!(location(&relative, &[]).await, "");
}

#[tokio::test]
async fn links_carry_the_prefix_that_a_proxy_cuts_off() {
    let prefix = PathPrefix::parse("/inner").unwrap();
    let server = TestServer::builder().options(|o| o.prefix = prefix).start().await;
    // The catalog of an empty registry has no next page, so two tags are needed.
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    for tag in ["a", "b"] {
        let request = server.request(Method::PUT, &format!("/inner/v2/r/manifests/{tag}"));
        let request = request.header("content-type", crate::support::OCI_INDEX).body(index);
        assert_eq!(request.send().await.status, 201);
    }
    let request = server.request(Method::GET, "/inner/v2/r/tags/list?n=1");
    let reply = request.header("x-forwarded-prefix", "/outer").send().await;
    assert_eq!(reply.header("link"), "</outer/inner/v2/r/tags/list?last=a&n=1>; rel=\"next\"");
}
