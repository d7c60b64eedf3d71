//! `auth.token`: bearer tokens of a token server, as Distribution's token specification and RFC
//! 6750 have them. `docs/token.md` says what is accepted.

mod algorithm;
mod bundle;
mod chain;
mod challenge;
mod claims;
mod fault;
mod fetch;
mod jwk;
mod jws;
mod key;
mod key_file;
mod key_ring;
mod key_store;
mod remembered;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use self::algorithm::Algorithm;
use self::fault::{Fault, Kind};
use self::key_store::KeyStore;
use self::remembered::Remembered;
use self::verify::{Unverified, Verifier};
use crate::access::Access;
use crate::asking::{Asking, Grant};
use crate::refusal::Refusal;

/// Settings of `auth.token`.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// URL of the token server.
    pub realm: String,
    /// Service that tokens are for.
    pub service: String,
    /// Issuer of the tokens.
    pub issuer: String,
    /// PEM file with certificates that sign tokens.
    pub root_cert_bundle: Option<PathBuf>,
    /// A JSON Web Key Set: a file, or an `http(s)` URL.
    pub jwks: Option<String>,
    /// How often the key set is read again when it is a URL.
    pub jwks_refresh: Duration,
    /// The realm is on the host of the request.
    pub auto_redirect: bool,
    /// Path of that realm.
    pub auto_redirect_path: String,
    /// Accepted signatures; empty means all.
    pub signing_algorithms: Vec<String>,
}

/// Leaves out `jwks`: its URL may hold a password.
impl fmt::Debug for TokenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenOptions")
            .field("realm", &self.realm)
            .field("service", &self.service)
            .field("issuer", &self.issuer)
            .field("root_cert_bundle", &self.root_cert_bundle)
            .field("auto_redirect", &self.auto_redirect)
            .field("auto_redirect_path", &self.auto_redirect_path)
            .field("signing_algorithms", &self.signing_algorithms)
            .finish_non_exhaustive()
    }
}

/// Why tokens can't be verified with these settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Neither certificates nor a key set.
    #[error("auth.token: set rootcertbundle or jwks; without keys no token can be verified")]
    NoKeys,
    /// A file with keys is no good.
    #[error("{key}: {}: {problem}", .path.display())]
    File {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The URL of the key set can't be used.
    #[error("auth.token.jwks: {problem}")]
    Jwks {
        /// What is wrong. Does not name the URL, which may hold a password.
        problem: String,
    },
    /// There is no such algorithm.
    #[error("auth.token.signingalgorithms: {name:?} is not one of {}", Algorithm::ALL.map(Algorithm::name).join(", "))]
    Algorithm {
        /// What was asked for.
        name: String,
    },
    /// A setting doesn't fit in a header.
    #[error("auth.token.{key}: no control characters may be in it")]
    ControlCharacter {
        /// The setting.
        key: &'static str,
    },
}

/// Verifies bearer tokens.
#[derive(Debug)]
pub struct TokenAuth {
    options: Box<TokenOptions>,
    keys: Arc<KeyStore>,
    verifier: Verifier,
    remembered: Box<Remembered>,
}

