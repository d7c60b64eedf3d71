//! Tokens that were verified a moment ago: a pull of 20 layers costs one signature.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::claims::Claims;
use crate::limits::{TOKEN_REMEMBERED_FOR, TOKENS_REMEMBERED_BYTES_MAX};

/// A hash of a token under a key that only this process knows: what is kept of a token here is of
/// no use to anybody.
type Fingerprint = [u8; 32];

/// What tokens said that were verified a moment ago.
pub(crate) struct Remembered {
    key: hmac::Key,
    cache: Cache<Fingerprint, Entry, ByToken>,
}

#[derive(Clone)]
struct Entry {
    claims: Arc<Claims>,
    /// With which keys it was verified.
    generation: u64,
    until_secs: f64,
    token_bytes: usize,
}

#[derive(Clone)]
struct ByToken;

impl Weighter<Fingerprint, Entry> for ByToken {
    fn weight(&self, _: &Fingerprint, entry: &Entry) -> u64 {
        // The claims are about as long as the token, and have overheads of their own.
        (entry.token_bytes + size_of::<Claims>() + size_of::<Entry>()) as u64
    }
}

impl Remembered {
    pub(crate) fn new() -> Self {
        const TOKEN_BYTES_USUAL: u64 = 1024;
        let items = (TOKENS_REMEMBERED_BYTES_MAX / TOKEN_BYTES_USUAL) as usize;
        let secret: [u8; 32] = rand::random();
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            cache: Cache::with_weighter(items, TOKENS_REMEMBERED_BYTES_MAX, ByToken),
        }
    }

    /// What a token said, if it was verified a moment ago with the same keys.
    pub(crate) fn get(&self, token: &str, generation: u64, now_secs: u64) -> Option<Arc<Claims>> {
        let entry = self.cache.get(&self.fingerprint(token)?)?;
        let current = entry.generation == generation && now_secs as f64 <= entry.until_secs;
        current.then_some(entry.claims)
    }

    /// Remembers a token that was just verified with the keys of that generation.
    pub(crate) fn insert(&self, token: &str, claims: &Arc<Claims>, generation: u64, now_secs: u64) {
        let latest = (now_secs + TOKEN_REMEMBERED_FOR.as_secs()) as f64;
        let entry = Entry {
            claims: Arc::clone(claims),
            generation,
            until_secs: claims.valid_until_secs().min(latest),
            token_bytes: token.len(),
        };
        if let Some(fingerprint) = self.fingerprint(token) {
            self.cache.insert(fingerprint, entry);
        }
    }

    fn fingerprint(&self, token: &str) -> Option<Fingerprint> {
        hmac::sign(&self.key, token.as_bytes()).as_ref().try_into().ok()
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.cache.len())
    }
}
