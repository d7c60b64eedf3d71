//! Issuer, audience, time and rights.

use serde_json::{Value, json};

use super::signer::Signer;
use super::support::{
    ISSUER, SERVICE, ask, ask_with, claims, claims_with, refused, trusting, unauthorized,
};
use crate::access::{Access, Action};
use crate::asking::Grant;
use crate::token::algorithm::Algorithm;
use crate::token::now_secs;

struct Registry {
    signer: Signer,
    auth: crate::token::TokenAuth,
    _dir: tempfile::TempDir,
}

impl Registry {
    fn new() -> Self {
        let signer = Signer::new(Algorithm::Es256);
        let (dir, auth) = trusting(&signer);
        Self { signer, auth, _dir: dir }
    }

    fn token(&self, claims: &Value) -> String {
        self.signer.token(Algorithm::Es256, json!({"kid": "kid"}), claims)
    }
}

#[tokio::test]
async fn issuer_and_audience() {
    let registry = Registry::new();
    let good =
        [("aud", json!([SERVICE])), ("aud", json!(["other", SERVICE])), ("iss", json!(ISSUER))];
    for (name, value) in good {
        let token = registry.token(&claims_with(name, value));
        assert!(ask(&registry.auth, &token).await.is_ok());
    }
    let bad = [
        ("iss", json!("acme auth server"), "issuer"),
        ("iss", json!(""), "issuer"),
        ("iss", Value::Null, "issuer"),
        ("iss", json!(["Acme auth server"]), "malformed"),
        ("aud", json!("registry.example.co"), "audience"),
        ("aud", json!("x registry.example.com"), "audience"),
        ("aud", json!([]), "audience"),
        ("aud", json!([""]), "audience"),
        ("aud", json!(["other", "Registry.example.com"]), "audience"),
        ("aud", Value::Null, "audience"),
        ("aud", json!(5), "malformed"),
        ("aud", json!([5]), "malformed"),
    ];
    for (name, value, kind) in bad {
        let token = registry.token(&claims_with(name, value.clone()));
        assert_eq!(refused(&registry.auth, &token).await.kind, kind, "{name} {value}");
    }
    let token = registry.token(&claims_with("aud", json!(["other", "third"])));
    let reason = refused(&registry.auth, &token).await.reason;
    assert_eq!(reason, "audience \"other third\" does not contain \"registry.example.com\"");
}

#[tokio::test]
async fn time_with_a_minute_of_leeway() {
    let registry = Registry::new();
    let now = now_secs();
    let cases = [
        ("exp", json!(now + 1), ""),
        ("exp", json!(now - 50), ""),
        ("exp", json!(now as f64 + 0.5), ""),
        ("exp", json!(now - 70), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!(-1), "expired"),
        ("exp", Value::Null, "expired"),
        ("exp", json!(1e300), ""),
        ("exp", json!("tomorrow"), "malformed"),
        ("nbf", json!(now + 50), ""),
        ("nbf", Value::Null, ""),
        ("nbf", json!(0), ""),
        ("nbf", json!(now + 70), "not_yet_valid"),
        ("nbf", json!(u64::MAX), "not_yet_valid"),
    ];
    for (name, value, kind) in cases {
        let token = registry.token(&claims_with(name, value.clone()));
        let answer = ask(&registry.auth, &token).await;
        match kind {
            "" => assert!(answer.is_ok(), "{name} {value}: {answer:?}"),
            kind => assert_eq!(unauthorized(answer).kind, kind, "{name} {value}"),
        }
    }
}

#[tokio::test]
async fn a_token_gives_the_rights_it_names() {
    let registry = Registry::new();
    let entry = |kind: &str, name: &str, actions: &[&str]| json!({"type": kind, "name": name, "actions": actions});
    let pull = Access::repository("a/b", Action::Pull);
    let push = Access::repository("a/b", Action::Push);
    let delete = Access::repository("a/b", Action::Delete);
    let catalog = Access::catalog();
    let repository = |actions: &[&str]| json!([entry("repository", "a/b", actions)]);
    let cases: Vec<(Value, Vec<&Access>, bool)> = vec![
        (repository(&["pull"]), vec![&pull], true),
        (repository(&["pull"]), vec![&pull, &push], false),
        (repository(&["pull", "push"]), vec![&pull, &push], true),
        (repository(&["pull", "push"]), vec![&delete], false),
        (repository(&["*"]), vec![&pull, &push, &delete], true),
        (repository(&["Pull", "pull,push", ""]), vec![&pull], false),
        (json!([entry("repository", "a", &["*"])]), vec![&pull], false),
        (json!([entry("repository", "a/*", &["*"])]), vec![&pull], false),
        (json!([entry("repository", "*", &["*"])]), vec![&pull], false),
        (json!([entry("Repository", "a/b", &["*"])]), vec![&pull], false),
        (json!([entry("registry", "a/b", &["*"])]), vec![&pull], false),
        (json!([entry("registry", "catalog", &["*"])]), vec![&catalog], true),
        (json!([entry("registry", "catalog", &["pull"])]), vec![&catalog], false),
        (json!([entry("repository", "catalog", &["*"])]), vec![&catalog], false),
        // One right here, the other there.
        (
            json!([entry("repository", "a/b", &["pull"]), entry("repository", "a/b", &["push"])]),
            vec![&pull, &push],
            true,
        ),
        (
            json!([{"type": "repository", "class": "plugin", "name": "a/b", "actions": ["pull"]}]),
            vec![&pull],
            true,
        ),
        (json!([{"type": "repository", "name": "a/b"}]), vec![&pull], false),
        (json!([{}]), vec![&pull], false),
        (json!([]), vec![], true),
        (Value::Null, vec![], true),
        (Value::Null, vec![&pull], false),
    ];
    for (access, wanted, good) in cases {
        let header = format!("Bearer {}", registry.token(&claims_with("access", access.clone())));
        let wanted: Vec<_> = wanted.into_iter().cloned().collect();
        let answer = ask_with(&registry.auth, Some(&header), &wanted).await;
        match good {
            true => assert!(answer.is_ok(), "{access} for {wanted:?}: {answer:?}"),
            false => assert_eq!(unauthorized(answer).kind, "scope", "{access} for {wanted:?}"),
        }
    }
    for bad in [json!({}), json!("*"), json!([[]]), json!([{"actions": "pull"}])] {
        let token = registry.token(&claims_with("access", bad));
        assert_eq!(refused(&registry.auth, &token).await.kind, "malformed");
    }
}

#[tokio::test]
async fn a_scope_for_another_repository() {
    let registry = Registry::new();
    let wanted = [Access::repository("a/b", Action::Pull), Access::repository("a/c", Action::Push)];
    let header = format!("Bearer {}", registry.token(&claims()));
    let refused = unauthorized(ask_with(&registry.auth, Some(&header), &wanted).await);
    assert_eq!(refused.kind, "scope");
    assert_eq!(refused.reason, "the token does not grant repository:a/c:push");
}

#[tokio::test]
async fn who_it_is() {
    let registry = Registry::new();
    for (subject, user) in [
        (json!("bob"), Grant::to("bob")),
        (json!(""), Grant::anonymous()),
        (Value::Null, Grant::anonymous()),
    ] {
        let token = registry.token(&claims_with("sub", subject));
        assert_eq!(ask(&registry.auth, &token).await, Ok(user));
    }
}
