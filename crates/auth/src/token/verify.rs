//! From the text of a token to claims that can be believed.

use std::sync::Arc;

use super::algorithm::Algorithm;
use super::chain::leaf_key;
use super::claims::Claims;
use super::fault::{Fault, Kind, quoted};
use super::jws::{Header, Jws};
use super::key_ring::{KeyRing, TrustedKey};
use super::key_store::KeyStore;

/// What a token must say, and how it may be signed.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) issuer: String,
    pub(crate) service: String,
    pub(crate) algorithms: Vec<Algorithm>,
}

/// Why there are no claims to believe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// The token is at fault.
    Fault(Fault),
    /// Its key may be in the key set at this address, which was never had.
    NoKeySet(String),
}

impl From<Fault> for Unverified {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Why there is no key to verify a token with.
enum NoKey {
    /// Its name is not known. A new key set may have it.
    Unknown(Fault),
    /// Nothing helps.
    Hopeless(Fault),
}

impl NoKey {
    fn hopeless(reason: impl Into<String>) -> Self {
        Self::Hopeless(Fault::new(Kind::Key, reason))
    }
}

impl Verifier {
    /// Verifies a token: its form, its algorithm, its key, its signature, its issuer, its audience
    /// and its time, in this order. Returns what it says, and the keys it was verified with.
    ///
    /// # Errors
    /// [`Unverified`].
    pub(crate) async fn verify(
        &self,
        token: &str,
        store: &KeyStore,
        now_secs: u64,
    ) -> Result<(Arc<Claims>, Arc<KeyRing>), Unverified> {
        let jws = Jws::parse(token).map_err(|problem| {
            Fault::new(Kind::Malformed, format!("malformed token: {problem}"))
        })?;
        let algorithm = self.algorithm(&jws.header.alg)?;
        let (keys, ring) = trusted_keys(&jws.header, store, now_secs).await?;
        check_signature(&jws, algorithm, &keys)?;
        let claims = Claims::parse(&jws.payload)?;
        claims.check(&self.issuer, &self.service, now_secs)?;
        Ok((Arc::new(claims), ring))
    }

    fn algorithm(&self, name: &str) -> Result<Algorithm, Fault> {
        Algorithm::from_name(name)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| {
                let accepted: Vec<_> = self.algorithms.iter().map(|one| one.name()).collect();
                let (name, accepted) = (quoted(name), accepted.join(", "));
                let reason = format!("signing algorithm {name} is not one of {accepted}");
                Fault::new(Kind::Algorithm, reason)
            })
    }
}

/// The keys that may have signed the token. An unknown name makes the key set be fetched anew.
async fn trusted_keys(
    header: &Header,
    store: &KeyStore,
    now_secs: u64,
) -> Result<(Vec<Arc<TrustedKey>>, Arc<KeyRing>), Unverified> {
    let mut ring = store.current();
    let mut found = find(header, &ring, now_secs);
    if matches!(found, Err(NoKey::Unknown(_))) && store.fetch_for_unknown_key().await {
        ring = store.current();
        found = find(header, &ring, now_secs);
    }
    match found {
        Ok(keys) => Ok((keys, ring)),
        Err(NoKey::Hopeless(fault)) => Err(fault.into()),
        Err(NoKey::Unknown(fault)) => match store.missing_set() {
            Some(url) => Err(Unverified::NoKeySet(url)),
            None => Err(fault.into()),
        },
    }
}

/// The keys of a token by what its header says: a chain of certificates, else a key, else a name.
/// Of a key that the header brings along only the name counts: it is the trusted key of that name
/// that verifies the token.
fn find(header: &Header, ring: &KeyRing, now_secs: u64) -> Result<Vec<Arc<TrustedKey>>, NoKey> {
    let chain = |x5c: &[String]| {
        let key = leaf_key(x5c, &ring.anchors, now_secs).map_err(NoKey::hopeless)?;
        Ok(vec![Arc::new(TrustedKey::new(key, Vec::new(), None))])
    };
    if let Some(x5c) = &header.x5c {
        return chain(x5c);
    }
    if let Some(jwk) = &header.jwk {
        if let Some(x5c) = &jwk.x5c {
            return chain(x5c);
        }
        let key = jwk.key();
        let key = key.map_err(|problem| NoKey::hopeless(format!("the token's jwk: {problem}")))?;
        let thumbprint = key.thumbprint();
        let by_kid = jwk.kid.as_deref().map_or(&[][..], |kid| ring.find(kid));
        let known = if by_kid.is_empty() { ring.find(&thumbprint) } else { by_kid };
        return by_name(known, jwk.kid.as_deref().unwrap_or(&thumbprint));
    }
    match header.kid.as_deref() {
        Some(kid) => by_name(ring.find(kid), kid),
        None => Err(NoKey::hopeless("the token has neither x5c nor jwk nor kid")),
    }
}

fn by_name(known: &[Arc<TrustedKey>], name: &str) -> Result<Vec<Arc<TrustedKey>>, NoKey> {
    if known.is_empty() {
        let reason = format!("token signed by untrusted key with ID: {}", quoted(name));
        return Err(NoKey::Unknown(Fault::new(Kind::Key, reason)));
    }
    Ok(known.to_vec())
}

fn check_signature(
    jws: &Jws<'_>,
    algorithm: Algorithm,
    keys: &[Arc<TrustedKey>],
) -> Result<(), Fault> {
    if !keys.iter().any(|key| key.accepts(algorithm)) {
        let reason = format!("the token's key does not make {} signatures", algorithm.name());
        return Err(Fault::new(Kind::Algorithm, reason));
    }
    if !keys.iter().any(|key| key.verify(algorithm, jws.signed, &jws.signature)) {
        return Err(Fault::new(Kind::Signature, "the signature of the token does not fit"));
    }
    Ok(())
}
