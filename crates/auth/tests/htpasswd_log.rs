//! No password, hash, token or key gets into a log, an error or a Debug form.
#![allow(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth::htpasswd::{Htpasswd, HtpasswdOptions};
use auth::issuer::TokenRequest;
use auth::{Access, Action, Asking};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
}

/// Asks, and gives back all that can be said about the answer.
async fn ask(htpasswd: &Htpasswd, authorization: &HeaderValue) -> String {
    let url = || "https://registry.example.com".to_owned();
    let authorization = Some(authorization);
    let asking = Asking { authorization, address: None, base_url: &url, origin: &url };
    let push = [Access::repository("a", Action::Push)];
    let answer = htpasswd.authorize(&asking, &push).await;
    let shown = answer.as_ref().map_or_else(ToString::to_string, |grant| format!("{grant:?}"));
    format!("{shown} {answer:?}")
}

async fn order(htpasswd: &Htpasswd, form: Option<&str>, authorization: &HeaderValue) -> String {
    let request = TokenRequest {
        query: "scope=repository:a:push",
        form,
        authorization: Some(authorization),
        address: None,
    };
    let answer = htpasswd.token(request).await;
    let shown = answer.as_ref().map_or_else(ToString::to_string, |token| token.body.clone());
    format!("{shown}\n{answer:?}")
}

/// One test: the log is that of the whole process.
#[tokio::test]
async fn secrets_stay_secret() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    first_run(&log).await;

    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("htpasswd");
    let hash = bcrypt::hash("hunter2", 4).unwrap();
    let lines = format!(
        "alice:{hash}\nplain:plainpassword\nplain:again-plain\nold:$apr1$salt$apr1hashapr1hash\n\
         dear:$2y$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"
    );
    std::fs::write(&path, &lines).unwrap();
    let options = HtpasswdOptions {
        realm: "realm".into(),
        path: path.clone(),
        anonymous_pull: true,
        token_key: Some(b"tokenkeytokenkey".to_vec()),
        ..HtpasswdOptions::default()
    };
    let mut said = format!("{options:?}\n");
    let htpasswd = Htpasswd::open(options.clone()).unwrap();
    let warned = log.take();
    for (line, user) in [(2, "plain"), (3, "plain"), (4, "old"), (5, "dear")] {
        assert!(warned.contains(&format!("line={line} user=\"{user}\"")), "{warned}");
    }
    said.push_str(&warned);

    // Right, wrong, in the place of the name, and not even that.
    let good = ask(&htpasswd, &basic("alice", "hunter2")).await;
    assert!(good.contains("alice"), "{good}");
    said.push_str(&good);
    for header in [
        basic("alice", "wrongpassword"),
        basic("misplacedpassword", "x"),
        basic("plain", "plainpassword"),
        HeaderValue::from_static("Basic bWFsZm9ybWVkc2VjcmV0"),
        HeaderValue::from_static("Bearer bearersecret"),
    ] {
        said.push_str(&ask(&htpasswd, &header).await);
        said.push_str(&order(&htpasswd, None, &header).await);
    }
    for form in [
        "grant_type=password&username=alice&password=wrongformpassword",
        "password=wrongformpassword",
    ] {
        said.push_str(&order(&htpasswd, Some(form), &basic("a", "b")).await);
    }
    // The answer's body is the only place for a token.
    let answer = order(&htpasswd, None, &basic("alice", "hunter2")).await;
    let (body, debug) = answer.rsplit_once('\n').unwrap();
    let token = serde_json::from_str::<serde_json::Value>(body).unwrap()["token"].clone();
    let token = token.as_str().unwrap();
    said.push_str(debug);
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    said.push_str(&ask(&htpasswd, &bearer).await);

    // A new file, a broken one, and a broken one at the start.
    std::fs::write(&path, format!("{lines}brokenlinesecret\n")).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    said.push_str(&ask(&htpasswd, &bearer).await);
    let error = Htpasswd::open(options).unwrap_err();
    said.push_str(&format!("{error} {error:?} {htpasswd:?}"));
    let logged = log.take();
    assert!(logged.contains("line 6"), "{logged}");
    assert!(logged.contains("login failed user=\"alice\""), "{logged}");
    assert!(logged.contains("login failed user=\"(unknown)\""), "{logged}");
    said.push_str(&logged);

    let salt_and_hash = &hash[7..];
    for secret in [
        "hunter2",
        salt_and_hash,
        "plainpassword",
        "again-plain",
        "apr1hash",
        "abcdefghijklmnopqrstuu",
        "wrongpassword",
        "wrongformpassword",
        "misplacedpassword",
        "malformedsecret",
        "bWFsZm9ybWVk",
        "bearersecret",
        "brokenlinesecret",
        "tokenkeytokenkey",
        token,
    ] {
        assert!(!said.contains(secret), "{secret} is in: {said}");
    }
    assert!(!said.contains(&STANDARD.encode("alice:hunter2")));
}

/// The documented exception: the password that was made up is logged, once.
async fn first_run(log: &Log) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("htpasswd");
    let options =
        HtpasswdOptions { realm: "r".into(), path: path.clone(), ..HtpasswdOptions::default() };
    let htpasswd = Htpasswd::open(options.clone()).unwrap();
    let logged = log.take();
    assert!(logged.contains("WARN"), "{logged}");
    assert!(logged.contains("htpasswd is missing, provisioning with default user"), "{logged}");
    assert!(logged.contains("user=\"docker\""), "{logged}");
    let password = logged.split("password=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(password.len(), 43);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!logged.contains(text.trim().split(':').nth(1).unwrap()));
    assert!(ask(&htpasswd, &basic("docker", password)).await.contains("docker"));
    Htpasswd::open(options).unwrap();
    let later = log.take();
    assert!(!later.contains(password) && !later.contains("provisioning"), "{later}");
}
