//! Key sets at a URL.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::signer::Signer;
use super::support::{ask, claims, options, refused};
use crate::asking::Grant;
use crate::limits::{JWKS_UNKNOWN_KEY_INTERVAL, TOKEN_KEYS_BYTES_MAX};
use crate::refusal::Refusal;
use crate::token::algorithm::Algorithm;
use crate::token::{TokenAuth, TokenOptions};

/// A server of one answer.
#[derive(Clone)]
pub(super) struct Server {
    state: Arc<Mutex<State>>,
    pub(super) address: String,
}

struct State {
    answer: String,
    requests: Vec<String>,
}

impl Server {
    /// Starts it on a free port.
    pub(super) async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, answer)
    }

    fn on(listener: TcpListener, answer: String) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { answer, requests: Vec::new() }));
        let server = Self { state: Arc::clone(&state), address };
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if connection.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    request.push(byte[0]);
                }
                let answer = {
                    let mut state = state.lock().unwrap();
                    state.requests.push(String::from_utf8_lossy(&request).into_owned());
                    state.answer.clone()
                };
                let _ = connection.write_all(answer.as_bytes()).await;
                let _ = connection.shutdown().await;
            }
        });
        server
    }

    fn set(&self, answer: String) {
        self.state.lock().unwrap().answer = answer;
    }

    fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    fn options(&self) -> TokenOptions {
        TokenOptions { jwks: Some(format!("http://{}/keys?q=1", self.address)), ..options() }
    }
}

