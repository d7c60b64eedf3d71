//! A Redis that is not there, goes away, or does not answer.

use std::time::{Duration, Instant};

use redis_cache::limits::{CONNECT_TIMEOUT, FAILURES_MAX, PAUSE, RESPONSE_TIMEOUT};
use redis_cache::{Options, RedisCache};
use registry::descriptors::{DescriptorCache as _, Gone};

use crate::process::server;
use crate::{cache, digest, known, name, remember, stat};

/// How long to wait for what must happen; half of it is the longest pause.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_restart_between_two_questions_goes_unnoticed() {
    let mut server = server!();
    let a = cache(&server);
    remember(&a, "one", "layer").await;
    server.kill();
    server.restart();
    remember(&a, "one", "layer").await;
    assert_eq!(known(&a, "one", "layer").await, Some(stat("layer")));
    assert_eq!(a.stats().errors, 0);
}

#[tokio::test]
async fn a_server_that_is_gone_is_asked_no_more_until_it_is_back() {
    let mut server = server!();
    let a = cache(&server);
    remember(&a, "one", "layer").await;
    server.kill();
    for _ in 0..FAILURES_MAX + 10 {
        assert_eq!(known(&a, "one", "layer").await, None);
    }
    assert_eq!(a.stats().errors, u64::from(FAILURES_MAX), "the last ten were not sent");
    assert!(!a.stats().is_available);
    server.restart();
    let started = Instant::now();
    while a.ticket(&name("one")).await.is_none() {
        assert!(started.elapsed() < SOON, "it is back and not asked");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() + Duration::from_millis(500) > PAUSE, "it is asked all the time");
    assert!(a.stats().is_available);
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let server = server!();
    let a = cache(&server);
    remember(&a, "one", "layer").await;
    server.signal("-STOP");
    let started = Instant::now();
    assert_eq!(known(&a, "one", "layer").await, None);
    let took = started.elapsed();
    assert!(took >= RESPONSE_TIMEOUT && took < RESPONSE_TIMEOUT * 3, "{took:?}");
    // A new connection is taken by the kernel, and not answered either.
    let started = Instant::now();
    assert_eq!(known(&a, "one", "layer").await, None);
    assert!(started.elapsed() < (CONNECT_TIMEOUT + RESPONSE_TIMEOUT) * 2);
    server.signal("-CONT");
    assert_eq!(known(&a, "one", "layer").await, Some(stat("layer")));
}

#[tokio::test]
async fn what_could_not_be_revoked_is_not_believed_and_is_revoked_later() {
    let server = server!();
    let (a, b) = (cache(&server), cache(&server));
    for repository in ["one", "two"] {
        remember(&a, repository, "layer").await;
    }
    // Reading works, and what a revocation needs does not.
    server.cli(&["ACL", "SETUSER", "default", "-evalsha", "-eval"]);
    a.revoke(&name("one"), &[digest("layer")], Gone::FromRepository).await;
    assert_eq!(known(&b, "one", "layer").await, Some(stat("layer")), "the entry is there");
    assert_eq!(known(&a, "one", "layer").await, None, "and A does not believe it");
    assert_eq!(known(&a, "two", "layer").await, Some(stat("layer")));
    server.cli(&["ACL", "SETUSER", "default", "+@all"]);
    // Others don't see it for long then, though nobody asks A.
    let started = Instant::now();
    while known(&b, "one", "layer").await.is_some() {
        assert!(started.elapsed() < SOON, "it was never revoked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // From then on everything is as before.
    remember(&a, "one", "layer").await;
    assert_eq!(known(&a, "one", "layer").await, Some(stat("layer")));
}

#[tokio::test]
async fn revocations_of_an_outage_are_sent_when_it_is_over() {
    let server = server!();
    let (a, b) = (cache(&server), cache(&server));
    for repository in ["one", "two"] {
        remember(&a, repository, "layer").await;
    }
    server.signal("-STOP");
    while a.stats().is_available {
        assert_eq!(known(&a, "two", "layer").await, None);
    }
    a.revoke(&name("one"), &[digest("layer")], Gone::FromRepository).await;
    server.signal("-CONT");
    let started = Instant::now();
    while known(&b, "one", "layer").await.is_some() {
        assert!(started.elapsed() < SOON, "it was never revoked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(known(&b, "two", "layer").await, Some(stat("layer")));
}

#[tokio::test]
async fn nobody_there_at_the_start() {
    let mut server = server!();
    server.kill();
    let a = RedisCache::open(Options::new(vec![server.address()])).unwrap();
    a.check().await;
    assert!(!a.stats().is_available);
    assert_eq!(known(&a, "one", "layer").await, None);
    assert_eq!(a.stats().errors, 0, "it is left alone");
}
