//! Who asks: passwords, tokens, and who gets to see them.

use std::time::Duration;

use http::HeaderValue;
use proxy::{Asking, Upstream, UpstreamError};

use crate::fake::{Act, Admission, FakeRegistry, basic};
use crate::{
    MANIFEST, OCI_MANIFEST, asking, impatient, name, options, reference, upstream, user,
    with_credentials,
};

async fn registry(admission: Admission) -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    for repository in ["a", "b"] {
        registry.put_manifest(repository, Some("v1"), OCI_MANIFEST, MANIFEST);
    }
    registry.admit(admission);
    registry
}

async fn ask(upstream: &Upstream, repository: &str) -> Result<(), UpstreamError> {
    upstream.resolve(&name(repository), &reference("v1"), &asking()).await.map(|_| ())
}

fn status(result: &Result<(), UpstreamError>) -> Option<u16> {
    result.as_ref().err()?.status().map(|status| status.as_u16())
}

#[tokio::test]
async fn a_password_is_sent_when_it_is_asked_for() {
    let registry = registry(Admission::Basic("u", "pw")).await;
    let upstream = with_credentials(&registry, user("u", "pw"));
    for _ in 0..3 {
        ask(&upstream, "a").await.unwrap();
    }
    let sent: Vec<_> = registry.seen().iter().map(|seen| seen.authorization().is_some()).collect();
    assert_eq!(sent, [false, true, true, true], "once asked for, it is sent at once");
}

#[tokio::test]
async fn a_password_that_is_wrong_is_not_sent_again_and_again() {
    let registry = registry(Admission::Basic("u", "pw")).await;
    let client = with_credentials(&registry, user("u", "other"));
    assert_eq!(status(&ask(&client, "a").await), Some(401));
    assert_eq!(registry.count(""), 2);
    assert_eq!(status(&ask(&client, "a").await), Some(401));
    assert_eq!(registry.count(""), 3);
    let nobody = upstream(&registry);
    assert_eq!(status(&ask(&nobody, "a").await), Some(401));
    assert_eq!(registry.count(""), 4);
}

#[tokio::test]
async fn a_token_is_had_once_for_each_repository() {
    let registry = registry(Admission::tokens_for("u", "pw")).await;
    let upstream = with_credentials(&registry, user("u", "pw"));
    for repository in ["a", "a", "b", "b"] {
        ask(&upstream, repository).await.unwrap();
    }
    assert_eq!(registry.tokens_issued(), 2);
    // One 401: for the second repository it was known what is asked for.
    assert_eq!(registry.count("HEAD "), 5);
    let exchange =
        registry.seen().into_iter().find(|seen| seen.path.starts_with("/token")).unwrap();
    assert_eq!(exchange.path, "/token?service=fake&scope=repository%3Aa%3Apull&account=u");
    assert_eq!(exchange.authorization(), Some(&*basic("u", "pw")));
}

#[tokio::test]
async fn nobody_gets_a_token_too() {
    let registry = registry(Admission::tokens()).await;
    ask(&upstream(&registry), "a").await.unwrap();
    let seen = registry.seen();
    let exchange = seen.iter().find(|seen| seen.path.starts_with("/token")).unwrap();
    assert_eq!(exchange.authorization(), None);
}

#[tokio::test]
async fn many_at_once_have_one_token() {
    let registry = registry(Admission::tokens()).await;
    registry.fail("/token", 1, Act::Pace(1, Duration::from_millis(2)));
    let upstream = upstream(&registry);
    let all = (0..20).map(|_| ask(&upstream, "a"));
    for result in futures_util::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(registry.tokens_issued(), 1);
}

