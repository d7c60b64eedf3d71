//! Files that change while the server runs.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::testing::{Authority, Client, Files, Pair, logged, options};
use crate::{ReloadOutcome, Server};

async fn served(server: &Server, authority: &Authority) -> CertificateDer<'static> {
    Client::trusting(authority).connect(server).await.unwrap().certificate
}

fn two_pairs() -> (Authority, Pair, Pair) {
    let authority = Authority::new("test");
    let (first, second) = (authority.server("nas.lan"), authority.server("nas.lan"));
    (authority, first, second)
}

#[tokio::test]
async fn a_reload_gives_new_connections_the_new_pair() {
    let (authority, first, second) = two_pairs();
    let files = Files::with(&first);
    let server = Server::load(files.options()).unwrap();
    assert!(matches!(server.reload(), ReloadOutcome::Unchanged));
    assert_eq!(served(&server, &authority).await, first.der());
    files.put("domain.crt", &second.certificate);
    files.put("domain.key", &second.key);
    let (outcome, log) = logged(|| server.reload());
    assert!(matches!(outcome, ReloadOutcome::Reloaded));
    assert!(log.contains("certificates reloaded") && log.contains("domain.crt"), "{log}");
    assert_eq!(served(&server, &authority).await, second.der());
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_pair_and_is_named_once() {
    let (authority, first, second) = two_pairs();
    let files = Files::with(&first);
    let server = Server::load(files.options()).unwrap();
    files.put("domain.crt", &second.certificate[..100]);
    let ((), log) = logged(|| {
        server.look();
        server.look();
        server.look();
    });
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(log.contains("domain.crt") && log.contains("half written"), "{log}");
    assert_eq!(served(&server, &authority).await, first.der());

    // Another version that is broken in the same way is another finding.
    files.put("domain.crt", &second.certificate[..90]);
    let ((), log) = logged(|| server.look());
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");

    let (outcome, log) = logged(|| server.reload());
    let ReloadOutcome::Kept(error) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("domain.crt"), "{error}");
    assert!(log.contains("ERROR"), "who asks is told again: {log}");

    files.put("domain.crt", &first.certificate);
    let ((), log) = logged(|| server.look());
    assert!(log.contains("back as they were"), "{log}");
}

/// Files that can't be used are read at each look, which must not say the same again and again.
#[test]
fn an_expired_certificate_beside_a_broken_file_is_said_once() {
    let authority = Authority::new("test");
    let files = Files::with(&authority.expired("nas.lan"));
    let mut options = files.options();
    options.client_cas = vec![files.put("clients.crt", &authority.pem)];
    let server = Server::load(options).unwrap();
    files.put("clients.crt", "nothing");
    let ((), log) = logged(|| (0..5).for_each(|_| server.look()));
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(log.contains("clients.crt"), "{log}");
}

/// Between the two renames of a tool that replaces certificate and key.
#[tokio::test]
async fn a_pair_that_is_changed_one_by_one_heals() {
    let (authority, first, second) = two_pairs();
    let files = Files::with(&first);
    let server = Server::load(files.options()).unwrap();
    files.put("domain.crt", &second.certificate);
    let ((), log) = logged(|| server.look());
    assert!(log.contains("does not belong to"), "{log}");
    assert_eq!(served(&server, &authority).await, first.der());
    files.put("domain.key", &second.key);
    let ((), log) = logged(|| server.look());
    assert!(log.contains("reloaded") && !log.contains("ERROR"), "{log}");
    assert_eq!(served(&server, &authority).await, second.der());
}

#[test]
fn a_file_that_goes_away_and_comes_back() {
    let (_, first, _) = two_pairs();
    let files = Files::with(&first);
    let server = Server::load(files.options()).unwrap();
    std::fs::remove_file(files.path("domain.key")).unwrap();
    let ((), log) = logged(|| {
        server.look();
        server.look();
    });
    assert_eq!(log.matches("No such file").count(), 1, "{log}");
    files.put("domain.key", &first.key);
    let ((), log) = logged(|| server.look());
    assert!(log.contains("back as they were"), "{log}");
}

/// Looking again at files that didn't change does not read them: a change of the content that no
/// time or inode shows can't be had here, so the contents in memory are changed instead.
#[test]
fn settled_files_are_not_read_again() {
    let (_, first, _) = two_pairs();
    let files = Files::with(&first);
    let server = Server::load(files.options()).unwrap();
    let forget = |settled| {
        let mut loaded = server.loaded.lock().unwrap();
        loaded.version.settled = settled;
        loaded.contents.client_cas.push(("other".into(), Vec::new()));
    };
    let before = server.config();
    forget(true);
    server.look();
    assert!(Arc::ptr_eq(&before, &server.config()), "not read");
    forget(false);
    server.look();
    assert!(!Arc::ptr_eq(&before, &server.config()), "read, and found to differ");
}

