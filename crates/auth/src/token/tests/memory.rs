//! Tokens that were verified a moment ago.

use std::sync::Arc;

use serde_json::json;

use super::signer::Signer;
use super::support::{ask, claims, claims_with, refused, trusting};
use crate::limits::TOKENS_REMEMBERED_BYTES_MAX;
use crate::token::algorithm::Algorithm;
use crate::token::claims::Claims;
use crate::token::now_secs;
use crate::token::remembered::Remembered;

fn parsed(exp: u64) -> Arc<Claims> {
    Arc::new(Claims::parse(json!({ "exp": exp }).to_string().as_bytes()).unwrap())
}

#[test]
fn for_a_minute_or_until_they_expire_or_keys_change() {
    let remembered = Remembered::new();
    remembered.insert("long", &parsed(10_000), 1, 1000);
    assert!(remembered.get("long", 1, 1060).is_some());
    assert!(remembered.get("long", 1, 1061).is_none());
    assert!(remembered.get("long", 2, 1000).is_none());
    assert!(remembered.get("lon", 1, 1000).is_none());
    // The leeway is over at 1010.
    remembered.insert("short", &parsed(950), 1, 1000);
    assert!(remembered.get("short", 1, 1010).is_some());
    assert!(remembered.get("short", 1, 1011).is_none());
}

#[test]
fn not_more_than_there_is_room_for() {
    let remembered = Remembered::new();
    let pad = "x".repeat(16 << 10);
    let count = 4 * TOKENS_REMEMBERED_BYTES_MAX as usize / pad.len();
    for index in 0..count {
        remembered.insert(&format!("{index}{pad}"), &parsed(10_000), 1, 1000);
    }
    let kept =
        (0..count).filter(|index| remembered.get(&format!("{index}{pad}"), 1, 1000).is_some());
    let kept = kept.count();
    assert!(kept > 100 && kept <= TOKENS_REMEMBERED_BYTES_MAX as usize / pad.len(), "{kept}");
}

#[tokio::test]
async fn a_token_that_was_refused_stays_refused() {
    let signer = Signer::new(Algorithm::Es256);
    let (_dir, auth) = trusting(&signer);
    let token = |claims| signer.token(Algorithm::Es256, json!({"kid": "kid"}), &claims);
    let bad = token(claims_with("exp", json!(now_secs() - 100)));
    let good = token(claims());
    for _ in 0..3 {
        assert_eq!(refused(&auth, &bad).await.kind, "expired");
        assert!(ask(&auth, &good).await.is_ok());
    }
}