#[tokio::test]
async fn many_at_once_fail_once() {
    let registry = registry(Admission::tokens()).await;
    registry.fail("/token", usize::MAX, Act::Hang);
    let upstream = impatient(&[registry.url()]);
    let started = std::time::Instant::now();
    for result in futures_util::future::join_all((0..20).map(|_| ask(&upstream, "a"))).await {
        assert!(matches!(result, Err(UpstreamError::Unreachable { .. })), "{result:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_when_it_no_longer_counts() {
    let short = Admission::Token { realm: None, to: None, expires_in: Some(1) };
    let registry = registry(short).await;
    let upstream = upstream(&registry);
    ask(&upstream, "a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    registry.revoke_tokens();
    ask(&upstream, "a").await.unwrap();
    assert_eq!((registry.tokens_issued(), registry.count("HEAD ")), (2, 3), "without a 401");

    registry.admit(Admission::tokens());
    tokio::time::sleep(Duration::from_millis(1000)).await;
    ask(&upstream, "a").await.unwrap();
    registry.revoke_tokens();
    ask(&upstream, "a").await.unwrap();
    assert_eq!((registry.tokens_issued(), registry.count("HEAD ")), (4, 6), "with a 401");
}

#[tokio::test]
async fn a_registry_that_takes_no_token_is_asked_twice() {
    let registry = registry(Admission::tokens()).await;
    let upstream = upstream(&registry);
    let challenge = format!("Bearer realm=\"{}/token\",service=\"fake\"", registry.url());
    let headers = vec![("www-authenticate".to_owned(), challenge)];
    registry.fail("HEAD ", usize::MAX, Act::Answer(401, headers, Vec::new()));
    for asked in [2, 4] {
        assert_eq!(status(&ask(&upstream, "a").await), Some(401));
        assert_eq!(registry.count("HEAD "), asked);
    }
}

#[tokio::test]
async fn what_token_services_answer() {
    for (act, expected) in [
        (Act::status(401), Some(401)),
        (Act::status(403), Some(403)),
        (Act::status(429), Some(429)),
        (Act::status(503), Some(503)),
        (Act::status(404), None),
        (Act::redirect("/token"), None),
        (Act::Answer(200, Vec::new(), b"<html>".to_vec()), None),
        (Act::Answer(200, Vec::new(), b"{}".to_vec()), None),
        (Act::Answer(200, Vec::new(), br#"{"token":"a\nb"}"#.to_vec()), None),
        (Act::Answer(200, Vec::new(), vec![b' '; 300 << 10]), None),
    ] {
        let registry = registry(Admission::tokens()).await;
        registry.fail("/token", 1, act.clone());
        let upstream = upstream(&registry);
        let result = ask(&upstream, "a").await;
        match expected {
            Some(_) => assert_eq!(status(&result), expected, "{act:?}"),
            None => assert!(matches!(result, Err(UpstreamError::Invalid { .. })), "{result:?}"),
        }
        ask(&upstream, "a").await.unwrap();
    }
}

#[tokio::test]
async fn a_token_service_elsewhere_gets_no_credentials() {
    let (thief, other) = (FakeRegistry::start().await, FakeRegistry::start().await);
    other.admit(Admission::tokens());
    thief.admit(Admission::tokens());
    // `localhost` is another host than 127.0.0.1.
    let realm = Some(format!("{}/token", thief.url_as_localhost()));
    let registry = registry(Admission::Token { realm, to: None, expires_in: None }).await;
    let upstream = with_credentials(&registry, user("u", "pw"));
    assert_eq!(status(&ask(&upstream, "a").await), Some(401), "its token does not count");
    let seen = thief.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization(), None);
    assert_eq!(seen[0].path, "/token?service=fake&scope=repository%3Aa%3Apull");
}

#[tokio::test]
async fn realms_that_are_not_asked() {
    for realm in ["http://169.254.169.254/token", "http://10.1.2.3/", "ftp://127.0.0.1/", "token"] {
        let realm = Some(realm.to_owned());
        let registry = registry(Admission::Token { realm, to: None, expires_in: None }).await;
        let result = ask(&with_credentials(&registry, user("u", "pw")), "a").await;
        assert!(matches!(result, Err(UpstreamError::Invalid { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_client_s_own_credentials_take_the_place_of_wharf_s() {
    let registry = registry(Admission::tokens_for("client", "own")).await;
    let upstream = with_credentials(&registry, user("u", "pw"));
    let of = |text: &str| Asking {
        authorization: Some(HeaderValue::from_str(text).unwrap()),
        ..Asking::default()
    };
    let ask = |asking: Asking| {
        let upstream = &upstream;
        async move { upstream.resolve(&name("a"), &reference("v1"), &asking).await.map(|_| ()) }
    };
    ask(of(&basic("client", "own"))).await.unwrap();
    assert_eq!(status(&ask(of(&basic("client", "wrong"))).await), Some(401));
    assert_eq!(status(&ask(Asking::default()).await), Some(401), "wharf gets no client's token");
    ask(of(&basic("client", "own"))).await.unwrap();
    assert_eq!(registry.tokens_issued(), 1);

    let before = registry.count("HEAD ");
    assert_eq!(status(&ask(of("Bearer from-elsewhere")).await), Some(401));
    assert_eq!(registry.count("HEAD "), before + 1, "it is sent as it is, once");
    let last = registry.seen().pop().unwrap();
    assert_eq!(last.authorization(), Some("Bearer from-elsewhere"));
}

#[tokio::test]
async fn each_endpoint_has_tokens_of_its_own() {
    let (first, second) =
        (registry(Admission::tokens()).await, registry(Admission::tokens()).await);
    let upstream = Upstream::new(options(&[first.url(), second.url()])).unwrap();
    ask(&upstream, "a").await.unwrap();
    first.fail("HEAD ", 1, Act::status(503));
    ask(&upstream, "a").await.unwrap();
    assert_eq!((first.tokens_issued(), second.tokens_issued()), (1, 1));
}

#[test]
fn nothing_shows_a_password() {
    let options = proxy::UpstreamOptions {
        credentials: user("u", "hunter2"),
        ..options(&["http://a/".to_owned()])
    };
    assert!(!format!("{options:?}").contains("hunter2"));
    let upstream = Upstream::new(options).unwrap();
    assert!(!format!("{upstream:?}").contains("hunter2"));
}