/// A good answer with these keys.
pub(super) fn keys(keys: &[Value]) -> String {
    answer("200 OK", "", &json!({ "keys": keys }).to_string())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

pub(super) fn named(signer: &Signer, kid: &str) -> Value {
    let mut jwk = signer.jwk();
    jwk["kid"] = kid.into();
    jwk
}

pub(super) fn token(signer: &Signer, kid: &str) -> String {
    signer.token(Algorithm::Es256, json!({"kid": kid}), &claims())
}

/// Lets time pass for everything that measures it, without waiting.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

#[tokio::test]
async fn the_first_token_fetches_it_if_nobody_did_before() {
    let signer = Signer::new(Algorithm::Es256);
    let server = Server::start(keys(&[named(&signer, "one")])).await;
    let auth = TokenAuth::open(server.options()).unwrap();
    assert_eq!(server.requests(), 0);
    for _ in 0..3 {
        assert_eq!(ask(&auth, &token(&signer, "one")).await, Ok(Grant::to("alice")));
    }
    assert_eq!(server.requests(), 1);
    let request = server.state.lock().unwrap().requests[0].to_lowercase();
    assert!(request.starts_with("get /keys?q=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("accept: application/jwk-set+json"), "{request}");
}

#[tokio::test]
async fn an_unknown_key_fetches_it_again_but_not_too_often() {
    let (old, new) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let server = Server::start(keys(&[named(&old, "old")])).await;
    let auth = TokenAuth::open(server.options()).unwrap();
    assert!(ask(&auth, &token(&old, "old")).await.is_ok());
    server.set(keys(&[named(&new, "new")]));
    // Just fetched.
    for _ in 0..5 {
        assert_eq!(refused(&auth, &token(&new, "new")).await.kind, "key");
    }
    assert_eq!(server.requests(), 1);
    pass(JWKS_UNKNOWN_KEY_INTERVAL).await;
    assert!(ask(&auth, &token(&new, "new")).await.is_ok());
    assert_eq!(server.requests(), 2);
    // The old key is gone, with all that was verified with it.
    assert_eq!(refused(&auth, &token(&old, "old")).await.kind, "key");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn many_tokens_with_an_unknown_key_fetch_it_once() {
    let signer = Signer::new(Algorithm::Es256);
    let server = Server::start(keys(&[named(&signer, "one")])).await;
    let auth = Arc::new(TokenAuth::open(server.options()).unwrap());
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let (auth, token) = (Arc::clone(&auth), token(&signer, "one"));
            tokio::spawn(async move { ask(&auth, &token).await })
        })
        .collect();
    for answer in asked {
        assert!(answer.await.unwrap().is_ok());
    }
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_server_that_comes_later() {
    let signer = Signer::new(Algorithm::Es256);
    // A port that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/keys");
    let auth = TokenAuth::open(TokenOptions { jwks: Some(url.clone()), ..options() }).unwrap();
    let refreshing = tokio::spawn(auth.refresh_forever());
    match ask(&auth, &token(&signer, "one")).await {
        Err(Refusal::Unavailable(message)) => assert!(message.contains(&url), "{message}"),
        other => panic!("{other:?}"),
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::on(listener, keys(&[named(&signer, "one")]));
    // It is tried again without anybody asking.
    until("a request", || server.requests() > 0).await;
    for _ in 0..100 {
        if ask(&auth, &token(&signer, "one")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ask(&auth, &token(&signer, "one")).await.is_ok());
    refreshing.abort();
}

#[tokio::test]
async fn it_is_refreshed_now_and_then() {
    let (old, new) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let server = Server::start(keys(&[named(&old, "old")])).await;
    let options = TokenOptions { jwks_refresh: Duration::from_secs(900), ..server.options() };
    let auth = TokenAuth::open(options).unwrap();
    let refreshing = tokio::spawn(auth.refresh_forever());
    until("the first fetch", || server.requests() == 1).await;
    assert!(ask(&auth, &token(&old, "old")).await.is_ok());
    server.set(keys(&[named(&new, "new")]));
    pass(Duration::from_secs(901)).await;
    until("the second fetch", || server.requests() == 2).await;
    for _ in 0..100 {
        if ask(&auth, &token(&old, "old")).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(refused(&auth, &token(&old, "old")).await.kind, "key");
    assert!(ask(&auth, &token(&new, "new")).await.is_ok());
    refreshing.abort();
}

#[tokio::test]
async fn answers_that_are_no_good_keep_the_old_keys() {
    let signer = Signer::new(Algorithm::Es256);
    let good = keys(&[named(&signer, "one")]);
    let server = Server::start(good.clone()).await;
    let auth = TokenAuth::open(server.options()).unwrap();
    assert!(ask(&auth, &token(&signer, "one")).await.is_ok());
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(TOKEN_KEYS_BYTES_MAX));
    let to_itself = format!("Location: http://{}/keys\r\n", server.address);
    for bad in [
        answer("500 Internal Server Error", "", "oh"),
        answer("404 Not Found", "", &json!({"keys": []}).to_string()),
        answer("302 Found", &to_itself, ""),
        answer("302 Found", "Location: file:///etc/passwd\r\n", ""),
        answer("200 OK", "", "<html>"),
        answer("200 OK", "", "{\"keys\":[]}"),
        answer("200 OK", "", &huge),
        "garbage".into(),
        String::new(),
        good[..good.len() - 10].into(),
    ] {
        server.set(bad.clone());
        let before = server.requests();
        pass(JWKS_UNKNOWN_KEY_INTERVAL).await;
        let start = &bad[..bad.len().min(60)];
        assert_eq!(refused(&auth, &token(&signer, "two")).await.kind, "key", "{start}");
        let tried = server.requests() - before;
        assert!((1..=4).contains(&tried), "{tried} requests for {start}");
        assert!(ask(&auth, &token(&signer, "one")).await.is_ok(), "{start}");
    }
    server.set(keys(&[named(&signer, "two")]));
    pass(JWKS_UNKNOWN_KEY_INTERVAL).await;
    assert!(ask(&auth, &token(&signer, "two")).await.is_ok());
}

#[tokio::test]
async fn redirects_are_followed() {
    let signer = Signer::new(Algorithm::Es256);
    let target = Server::start(keys(&[named(&signer, "one")])).await;
    let location = format!("Location: http://{}/there\r\n", target.address);
    let server = Server::start(answer("302 Found", &location, "")).await;
    let auth = TokenAuth::open(server.options()).unwrap();
    assert!(ask(&auth, &token(&signer, "one")).await.is_ok());
}
