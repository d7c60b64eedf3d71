use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

pub(crate) fn basic(user: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
}

/// A line for a user, with a hash that is quick to verify.
fn line(user: &str, password: &str) -> String {
    format!("{user}:{}\n", hash::bcrypt_hash(password.as_bytes(), 4).unwrap())
}

struct Home {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Home {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        std::fs::write(&path, text).unwrap();
        Self { _directory: directory, path }
    }

    fn options(&self) -> HtpasswdOptions {
        HtpasswdOptions {
            realm: "Registry \"Realm\"".into(),
            path: self.path.clone(),
            ..HtpasswdOptions::default()
        }
    }

    fn open(&self) -> Htpasswd {
        Htpasswd::open(self.options()).unwrap()
    }

    fn open_anonymous(&self) -> Htpasswd {
        Htpasswd::open(HtpasswdOptions { anonymous_pull: true, ..self.options() }).unwrap()
    }
}

async fn ask(
    htpasswd: &Htpasswd,
    authorization: Option<&HeaderValue>,
    wanted: &[Access],
) -> Result<Grant, Refusal> {
    let url = || "https://registry.example.com".to_owned();
    let address = Some("192.0.2.1".parse().unwrap());
    let asking = Asking { authorization, address, base_url: &url, origin: &url };
    htpasswd.authorize(&asking, wanted).await
}

