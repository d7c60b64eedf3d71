use super::*;

const LINE: &str = "alice:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";
const PULL: AnonymousRights = AnonymousRights { pull: true, catalog: false };

fn users(text: &str) -> Users {
    Users::parse(text.as_bytes()).unwrap().0
}

fn scope(kind: &str, name: &str, actions: &[&str]) -> Scope {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Scope { kind: kind.into(), name: name.into(), actions }
}

fn body(response: &TokenResponse) -> serde_json::Value {
    serde_json::from_str(&response.body).unwrap()
}

fn token_of(response: &TokenResponse) -> String {
    body(response)["token"].as_str().unwrap().to_owned()
}

fn claims(issuer: &Issuer, user: Option<&User>) -> Claims {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Claims {
        iss: ISSUER.into(),
        aud: issuer.audience.clone(),
        sub: user.map(|user| user.name.to_string()).unwrap_or_default(),
        line: user.map(|user| issuer.fingerprint(user)),
        iat: now,
        exp: now + 300,
        access: vec![Granted {
            kind: "repository".into(),
            name: "a".into(),
            actions: vec!["pull".into()],
        }],
    }
}

#[test]
fn the_answer_is_that_of_the_specification() {
    let issuer = Issuer::new("realm", None);
    let users = users(LINE);
    let scopes = [scope("repository", "a", &["pull", "push"]), scope("x", "y", &["z"])];
    let answer = body(&issuer.issue(users.get("alice").map(|u| &**u), &scopes, PULL).unwrap());
    assert_eq!(answer["token"], answer["access_token"]);
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 300);
    assert_eq!(answer["scope"], "repository:a:pull,push x:y:z");
    let issued_at: jiff::Timestamp = answer["issued_at"].as_str().unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - issued_at.as_second()).abs() < 60);
    assert_eq!(rfc3339(1_400_000_000), "2014-05-13T16:53:20Z");
}

#[test]
fn nobody_gets_what_nobody_may() {
    let issuer = Issuer::new("realm", None);
    let scopes = [
        scope("repository", "a", &["pull", "push", "delete"]),
        scope("repository", "b", &["push"]),
        scope("repository", "c", &["*"]),
        scope("registry", "catalog", &["*"]),
        scope("x", "y", &["pull"]),
    ];
    let granted =
        |anonymous| body(&issuer.issue(None, &scopes, anonymous).unwrap())["scope"].clone();
    assert_eq!(granted(PULL), "repository:a:pull repository:c:pull");
    let all = AnonymousRights { pull: true, catalog: true };
    assert_eq!(granted(all), "repository:a:pull repository:c:pull registry:catalog:*");
}

#[test]
fn replicas_with_one_secret_believe_each_other() {
    let users = users(LINE);
    let alice = users.get("alice").map(|user| &**user);
    let token = |issuer: &Issuer| token_of(&issuer.issue(alice, &[], PULL).unwrap());
    let (one, two) = (Issuer::new("realm", Some(b"s")), Issuer::new("realm", Some(b"s")));
    assert!(two.verify(&token(&one), &users).is_ok());
    for other in [
        Issuer::new("realm", Some(b"t")),
        Issuer::new("another realm", Some(b"s")),
        Issuer::new("realm", None),
    ] {
        assert_eq!(other.verify(&token(&one), &users).unwrap_err(), BadToken);
        assert_eq!(one.verify(&token(&other), &users).unwrap_err(), BadToken);
    }
}

#[test]
fn a_token_ends() {
    let issuer = Issuer::new("realm", None);
    let users = users(LINE);
    let alice = users.get("alice").unwrap();
    let mut claims = claims(&issuer, Some(alice));
    let verified =
        |claims: &Claims| issuer.verify(&token_of(&issuer.sign(claims).unwrap()), &users).is_ok();
    let now = claims.iat;
    assert!(verified(&claims));
    claims.exp = now - ISSUED_LEEWAY.as_secs() + 10;
    claims.iat = claims.exp - 300;
    assert!(verified(&claims), "clocks may differ");
    claims.exp = now - ISSUED_LEEWAY.as_secs() - 10;
    assert!(!verified(&claims));
}

#[test]
fn a_token_that_was_tampered_with_is_none() {
    let issuer = Issuer::new("realm", None);
    let users = users(LINE);
    let alice = users.get("alice").unwrap();
    let good = token_of(&issuer.issue(Some(alice), &[], PULL).unwrap());
    assert!(issuer.verify(&good, &users).is_ok());
    let parts: Vec<_> = good.split('.').collect();
    let nobody = token_of(&issuer.issue(None, &[], PULL).unwrap());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let hs512 = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS512","typ":"JWT"}"#);
    for bad in [
        String::new(),
        "a.b.c".into(),
        good[1..].to_owned(),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{hs512}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], nobody.split('.').nth(1).unwrap(), parts[2]),
        "x".repeat(ISSUED_BYTES_MAX + 1),
    ] {
        assert_eq!(issuer.verify(&bad, &users).unwrap_err(), BadToken, "{bad}");
    }
}

#[test]
fn a_token_needs_its_user_s_line() {
    let issuer = Issuer::new("realm", None);
    let with_alice = users(LINE);
    let alice = with_alice.get("alice").unwrap();
    let token = token_of(&issuer.issue(Some(alice), &[], PULL).unwrap());
    let disabled = users("alice:!$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n");
    for gone in [users(""), users(&LINE.replace("alice", "bob")), disabled] {
        assert!(issuer.verify(&token, &gone).is_err());
    }
    // Signed, but not as it is done here.
    let mut odd = claims(&issuer, Some(alice));
    odd.line = None;
    assert!(issuer.verify(&token_of(&issuer.sign(&odd).unwrap()), &with_alice).is_err());
    let mut odd = claims(&issuer, None);
    odd.line = Some("x".into());
    assert!(issuer.verify(&token_of(&issuer.sign(&odd).unwrap()), &with_alice).is_err());
}

#[test]
fn keys_are_not_printed() {
    let text = format!("{:?}", Issuer::new("realm", Some(b"very secret")));
    assert_eq!(text, "Issuer { audience: \"realm\", .. }");
}
