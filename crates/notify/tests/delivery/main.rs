//! Events on their way to real endpoints.
#![allow(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use notify::{
    Action, Actor, EndpointOptions, Event, Notifier, NotifyError, Options, OutboxBounds,
    OutboxError, RequestRecord, Secret, Source, Target,
};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

mod receiver;
mod trouble;

use receiver::{Behaviour, Receiver};

/// Waits for something that is bound to happen soon.
async fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An event that is told from others by its tag.
fn event(action: Action, tag: &str) -> Event {
    Event {
        action,
        target: Target { tag: tag.to_owned(), ..Target::default() },
        request: RequestRecord::default(),
        actor: Actor::default(),
    }
}

fn push(tag: impl ToString) -> Event {
    event(Action::Push, &tag.to_string())
}

fn endpoint(name: &str, url: impl Into<String>) -> EndpointOptions {
    EndpointOptions {
        name: name.to_owned(),
        url: Secret::new(url),
        // Long enough for a busy machine: a repetition would look like another event.
        timeout: Duration::from_secs(30),
        backoff: Duration::from_millis(10),
        ..EndpointOptions::default()
    }
}

fn options(outbox: Option<&Path>, endpoints: impl Into<Vec<EndpointOptions>>) -> Options {
    let outbox = outbox.map(Path::to_owned);
    Options { endpoints: endpoints.into(), outbox, ..Options::default() }
}

