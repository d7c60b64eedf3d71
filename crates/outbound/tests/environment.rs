//! What the environment of a process does to its clients. The variables are set for a process that
//! runs one of these tests alone: in this one they would be set for all.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use reqwest::Url;

/// Answers every request with this status.
fn server(status: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let answer =
                format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// Runs a test of this file in a process with these variables.
fn with_variables(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

async fn status(url: &str) -> u16 {
    let url = Url::parse(url).unwrap();
    let client = outbound::client(&url, |builder| builder).unwrap();
    client.get(url).send().await.unwrap().status().as_u16()
}

#[test]
fn a_proxy_is_for_others() {
    let proxy = format!("http://{}", server(299));
    let variables = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"].map(|name| (name, proxy.as_str()));
    with_variables("behind_a_proxy", &variables);
}

#[tokio::test]
#[ignore = "run by `a_proxy_is_for_others`, with its variables"]
async fn behind_a_proxy() {
    let here = server(200);
    assert_eq!(status(&format!("http://{here}/")).await, 200);
    assert_eq!(status(&format!("http://localhost:{}/", here.port())).await, 200);
    assert_eq!(status("http://collector.example.com/").await, 299);
}

#[test]
fn plain_http_needs_no_authorities() {
    let nowhere = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    with_variables("without_authorities", &nowhere);
}

#[tokio::test]
#[ignore = "run by `plain_http_needs_no_authorities`, with its variables"]
async fn without_authorities() {
    assert_eq!(status(&format!("http://{}/", server(200))).await, 200);
    let url = Url::parse("https://collector.example.com/").unwrap();
    assert!(outbound::client(&url, |builder| builder).is_err());
}
