//! What is no token.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderValue;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::json;

use super::signer::{Signer, signed_part};
use super::support::{claims, pull, refused, trusting, unauthorized};
use crate::asking::Asking;
use crate::limits::TOKEN_BYTES_MAX;
use crate::token::algorithm::Algorithm;
use crate::token::fuzzing;

#[tokio::test]
async fn garbage() {
    let signer = Signer::new(Algorithm::Es256);
    let (_dir, auth) = trusting(&signer);
    let good = signer.token(Algorithm::Es256, json!({"kid": "kid"}), &claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let sign = |header: &str| {
        let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
        let signature = signer.sign(Algorithm::Es256, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let padded = |text: &str| URL_SAFE.encode(URL_SAFE_NO_PAD.decode(text).unwrap());
    let mut cases = vec![
        ".".to_owned(),
        "..".into(),
        "...".into(),
        signed.into(),
        format!("{good}.x"),
        format!("{good}."),
        format!("{header}.{payload}.{signature}="),
        format!("{}.{payload}.{signature}", padded(header) + "="),
        format!("{header}.*.{signature}"),
        format!("{}.{payload}.{signature}", STANDARD.encode("{\"alg\":\"???>>>\"}")),
        // The JSON form of a signature.
        json!({"payload": payload, "protected": header, "signature": signature}).to_string(),
        sign("{}"),
        sign("[]"),
        sign("null"),
        sign("{\"alg\":1}"),
        sign("{\"alg\":null}"),
        sign("{\"alg\":\"ES256\",\"kid\":1}"),
        sign("{\"alg\":\"ES256\",\"kid\":\"kid\",\"kid\":\"kid\"}"),
        sign("{\"alg\":\"none\",\"kid\":\"kid\",\"alg\":\"ES256\"}"),
        sign("{\"alg\":\"ES256\",\"kid\":\"kid\",\"crit\":[\"exp\"]}"),
        sign("{\"alg\":\"ES256\",\"kid\":\"kid\",\"crit\":[\"b64\"],\"b64\":false}"),
        sign("{\"alg\":\"ES256\",\"kid\":\"kid\",\"jwk\":7}"),
        sign("{\"alg\":\"ES256\",\"kid\":\"kid\"} x"),
        sign(&"[".repeat(10_000)),
        "x".repeat(TOKEN_BYTES_MAX + 1),
        sign(&format!("{{\"alg\":\"ES256\",\"kid\":\"{}\"}}", "k".repeat(TOKEN_BYTES_MAX))),
    ];
    // Claims that are signed well and are no claims.
    for claims in [json!(null), json!([]), json!("x"), json!({"sub": 1})] {
        cases.push(signer.token(Algorithm::Es256, json!({"kid": "kid"}), &claims));
    }
    for token in cases {
        let refused = refused(&auth, &token).await;
        let shown = &token[..token.len().min(200)];
        assert_eq!(refused.kind, "malformed", "{shown}: {refused:?}");
        assert!(refused.reason.len() < 300, "{refused:?}");
    }
    // What is long but not too long is read.
    let long = json!({"kid": "kid", "pad": "p".repeat(40_000)});
    let token = signer.token(Algorithm::Es256, long, &claims());
    assert!(super::support::ask(&auth, &token).await.is_ok());
}

#[tokio::test]
async fn a_header_that_is_no_text() {
    let (_dir, auth) = trusting(&Signer::new(Algorithm::Es256));
    let header = HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    let origin = String::new;
    let asking =
        Asking { authorization: Some(&header), address: None, base_url: &origin, origin: &origin };
    let refused = unauthorized(auth.authorize(&asking, &pull()).await);
    assert_eq!(refused.kind, "malformed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_makes_it_panic(header in ".{0,200}", claims in ".{0,200}", bytes in any::<Vec<u8>>()) {
        let _ = fuzzing::token(&header);
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let _ = fuzzing::token(&format!("{}.{}.{}", part(&header), part(&claims), part("x")));
        let named = signed_part(&json!({"alg": header, "kid": claims, "x5c": [claims]}), &json!({"aud": header}));
        assert!(fuzzing::token(&format!("{named}.AA")));
        let _ = fuzzing::key_set(&bytes);
        let _ = fuzzing::bundle(&bytes);
    }
}
