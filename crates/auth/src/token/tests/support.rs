//! A registry's side: settings, and questions to [`TokenAuth`].

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::Signer;
use crate::access::{Access, Action};
use crate::asking::{Asking, Grant};
use crate::refusal::{Refusal, Unauthorized};
use crate::token::{TokenAuth, TokenOptions, now_secs};

/// What the tokens of these tests are for.
pub(super) const SERVICE: &str = "registry.example.com";
pub(super) const ISSUER: &str = "Acme auth server";

/// Settings without keys.
pub(super) fn options() -> TokenOptions {
    TokenOptions {
        realm: "https://auth.example.com/token".into(),
        service: SERVICE.into(),
        issuer: ISSUER.into(),
        root_cert_bundle: None,
        jwks: None,
        jwks_refresh: Duration::from_secs(3600),
        auto_redirect: false,
        auto_redirect_path: "/auth/token".into(),
        signing_algorithms: Vec::new(),
    }
}

/// Settings with a file of these JSON Web Keys.
pub(super) fn options_with_keys(dir: &TempDir, keys: &[Value]) -> TokenOptions {
    let path = write(dir, "jwks.json", &json!({ "keys": keys }).to_string());
    TokenOptions { jwks: Some(path.to_str().unwrap().into()), ..options() }
}

/// Settings with a bundle.
pub(super) fn options_with_bundle(dir: &TempDir, pem: &str) -> TokenOptions {
    TokenOptions { root_cert_bundle: Some(write(dir, "bundle.pem", pem)), ..options() }
}

/// Writes a file in one step, as careful tools do.
pub(super) fn write(dir: &TempDir, name: &str, content: &str) -> PathBuf {
    let (path, draft) = (dir.path().join(name), dir.path().join("draft"));
    std::fs::write(&draft, content).unwrap();
    std::fs::rename(draft, &path).unwrap();
    path
}

/// A key and a [`TokenAuth`] that trusts it under the name `kid`.
pub(super) fn trusting(signer: &Signer) -> (TempDir, TokenAuth) {
    let dir = TempDir::new().unwrap();
    let mut jwk = signer.jwk();
    jwk["kid"] = "kid".into();
    let auth = TokenAuth::open(options_with_keys(&dir, &[jwk])).unwrap();
    (dir, auth)
}

/// Claims with which all is well.
pub(super) fn claims() -> Value {
    let now = now_secs();
    json!({
        "iss": ISSUER, "sub": "alice", "aud": SERVICE, "exp": now + 300, "nbf": now, "iat": now,
        "jti": "1", "access": [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}],
    })
}

/// [`claims`] with one of them changed; null takes it away.
pub(super) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    if claims[name].is_null() {
        claims.as_object_mut().unwrap().shift_remove(name);
    }
    claims
}

/// The right to read `a/b`.
pub(super) fn pull() -> Vec<Access> {
    vec![Access::repository("a/b", Action::Pull)]
}

/// What comes of an `Authorization` header.
pub(super) async fn ask_with(
    auth: &TokenAuth,
    header: Option<&str>,
    wanted: &[Access],
) -> Result<Grant, Refusal> {
    let header = header.map(|header| HeaderValue::from_str(header).unwrap());
    let origin = || "http://registry.test:5000".to_owned();
    let asking = Asking {
        authorization: header.as_ref(),
        address: None,
        base_url: &origin,
        origin: &origin,
    };
    auth.authorize(&asking, wanted).await
}

/// What comes of a token that wants to read `a/b`.
pub(super) async fn ask(auth: &TokenAuth, token: &str) -> Result<Grant, Refusal> {
    ask_with(auth, Some(&format!("Bearer {token}")), &pull()).await
}

/// Why a token was refused.
pub(super) async fn refused(auth: &TokenAuth, token: &str) -> Unauthorized {
    unauthorized(ask(auth, token).await)
}

/// The refusal in an answer.
pub(super) fn unauthorized(answer: Result<Grant, Refusal>) -> Unauthorized {
    match answer {
        Err(Refusal::Unauthorized(refused)) => *refused,
        other => panic!("{other:?}"),
    }
}