/// A scrape of the metrics asks on a worker thread, and files may hang for as long as they like.
#[test]
fn when_the_certificate_expires_is_known_while_the_files_hang() {
    let authority = Authority::new("test");
    let until = |year| {
        authority.sign("nas.lan", |params| params.not_after = rcgen::date_time_ymd(year, 1, 1))
    };
    let files = Files::with(&until(2100));
    let server = Server::load(files.options()).unwrap();
    let expires = || {
        let (sender, receiver) = std::sync::mpsc::channel();
        let server = server.clone();
        std::thread::spawn(move || sender.send(server.expires()));
        receiver.recv_timeout(Duration::from_secs(10)).unwrap()
    };
    let in_year = |seconds| Some(std::time::UNIX_EPOCH + Duration::from_secs(seconds));
    let looking = server.loaded.lock().unwrap();
    assert_eq!(expires(), in_year(4_102_444_800));
    drop(looking);
    let renewed = until(2101);
    files.put("domain.crt", &renewed.certificate);
    files.put("domain.key", &renewed.key);
    assert!(matches!(server.reload(), ReloadOutcome::Reloaded));
    let _looking = server.loaded.lock().unwrap();
    assert_eq!(expires(), in_year(4_133_980_800));
}

/// As Kubernetes mounts a secret: the files are links into `..data`, itself a link that is replaced.
struct Secret(tempfile::TempDir);

impl Secret {
    fn with(pair: &Pair) -> Self {
        let secret = Self(tempfile::tempdir().unwrap());
        secret.swap("first", pair);
        for name in ["domain.crt", "domain.key"] {
            symlink(Path::new("..data").join(name), secret.0.path().join(name)).unwrap();
        }
        secret
    }

    fn swap(&self, version: &str, pair: &Pair) {
        let root = self.0.path();
        let directory = root.join(version);
        if !directory.exists() {
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("domain.crt"), &pair.certificate).unwrap();
            std::fs::write(directory.join("domain.key"), &pair.key).unwrap();
        }
        symlink(version, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_watch_sees_a_swapped_symbolic_link() {
    let (authority, first, second) = two_pairs();
    let secret = Secret::with(&first);
    let server = Server::load(options(secret.0.path())).unwrap();
    let watch = tokio::spawn(server.clone().watch());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(served(&server, &authority).await, first.der());
    secret.swap("second", &second);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(served(&server, &authority).await, second.der());
    secret.swap("first", &first);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(served(&server, &authority).await, first.der());
    watch.abort();
}

const REQUESTS: usize = 1_000;
const AT_ONCE: usize = 16;

/// Nothing fails while certificates are swapped, neither new connections nor one that was there
/// before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_under_a_thousand_requests() {
    let (authority, first, second) = two_pairs();
    let authority = Arc::new(authority);
    let secret = Secret::with(&first);
    let server = Server::load(options(secret.0.path())).unwrap();
    let mut old = connection(&server, &authority).await;

    let done = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (server, done) = (server.clone(), done.clone());
        let pairs = [second.clone(), first.clone()];
        tokio::task::spawn_blocking(move || {
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                let version = ["second", "first"][swaps % 2];
                secret.swap(version, &pairs[swaps % 2]);
                server.look();
                swaps += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            swaps
        })
    };
    let left = Arc::new(AtomicUsize::new(REQUESTS));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (server, authority, left) = (server.clone(), authority.clone(), left.clone());
        clients.spawn(async move {
            let mut seen = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                seen.push(served(&server, &authority).await);
            }
            seen
        });
    }
    let seen = clients.join_all().await.concat();
    done.store(true, Ordering::Relaxed);
    let swaps = swapping.await.unwrap();
    assert_eq!(seen.len(), REQUESTS);
    for pair in [&first, &second] {
        assert!(seen.contains(&pair.der()), "{swaps} swaps and only one pair was seen");
    }
    old.write_all(b"still there?").await.unwrap();
    let mut answer = [0; 12];
    old.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"still there?");
}

/// A connection whose other end sends everything back.
async fn connection(
    server: &Server,
    authority: &Authority,
) -> tokio_rustls::client::TlsStream<tokio::io::DuplexStream> {
    let (near, far) = tokio::io::duplex(4096);
    let accepting = TlsAcceptor::from(server.config()).accept(far);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(accepting.await.unwrap());
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let client = Client::trusting(authority);
    TlsConnector::from(Arc::new(client.config)).connect(client.name, near).await.unwrap()
}
