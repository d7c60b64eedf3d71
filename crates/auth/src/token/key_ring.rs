//! The keys that are trusted at a moment, by their names.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::bundle::{Anchor, Bundle};
use super::jwk::JwkSet;
use super::key::Key;

/// A key whose signatures are believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TrustedKey {
    key: Key,
    /// Names that its file gives it.
    names: Vec<String>,
    /// The one kind of signature it is for, if its file says so.
    only: Option<Algorithm>,
}

impl TrustedKey {
    pub(crate) const fn new(key: Key, names: Vec<String>, only: Option<Algorithm>) -> Self {
        Self { key, names, only }
    }

    /// Whether its signatures may be of that kind.
    pub(crate) fn accepts(&self, algorithm: Algorithm) -> bool {
        self.only.is_none_or(|only| only == algorithm) && self.key.accepts(algorithm)
    }

    /// Whether `signature` is its signature of `message`.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.accepts(algorithm) && self.key.verify(algorithm, message, signature)
    }

    /// What tokens may call it: by its own names and by its thumbprint.
    fn ids(&self) -> Vec<String> {
        let mut ids = self.names.clone();
        // The thumbprint of a secret would be a way to try out guesses (RFC 7638, section 7).
        if !matches!(self.key, Key::Secret(_)) || ids.is_empty() {
            ids.push(self.key.thumbprint());
        }
        ids
    }

    /// Its names for a log.
    pub(crate) fn public_ids(&self) -> String {
        match self.key {
            Key::Secret(_) if self.names.is_empty() => "a secret without a name".into(),
            Key::Secret(_) => self.names.join(" = "),
            _ => self.ids().join(" = "),
        }
    }
}

/// All that is trusted at a moment.
#[derive(Default)]
pub(crate) struct KeyRing {
    by_id: HashMap<String, Vec<Arc<TrustedKey>>>,
    /// Certificates that sign tokens and other certificates.
    pub(crate) anchors: Vec<Anchor>,
    /// Grows with every change, so that what was verified before is verified anew.
    pub(crate) generation: u64,
}

/// Leaves out the names of keys: one may be the thumbprint of a secret.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, anchors) = (self.by_id.len(), self.anchors.len());
        write!(f, "{names} names of keys, {anchors} certificates")
    }
}

impl KeyRing {
    /// The keys of both sources.
    pub(crate) fn new(bundle: Option<&Bundle>, set: Option<&JwkSet>, generation: u64) -> Self {
        let mut by_id: HashMap<String, Vec<Arc<TrustedKey>>> = HashMap::new();
        let bundled = bundle.into_iter().flat_map(|bundle| &bundle.keys);
        for key in bundled.chain(set.into_iter().flat_map(|set| &set.keys)) {
            for id in key.ids() {
                let known = by_id.entry(id).or_default();
                if !known.contains(key) {
                    known.push(Arc::clone(key));
                }
            }
        }
        let anchors = bundle.map(|bundle| bundle.anchors.clone()).unwrap_or_default();
        Self { by_id, anchors, generation }
    }

    /// The keys with that name: one as a rule, several where a set gives the same name to keys of
    /// different kinds (RFC 7517, section 4.5).
    pub(crate) fn find(&self, id: &str) -> &[Arc<TrustedKey>] {
        self.by_id.get(id).map_or(&[], Vec::as_slice)
    }
}
