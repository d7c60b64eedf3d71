//! Endpoints and disks that do not do what they should.

use super::*;

const SUCCESSES: &str = r#"registry_notifications_events_total{type="Successes",endpoint="a"}"#;
const FAILURES: &str = r#"registry_notifications_events_total{type="Failures",endpoint="a"}"#;
const ERRORS: &str = r#"registry_notifications_events_total{type="Errors",endpoint="a"}"#;
const PENDING: &str = r#"registry_notifications_pending_total{endpoint="a"}"#;

#[tokio::test]
async fn an_endpoint_that_fails_gets_everything_when_it_recovers() {
    let receiver = Receiver::start(Behaviour::status("503 Gone Fishing")).await;
    let notifier = Notifier::open(options(None, [endpoint("a", receiver.url())])).unwrap();
    for n in 0..3 {
        notifier.accept(push(n)).await.unwrap();
    }
    let tries = receiver.wait_for(15).await;
    assert!(tries.iter().all(|r| r.tag() == "0"), "the order is kept");
    assert!(
        tries.iter().all(|r| r.body == tries[0].body),
        "a repetition is byte for byte the same"
    );
    assert_eq!(metric(&notifier, PENDING), Some(3));
    receiver.behave(Behaviour::status("202 Accepted"));
    assert_eq!(receiver.wait_for_taken(3).await, ["0", "1", "2"]);
    eventually(|| metric(&notifier, SUCCESSES) == Some(3)).await;
    let tries = receiver.received().len() as u64;
    assert_eq!(metric(&notifier, FAILURES), Some(tries - 3));
    let status = |code: &str| {
        format!(r#"registry_notifications_status_total{{code="{code}",endpoint="a"}}"#)
    };
    assert_eq!(metric(&notifier, &status("503 Service Unavailable")), Some(tries - 3));
    assert_eq!(metric(&notifier, &status("202 Accepted")), Some(3));
    assert_eq!(notifier.vars()[0]["Metrics"]["Statuses"]["202 Accepted"], 3);
    notifier.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_nobody() {
    let hanging = Receiver::start(Behaviour::Hang).await;
    let working = Receiver::start(Behaviour::status("200 OK")).await;
    let mut slow = endpoint("a", hanging.url());
    slow.timeout = Duration::from_millis(500);
    let endpoints = [slow, endpoint("b", working.url())];
    let directory = tempfile::tempdir().unwrap();
    let notifier = Notifier::open(options(Some(directory.path()), endpoints)).unwrap();
    let started = Instant::now();
    for n in 0..50 {
        notifier.accept(push(n)).await.unwrap();
    }
    working.wait_for_taken(50).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(hanging.received().len() <= 1 + started.elapsed().as_millis() as usize / 500);
    eventually(|| metric(&notifier, ERRORS) >= Some(1)).await;
    hanging.behave(Behaviour::status("200 OK"));
    hanging.wait_for_taken(50).await;
    assert_eq!(working.received().len(), 50);
    notifier.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn garbage_is_a_failure_however_it_looks() {
    let endless =
        format!("HTTP/1.1 500 x\r\nContent-Length: 100000000\r\n\r\n{}", "x".repeat(100_000));
    for answer in [
        "garbage\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        "\0".repeat(5000),
        format!("XTTP/9 {}", "x".repeat(1_000_000)),
        endless,
        "HTTP/1.1 500 x\r\nX: \u{1}\r\n\r\n".to_owned(),
    ] {
        let receiver = Receiver::start(Behaviour::Answer(answer.clone())).await;
        let notifier = Notifier::open(options(None, [endpoint("a", receiver.url())])).unwrap();
        notifier.accept(push("x")).await.unwrap();
        receiver.wait_for(2).await;
        eventually(|| {
            metric(&notifier, ERRORS).unwrap_or(0) + metric(&notifier, FAILURES).unwrap_or(0) >= 2
        })
        .await;
        assert_eq!(metric(&notifier, SUCCESSES), None);
        receiver.behave(Behaviour::status("200 OK"));
        assert_eq!(receiver.wait_for_taken(1).await, ["x"]);
        notifier.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn after_threshold_failures_there_is_a_pause_between_tries() {
    let receiver = Receiver::start(Behaviour::status("500 Oops")).await;
    let mut patient = endpoint("a", receiver.url());
    patient.threshold = 3;
    patient.backoff = Duration::from_millis(600);
    let notifier = Notifier::open(options(None, [patient])).unwrap();
    let started = Instant::now();
    notifier.accept(push("x")).await.unwrap();
    receiver.wait_for(4).await;
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
    let tries = receiver.received().len();
    receiver.behave(Behaviour::status("200 OK"));
    receiver.wait_for_taken(1).await;
    assert!(receiver.received().len() <= tries + 2);
    notifier.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn redirects_are_followed_without_giving_credentials_away() {
    let elsewhere = Receiver::start(Behaviour::status("200 OK")).await;
    let receiver =
        Receiver::start(Behaviour::redirect("307 Temporary Redirect", &elsewhere.url())).await;
    let url = receiver.url().replace("//", "//user:password@");
    let mut endpoint = endpoint("a", url);
    endpoint.headers = vec![("X-Token".to_owned(), Secret::new("t"))];
    let notifier = Notifier::open(options(None, [endpoint])).unwrap();
    notifier.accept(push("x")).await.unwrap();
    elsewhere.wait_for_taken(1).await;
    let (first, second) = (&receiver.received()[0], &elsewhere.received()[0]);
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("x-token"), ["t"]);
    assert_eq!(first.header("authorization").len(), 1);
    assert!(second.header("x-token").is_empty() && second.header("authorization").is_empty());
    assert_eq!(
        second.header("content-type"),
        ["application/vnd.docker.distribution.events.v2+json"]
    );
    // Round and round is a failure.
    receiver.behave(Behaviour::redirect("301 Moved Permanently", "/hook"));
    notifier.accept(push("y")).await.unwrap();
    receiver.wait_for(11).await;
    eventually(|| metric(&notifier, ERRORS) >= Some(1)).await;
    // Other answers of the 300s are a yes.
    receiver.behave(Behaviour::status("304 Not Modified"));
    receiver.wait_for_taken(1).await;
    notifier.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn pulls_beyond_the_queue_are_dropped_and_counted() {
    let receiver = Receiver::start(Behaviour::status("200 OK")).await;
    let notifier = Notifier::open(options(None, [endpoint("a", receiver.url())])).unwrap();
    // The writer has no turn meanwhile: there is one thread.
    let count = notify::limits::OFFER_QUEUE_EVENTS + 10;
    for n in 0..count {
        notifier.offer(event(Action::Pull, &n.to_string()));
    }
    let dropped = r#"registry_notifications_dropped_total{endpoint="a",reason="queue_full"}"#;
    assert_eq!(metric(&notifier, dropped), Some(10));
    // A push comes through all the same.
    notifier.accept(push("push")).await.unwrap();
    notifier.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_full_outbox_drops_the_oldest_and_counts_them() {
    let receiver = Receiver::start(Behaviour::Hang).await;
    let mut options = options(None, [endpoint("a", receiver.url())]);
    options.bounds.events_max = 8;
    options.endpoints[0].timeout = Duration::from_millis(1500);
    let notifier = Notifier::open(options).unwrap();
    for n in 0..50 {
        notifier.accept(push(n)).await.unwrap();
    }
    let full = r#"registry_notifications_dropped_total{endpoint="a",reason="outbox_full"}"#;
    let dropped = metric(&notifier, full).unwrap();
    let pending = metric(&notifier, PENDING).unwrap();
    assert_eq!(dropped + pending, 50);
    assert!(pending <= 9);
    receiver.behave(Behaviour::status("200 OK"));
    let pending = usize::try_from(pending).unwrap();
    let taken = receiver.wait_for_taken(pending).await;
    assert_eq!(taken.last().unwrap(), "49");
    notifier.shutdown(Duration::from_secs(5)).await;
    assert_eq!(receiver.taken().len(), pending);
}

#[tokio::test]
async fn an_outbox_that_can_not_be_written_is_an_error_at_once_and_recovers() {
    let receiver = Receiver::start(Behaviour::status("200 OK")).await;
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("outbox"), directory.path().join("moved"));
    let notifier = Notifier::open(options(Some(&path), [endpoint("a", receiver.url())])).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    for n in 0..2 {
        let lost = notifier.accept(push(n)).await;
        assert!(matches!(lost, Err(OutboxError::Write { .. })), "{lost:?}");
    }
    let failed = r#"registry_notifications_dropped_total{endpoint="a",reason="outbox_failed"}"#;
    assert_eq!(metric(&notifier, failed), Some(2));
    std::fs::rename(&moved, &path).unwrap();
    notifier.accept(push("later")).await.unwrap();
    assert_eq!(receiver.wait_for_taken(1).await, ["later"]);
    notifier.shutdown(Duration::from_secs(5)).await;
}