fn refused(result: Result<Grant, Refusal>) -> (String, &'static str) {
    match result {
        Err(Refusal::Unauthorized(refused)) => {
            (refused.challenge.to_str().unwrap().to_owned(), refused.kind)
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the file is looked at again.
async fn later() {
    tokio::time::advance(Duration::from_millis(1100)).await;
}

fn pull() -> [Access; 1] {
    [Access::repository("a/b", Action::Pull)]
}

fn push() -> [Access; 2] {
    [Access::repository("a/b", Action::Pull), Access::repository("a/b", Action::Push)]
}

#[tokio::test]
async fn a_user_with_the_right_password_may_do_everything() {
    let home = Home::new(&(line("alice", "secret") + &line("bob", "")));
    let htpasswd = home.open();
    for wanted in [&[][..], &pull(), &push(), &[Access::catalog()]] {
        let good = ask(&htpasswd, Some(&basic("alice", "secret")), wanted).await;
        assert_eq!(good, Ok(Grant::to("alice")));
    }
    assert!(!htpasswd.issues_tokens());
}

#[tokio::test]
async fn everybody_else_gets_the_challenge() {
    let home = Home::new(&(line("alice", "secret") + "old:rqXexS6ZhobKA\n"));
    let htpasswd = home.open();
    let challenge = "Basic realm=\"Registry \\\"Realm\\\"\"";
    for (header, kind) in [
        (None, "missing"),
        (Some(HeaderValue::from_static("Bearer x.y.z")), "malformed"),
        (Some(HeaderValue::from_static("Basic !")), "malformed"),
        (Some(basic("alice", "wrong")), "credentials"),
        (Some(basic("alice", "")), "credentials"),
        (Some(basic("Alice", "secret")), "credentials"),
        (Some(basic("nobody", "secret")), "credentials"),
        (Some(basic("old", "secret")), "credentials"),
        (Some(basic("", "")), "credentials"),
    ] {
        let got = refused(ask(&htpasswd, header.as_ref(), &pull()).await);
        assert_eq!(got, (challenge.to_owned(), kind), "{header:?}");
    }
}

#[tokio::test]
async fn an_empty_file_lets_nobody_in() {
    let home = Home::new("# nobody yet\n");
    let got = ask(&home.open(), Some(&basic("alice", "secret")), &[]).await;
    assert_eq!(refused(got).1, "credentials");
}

#[tokio::test(start_paused = true)]
async fn the_file_is_read_again_when_it_changed() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open();
    let alice = basic("alice", "secret");
    assert!(ask(&htpasswd, Some(&alice), &[]).await.is_ok());
    std::fs::write(&home.path, line("bob", "other")).unwrap();
    later().await;
    assert_eq!(refused(ask(&htpasswd, Some(&alice), &[]).await).1, "credentials");
    assert!(ask(&htpasswd, Some(&basic("bob", "other")), &[]).await.is_ok());
    // The same size within the same tick of the clock.
    for n in 0..3 {
        let password = format!("pass{n}");
        std::fs::write(&home.path, line("bob", &password)).unwrap();
        later().await;
        assert!(ask(&htpasswd, Some(&basic("bob", &password)), &[]).await.is_ok(), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kubernetes_volume_is_swapped_by_its_link() {
    let home = Home::new("");
    let volume = home.path.parent().unwrap();
    let revision = |name: &str, text: &str| {
        std::fs::create_dir(volume.join(name)).unwrap();
        std::fs::write(volume.join(name).join("users"), text).unwrap();
        std::os::unix::fs::symlink(name, volume.join("..next")).unwrap();
        std::fs::rename(volume.join("..next"), volume.join("..data")).unwrap();
    };
    revision("..1", &line("alice", "secret"));
    std::os::unix::fs::symlink("..data/users", volume.join("users")).unwrap();
    let options = HtpasswdOptions { path: volume.join("users"), ..home.options() };
    let htpasswd = Htpasswd::open(options).unwrap();
    assert!(ask(&htpasswd, Some(&basic("alice", "secret")), &[]).await.is_ok());
    revision("..2", &line("alice", "another"));
    later().await;
    assert!(ask(&htpasswd, Some(&basic("alice", "secret")), &[]).await.is_err());
    assert!(ask(&htpasswd, Some(&basic("alice", "another")), &[]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_changes_nothing_until_it_is_mended() {
    let home = Home::new(&line("alice", "secret"));
    let htpasswd = home.open();
    let alice = basic("alice", "secret");
    for broken in ["nonsense\n", ":x\n"] {
        std::fs::write(&home.path, broken).unwrap();
        later().await;
        assert!(ask(&htpasswd, Some(&alice), &[]).await.is_ok());
    }
    std::fs::remove_file(&home.path).unwrap();
    later().await;
    assert!(ask(&htpasswd, Some(&alice), &[]).await.is_ok());
    assert!(!home.path.exists(), "only the start makes a file");
    std::fs::create_dir(&home.path).unwrap();
    later().await;
    assert!(ask(&htpasswd, Some(&alice), &[]).await.is_ok());
    std::fs::remove_dir(&home.path).unwrap();
    std::fs::write(&home.path, line("bob", "other")).unwrap();
    later().await;
    assert!(ask(&htpasswd, Some(&alice), &[]).await.is_err());
    assert!(ask(&htpasswd, Some(&basic("bob", "other")), &[]).await.is_ok());
}

#[test]
fn at_the_start_a_broken_file_is_an_error() {
    let error = |path: &Path| {
        let options = HtpasswdOptions { path: path.to_owned(), ..HtpasswdOptions::default() };
        Htpasswd::open(options).unwrap_err().to_string()
    };
    let home = Home::new("alice:x\n\nhunter2\n");
    let text = error(&home.path);
    assert!(text.contains("line 3") && text.contains("htpasswd"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(error(home.path.parent().unwrap()).contains("not a regular file"));
    let large = std::fs::File::create(&home.path).unwrap();
    large.set_len(crate::limits::HTPASSWD_BYTES_MAX + 1).unwrap();
    assert!(error(&home.path).contains("larger than"));
}

#[tokio::test]
async fn a_missing_file_is_made_at_the_start() {
    let home = Home::new("");
    let path = home.path.parent().unwrap().join("new/htpasswd");
    let options = HtpasswdOptions { path: path.clone(), ..home.options() };
    let htpasswd = Htpasswd::open(options).unwrap();
    assert!(path.exists());
    assert!(ask(&htpasswd, Some(&basic("docker", "docker")), &[]).await.is_err());
}

#[test]
fn options_do_not_print_the_key() {
    let token_key = Some(b"very secret".to_vec());
    let text = format!("{:?}", HtpasswdOptions { token_key, ..HtpasswdOptions::default() });
    assert!(!text.contains("key") && !text.contains("118"), "{text}");
}

mod anonymous;
