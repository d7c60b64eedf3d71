//! What the log says, and what it must not say.

use std::io::Write;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

use super::remote::{Server, keys, named, token};
use super::signer::Signer;
use super::support::{ask, claims, options, options_with_keys, write};
use crate::refusal::Refusal;
use crate::token::algorithm::Algorithm;
use crate::token::{TokenAuth, TokenOptions};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything that this thread logs from now on, in as much detail as there is.
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        static EVERY_THREAD_LISTENS: Once = Once::new();
        // Whether anybody listens to an event is settled for the whole process when the event is
        // first met. While there is one subscriber alone, the thread that meets it is asked: a test
        // beside this one that has none would settle that nobody does.
        EVERY_THREAD_LISTENS.call_once(|| {
            tracing::subscriber::set_global_default(subscriber(std::io::sink)).unwrap();
        });
        let log = Self::default();
        let guard = tracing::subscriber::set_default(subscriber(log.clone()));
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn count(&self, part: &str) -> usize {
        self.text().matches(part).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Writes everything there is to `output`.
fn subscriber<W>(output: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(output)
        .finish()
}

#[tokio::test(start_paused = true)]
async fn a_file_s_state_is_logged_once() {
    let (log, _guard) = Log::capture();
    let dir = TempDir::new().unwrap();
    let signer = Signer::new(Algorithm::Es256);
    let auth = TokenAuth::open(options_with_keys(&dir, &[named(&signer, "one")])).unwrap();
    assert_eq!(log.count("keys for tokens"), 1);
    // Operators see what kid a token must have.
    assert!(log.text().contains(&format!("one = {}", signer.thumbprint())), "{}", log.text());
    let good = std::fs::read_to_string(dir.path().join("jwks.json")).unwrap();
    for _ in 0..3 {
        write(&dir, "jwks.json", "{");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(ask(&auth, &token(&signer, "one")).await.is_ok());
    }
    assert_eq!(log.count("file with keys can't be used"), 1);
    write(&dir, "jwks.json", &good);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(ask(&auth, &token(&signer, "one")).await.is_ok());
    }
    assert_eq!(log.count("keys for tokens"), 2);
}

#[tokio::test]
async fn no_secret_in_a_log_or_an_error() {
    let (log, _guard) = Log::capture();
    let mut said = String::new();
    // A key set at a URL with a password, first good, then not.
    let secret = Signer::Secret(b"0123456789abcdef0123456789abcdef".to_vec());
    let mut jwk = secret.jwk();
    jwk["kid"] = "shared".into();
    let server = Server::start(keys(&[jwk.clone(), secret.jwk()])).await;
    let url = format!("http://user:hunter2@{}/keys?secret=hunter2", server.address);
    let auth = TokenAuth::open(TokenOptions { jwks: Some(url), ..options() }).unwrap();
    let header = json!({"kid": "shared"});
    let good = secret.token(Algorithm::Hs256, header.clone(), &claims());
    assert!(ask(&auth, &good).await.is_ok());
    said.push_str(&format!("{auth:?}"));

    let stranger = Signer::new(Algorithm::Es256);
    let parts: Vec<&str> = good.split('.').collect();
    let mut tokens = vec![
        format!("{}.{}.AAAA", parts[0], parts[1]),
        format!("{good}.hunter2"),
        "hunter2".to_owned(),
        stranger.token(Algorithm::Es256, header.clone(), &claims()),
        stranger.token(Algorithm::Es256, json!({"jwk": stranger.jwk()}), &claims()),
    ];
    for claims in [json!({"iss": "x"}), json!({"sub": ["hunter2"]}), json!("hunter2")] {
        tokens.push(secret.token(Algorithm::Hs256, header.clone(), &claims));
    }
    for token in &tokens {
        let refused = ask(&auth, token).await.unwrap_err();
        said.push_str(&format!("{refused} {refused:?}"));
    }

    // And one that was never there.
    let gone = "http://user:hunter2@127.0.0.1:1/?secret=hunter2";
    let auth = TokenAuth::open(TokenOptions { jwks: Some(gone.into()), ..options() }).unwrap();
    let refused = ask(&auth, &good).await.unwrap_err();
    assert!(matches!(refused, Refusal::Unavailable(_)));
    said.push_str(&format!("{refused} {refused:?} {auth:?}"));
    let bad = TokenOptions { jwks: Some("http://user:hunter2@[/".into()), ..options() };
    said.push_str(&format!("{:?} {:?}", bad, TokenAuth::open(bad.clone()).unwrap_err()));

    let text = log.text() + &said;
    assert_eq!(log.count("key set can't be fetched"), 1);
    assert!(text.contains("http://127.0.0.1:1/"), "{text}");
    let shared = jwk["k"].as_str().unwrap();
    for hidden in ["hunter2", "aHVudGVyMg", shared, "0123456789abcdef", &secret.thumbprint()] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    for token in tokens.iter().chain([&good]) {
        for part in token.split('.').filter(|part| part.len() > 10) {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}
