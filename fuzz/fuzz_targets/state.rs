//! The `_state` parameter of an upload's URL: as text, and as what its base64 holds.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use libfuzzer_sys::fuzz_target;
use server::fuzzing::StateToken;
use server::limits::STATE_TOKEN_BYTES_MAX;

const MAC: [u8; 32] = [0; 32];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
    check(&token_of(bytes));
});

fn token_of(json: &[u8]) -> String {
    URL_SAFE.encode([&MAC, json].concat())
}

/// A token that was read is within the bound, and is read again from what it holds.
fn check(text: &str) {
    let Some(token) = StateToken::decode(text) else { return };
    assert!(text.len() <= STATE_TOKEN_BYTES_MAX);
    let json = serde_json::to_vec(&token).expect("text and numbers");
    assert_eq!(StateToken::decode(&token_of(&json)), Some(token));
}