impl TokenAuth {
    /// Reads the files with keys. Blocks for as long as that takes. A key set at a URL is fetched
    /// by [`Self::refresh_forever`], and when a token needs it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn open(options: TokenOptions) -> Result<Self, TokenError> {
        let in_header = [
            ("realm", &options.realm),
            ("service", &options.service),
            ("autoredirectpath", &options.auto_redirect_path),
        ];
        if let Some((key, _)) = in_header.iter().find(|(_, text)| text.contains(char::is_control)) {
            return Err(TokenError::ControlCharacter { key });
        }
        let named = |name: &String| {
            Algorithm::from_name(name).ok_or_else(|| TokenError::Algorithm { name: name.clone() })
        };
        let mut algorithms =
            options.signing_algorithms.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        if algorithms.is_empty() {
            algorithms = Algorithm::ALL.to_vec();
        }
        let keys = Arc::new(KeyStore::open(&options)?);
        let verifier = Verifier {
            issuer: options.issuer.clone(),
            service: options.service.clone(),
            algorithms,
        };
        Ok(Self {
            options: Box::new(options),
            keys,
            verifier,
            remembered: Box::new(Remembered::new()),
        })
    }

    /// As [`crate::Authenticator::authorize`].
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] for everything that is wrong with a token, and
    /// [`Refusal::Unavailable`] while the key set that may have its key was never fetched.
    pub async fn authorize(
        &self,
        asking: &Asking<'_>,
        wanted: &[Access],
    ) -> Result<Grant, Refusal> {
        self.verified(asking.authorization, wanted).await.map_err(|problem| match problem {
            Unverified::Fault(Fault { kind, reason }) => {
                Refusal::unauthorized(self.challenge(asking, wanted, kind), kind.word(), reason)
            }
            Unverified::NoKeySet(url) => Refusal::Unavailable(format!(
                "the key set {url} could not be fetched yet, and no other key fits the token"
            )),
        })
    }

    /// Keeps the key set fresh when it is at a URL: fetches it at once, again in each
    /// `jwks_refresh`, and sooner after a failure. Ends at once when there is none. To be run, on a
    /// task of its own, for as long as this is in use.
    pub fn refresh_forever(&self) -> impl Future<Output = ()> + Send + use<> {
        let keys = Arc::clone(&self.keys);
        async move { keys.refresh_forever().await }
    }

    async fn verified(
        &self,
        authorization: Option<&HeaderValue>,
        wanted: &[Access],
    ) -> Result<Grant, Unverified> {
        let token = bearer(authorization)?;
        self.keys.look_at_files().await;
        let now_secs = now_secs();
        let ring = self.keys.current();
        let claims = match self.remembered.get(token, ring.generation, now_secs) {
            Some(claims) => claims,
            None => {
                let (claims, ring) = self.verifier.verify(token, &self.keys, now_secs).await?;
                self.remembered.insert(token, &claims, ring.generation, now_secs);
                claims
            }
        };
        let missing: Vec<_> = wanted.iter().filter(|access| !claims.covers(access)).collect();
        if !missing.is_empty() {
            let scopes = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let reason = format!("the token does not grant {scopes}");
            return Err(Fault::new(Kind::Scope, reason).into());
        }
        Ok(claims.user().map_or_else(Grant::anonymous, Grant::to))
    }

    fn challenge(&self, asking: &Asking<'_>, wanted: &[Access], kind: Kind) -> HeaderValue {
        let options = &self.options;
        if options.auto_redirect {
            let realm = (asking.origin)() + &options.auto_redirect_path;
            challenge::challenge(&realm, &options.service, wanted, kind)
        } else {
            challenge::challenge(&options.realm, &options.service, wanted, kind)
        }
    }
}

/// The token in an `Authorization` header. The scheme may be written in any case (RFC 9110, section
/// 11.1).
fn bearer(authorization: Option<&HeaderValue>) -> Result<&str, Fault> {
    let missing = |reason: &str| Fault::new(Kind::Missing, reason);
    let header = authorization.ok_or_else(|| missing("no Authorization header"))?;
    let text = header
        .to_str()
        .map_err(|_| Fault::new(Kind::Malformed, "Authorization is not printable ASCII"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => match token.trim() {
            "" => Err(missing("Authorization has no token")),
            token => Ok(token),
        },
        _ => Err(missing("Authorization is not \"Bearer\" and a token")),
    }
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What parses the text of strangers, for fuzzing.
#[doc(hidden)]
pub mod fuzzing {
    use super::bundle::Bundle;
    use super::chain::leaf_key;
    use super::claims::Claims;
    use super::jwk::JwkSet;
    use super::jws::Jws;

    /// Takes a token apart and reads what is in it, without any signature being right. Says whether
    /// it has the form of a token.
    #[must_use]
    pub fn token(text: &str) -> bool {
        let Ok(jws) = Jws::parse(text) else { return false };
        let header = &jws.header;
        let in_jwk = header.jwk.as_ref().and_then(|jwk| jwk.x5c.as_deref());
        for x5c in header.x5c.as_deref().into_iter().chain(in_jwk) {
            assert!(leaf_key(x5c, &[], 0).is_err(), "nobody vouches for it");
        }
        if let Some(Ok(key)) = header.jwk.as_ref().map(super::jwk::Jwk::key) {
            assert_eq!(key.thumbprint().len(), 43);
        }
        assert!(jws.signed.len() < text.len());
        Claims::parse(&jws.payload)
            .is_ok_and(|claims| claims.check("issuer", "service", 0).is_err())
    }

    /// Reads a key set. Says how many keys it has.
    #[must_use]
    pub fn key_set(json: &[u8]) -> usize {
        JwkSet::parse(json).map_or(0, |set| set.keys.len())
    }

    /// Reads a bundle of certificates. Says how many keys it has.
    #[must_use]
    pub fn bundle(pem: &[u8]) -> usize {
        Bundle::parse(pem).map_or(0, |bundle| bundle.keys.len())
    }
}
