//! Bearer tokens, and what keys are read from. An input that begins with `{` is a token's header and
//! its claims, with a line break between, so that what is found does not get lost in base64.
#![no_main]

use auth::token::fuzzing::{bundle, key_set, token};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let is_token = token(text);
    assert!(!is_token || text.bytes().filter(|byte| *byte == b'.').count() == 2, "{text:?}");
    let (header, claims) = text.split_once('\n').unwrap_or((text, "{}"));
    if header.starts_with('{') {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let _ = token(&format!("{}.{}.{}", part(header), part(claims), part("signature")));
    }
    let _ = key_set(text.as_bytes());
    let _ = bundle(text.as_bytes());
});