fn metrics_of(notifier: &Notifier) -> String {
    let mut registry = Registry::default();
    notifier.register_metrics(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

/// The value of a metric, if it is there.
fn metric(notifier: &Notifier, name_and_labels: &str) -> Option<u64> {
    let text = metrics_of(notifier);
    let line = text.lines().find_map(|line| line.strip_prefix(name_and_labels))?;
    line.trim().parse().ok()
}

#[tokio::test]
async fn events_arrive_one_by_one_in_order_with_what_is_configured() {
    let receiver = Receiver::start(Behaviour::status("200 OK")).await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://us%40er:p%3Aw@127.0.0.1:{}/hook?x=1", receiver.port);
    let mut options = options(Some(directory.path()), [endpoint("a", url)]);
    options.endpoints[0].headers =
        vec![("X-Token".to_owned(), Secret::new("t1")), ("X-Token".to_owned(), Secret::new("t2"))];
    options.endpoints[0].secret = Some(Secret::new("key"));
    options.source = Source { address: "host:5000".to_owned(), instance_id: "i".to_owned() };
    let notifier = Notifier::open(options).unwrap();
    for n in 0..20 {
        notifier.accept(push(n)).await.unwrap();
    }
    assert_eq!(
        receiver.wait_for_taken(20).await,
        (0..20).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    let first = receiver.received().remove(0);
    assert!(first.head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{}", first.head);
    assert_eq!(
        first.header("content-type"),
        ["application/vnd.docker.distribution.events.v2+json"]
    );
    assert_eq!(first.header("authorization"), ["Basic dXNAZXI6cDp3"]);
    assert_eq!(first.header("x-token"), ["t1", "t2"]);
    let mac = Hmac::<sha2::Sha256>::new_from_slice(b"key").unwrap().chain_update(&first.body);
    let mut expected = "sha256=".to_owned();
    mac.finalize().into_bytes().iter().for_each(|b| write!(expected, "{b:02x}").unwrap());
    assert_eq!(first.header("x-wharf-signature-256"), [expected]);
    assert_eq!(first.event()["source"]["addr"], "host:5000");
    notifier.shutdown(Duration::from_secs(5)).await;
    assert_eq!(receiver.received().len(), 20);
}

#[tokio::test]
async fn what_is_not_delivered_survives_a_restart() {
    let receiver = Receiver::start(Behaviour::Hang).await;
    let directory = tempfile::tempdir().unwrap();
    let open_with = |timeout: Duration| {
        let endpoint = EndpointOptions { timeout, ..endpoint("a", receiver.url()) };
        Notifier::open(options(Some(directory.path()), [endpoint]))
    };
    let open = || open_with(Duration::from_secs(30));
    let notifier = open_with(Duration::from_millis(200)).unwrap();
    for n in 0..5 {
        notifier.accept(push(n)).await.unwrap();
    }
    assert!(matches!(open(), Err(NotifyError::Locked { .. })));
    notifier.shutdown(Duration::from_secs(5)).await;
    let late = notifier.accept(push("late")).await;
    assert!(matches!(late, Err(OutboxError::Closed)), "{late:?}");
    drop(notifier);
    let before = receiver.received();
    receiver.behave(Behaviour::status("204 No Content"));
    let notifier = open().unwrap();
    assert_eq!(receiver.wait_for_taken(5).await, ["0", "1", "2", "3", "4"]);
    let again = &receiver.received()[before.len()];
    assert_eq!(again.event()["id"], before[0].event()["id"], "the same event, not one like it");
    notifier.shutdown(Duration::from_secs(5)).await;
    drop(notifier);
    let notifier = open().unwrap();
    notifier.accept(push("new")).await.unwrap();
    assert_eq!(receiver.wait_for_taken(6).await[5], "new", "nothing is delivered twice");
    notifier.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_the_disk_and_all_arrive() {
    let receiver = Receiver::start(Behaviour::status("200 OK")).await;
    let directory = tempfile::tempdir().unwrap();
    let notifier =
        Notifier::open(options(Some(directory.path()), [endpoint("a", receiver.url())])).unwrap();
    let mut accepting = tokio::task::JoinSet::new();
    for n in 0..200 {
        let notifier = Arc::clone(&notifier);
        accepting.spawn(async move { notifier.accept(push(n)).await });
    }
    while let Some(accepted) = accepting.join_next().await {
        accepted.unwrap().unwrap();
    }
    let mut taken = receiver.wait_for_taken(200).await;
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 200);
    assert_eq!(
        metric(&notifier, r#"registry_notifications_events_total{type="Events",endpoint="a"}"#),
        Some(200)
    );
    assert_eq!(metric(&notifier, r#"registry_notifications_pending_total{endpoint="a"}"#), Some(0));
    notifier.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn in_memory_the_rest_is_delivered_at_the_shutdown() {
    let receiver = Receiver::start(Behaviour::status("500 Oops")).await;
    let notifier = Notifier::open(options(None, [endpoint("a", receiver.url())])).unwrap();
    for n in 0..5 {
        notifier.accept(push(n)).await.unwrap();
    }
    receiver.wait_for(1).await;
    receiver.behave(Behaviour::status("200 OK"));
    notifier.shutdown(Duration::from_secs(20)).await;
    assert_eq!(receiver.taken(), ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn ignored_events_are_not_sent_and_nobody_need_make_them() {
    let receiver = Receiver::start(Behaviour::status("200 OK")).await;
    let mut quiet = endpoint("a", receiver.url());
    quiet.ignored_actions = vec!["pull".to_owned(), "nonsense".to_owned()];
    quiet.ignored_media_types = vec!["application/octet-stream".to_owned()];
    let notifier = Notifier::open(options(None, [quiet])).unwrap();
    assert!(notifier.wants(Action::Push) && !notifier.wants(Action::Pull));
    notifier.offer(event(Action::Pull, "pull"));
    let mut blob = push("blob");
    blob.target.media_type = "application/octet-stream".to_owned();
    notifier.accept(blob).await.unwrap();
    notifier.accept(push("manifest")).await.unwrap();
    notifier.shutdown(Duration::from_secs(20)).await;
    assert_eq!(receiver.taken(), ["manifest"]);
    assert_eq!(
        metric(&notifier, r#"registry_notifications_events_total{type="Events",endpoint="a"}"#),
        Some(1)
    );
}

#[tokio::test]
async fn references_beyond_measure_are_left_out() {
    let receiver = Receiver::start(Behaviour::status("200 OK")).await;
    let mut options = options(None, [endpoint("a", receiver.url())]);
    options.bounds = OutboxBounds { events_max: 10, bytes_max: 1 << 20 };
    let notifier = Notifier::open(options).unwrap();
    let with = |count: usize, tag: &str| {
        let mut event = push(tag);
        event.target.references = vec![notify::Descriptor::default(); count];
        event
    };
    notifier.accept(with(10, "few")).await.unwrap();
    notifier.accept(with(100_000, "many")).await.unwrap();
    receiver.wait_for_taken(2).await;
    let received = receiver.received();
    assert_eq!(received[0].event()["target"]["references"].as_array().unwrap().len(), 10);
    assert!(received[1].event()["target"].get("references").is_none());
    notifier.shutdown(Duration::from_secs(5)).await;
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let log = Log::default();
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || to.clone())
        .finish();
    // The test's runtime has this thread only.
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let receiver = Receiver::start(Behaviour::status("500 Oops")).await;
    let at =
        |port: u16| format!("http://hidden-user:hidden-password@127.0.0.1:{port}/h?t=hidden-query");
    let mut failing = endpoint("failing", at(receiver.port));
    failing.headers = vec![("Authorization".to_owned(), Secret::new("Bearer hidden-token"))];
    failing.secret = Some(Secret::new("hidden-key"));
    failing.threshold = 2;
    let mut unreachable = failing.clone();
    "unreachable".clone_into(&mut unreachable.name);
    unreachable.url = Secret::new(at(1));
    let options = options(None, [failing, unreachable]);
    let mut shown = format!("{options:?}");
    let notifier = Notifier::open(options).unwrap();
    notifier.accept(push(1)).await.unwrap();
    receiver.wait_for(3).await;
    eventually(|| notifier.vars()[1]["Metrics"]["Errors"].as_u64() >= Some(3)).await;
    receiver.behave(Behaviour::status("200 OK"));
    receiver.wait_for_taken(1).await;
    eventually(|| notifier.vars()[0]["Metrics"]["Successes"] == 1).await;
    let vars = notifier.vars();
    assert_eq!(vars[0]["Headers"]["Authorization"][0], "***");
    assert_eq!(vars[0]["url"], format!("http://***@127.0.0.1:{}/h?***", receiver.port));
    notifier.shutdown(Duration::from_millis(100)).await;
    write!(shown, "{notifier:?} {vars} {}", metrics_of(&notifier)).unwrap();
    for url in ["ftp://hidden-user:hidden-password@h/", "hidden-password", "http://"] {
        shown +=
            &Notifier::open(self::options(None, [endpoint("a", url)])).unwrap_err().to_string();
    }
    let mut bad_header = endpoint("a", "http://h/");
    bad_header.headers = vec![("X".to_owned(), Secret::new("hidden\ntoken"))];
    shown += &Notifier::open(self::options(None, [bad_header])).unwrap_err().to_string();
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(!logged.contains("hidden"), "{logged}");
    // What the log is for.
    for (line, count) in [
        ("did not take an event", 2),
        ("waiting between tries from now on", 2),
        ("takes events again", 1),
    ] {
        assert_eq!(logged.matches(line).count(), count, "{line}: {logged}");
    }
}
