//! The tokens: JWTs signed with HS256, which only wharf itself reads.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::request::Scope;
use super::{TokenError, TokenResponse};
use crate::access::{Access, Action, Resource};
use crate::htpasswd::{AnonymousRights, User, Users, keyed_hash};
use crate::limits::{ISSUED_BYTES_MAX, ISSUED_LEEWAY, ISSUED_LIFETIME};
use crate::refusal::Refusal;

/// Who issues the tokens. It tells them apart from those of a token server.
const ISSUER: &str = "wharf";

/// Issues tokens and verifies them.
pub(crate) struct Issuer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    /// What tokens are for: the configured realm. A registry may have several host names.
    audience: String,
    /// For fingerprints of users' lines.
    fingerprint_key: [u8; 32],
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("audience", &self.audience).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// Empty for an anonymous token.
    sub: String,
    /// Fingerprint of the user's line: with another password, or without the user, the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    iat: u64,
    exp: u64,
    access: Vec<Granted>,
}

/// What a token grants, as in the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Granted {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// A token that is good.
#[derive(Debug)]
pub(crate) struct Bearer {
    user: Option<Arc<str>>,
    access: Vec<Granted>,
}

/// The token is not good. Why does not matter to anybody but who made it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadToken;

impl Bearer {
    /// Whether the token is enough for that. An anonymous one is for whatever needs no login.
    pub(crate) fn may(&self, access: &Access, anonymous: AnonymousRights) -> bool {
        if self.user.is_none() {
            return anonymous.may(access);
        }
        let (kind, name) = (access.resource.kind(), access.resource.name());
        let here =
            self.access.iter().filter(|granted| granted.kind == kind && granted.name == name);
        here.flat_map(|granted| &granted.actions)
            .any(|action| action == "*" || action == access.action.as_str())
    }

    pub(crate) fn into_user(self) -> Option<Arc<str>> {
        self.user
    }
}

impl Issuer {
    /// With keys derived from a secret, or random ones.
    pub(crate) fn new(realm: &str, secret: Option<&[u8]>) -> Self {
        let mut base = [0; 32];
        match secret {
            Some(secret) => base = keyed_hash(&base, &[b"wharf htpasswd", secret]),
            None => rand::fill(&mut base),
        }
        let signing_key = keyed_hash(&base, &[b"tokens"]);
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[realm]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = ISSUED_LEEWAY.as_secs();
        Self {
            encoding: EncodingKey::from_secret(&signing_key),
            decoding: DecodingKey::from_secret(&signing_key),
            validation,
            audience: realm.to_owned(),
            fingerprint_key: keyed_hash(&base, &[b"lines"]),
        }
    }

    /// A token for a user with all that was asked for; for nobody, with what nobody may.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`], if signing fails.
    pub(crate) fn issue(
        &self,
        user: Option<&User>,
        scopes: &[Scope],
        anonymous: AnonymousRights,
    ) -> Result<TokenResponse, TokenError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let grant = |scope: &Scope| Granted {
            kind: scope.kind.clone(),
            name: scope.name.clone(),
            actions: match user {
                Some(_) => scope.actions.clone(),
                None => allowed(scope, anonymous),
            },
        };
        let access: Vec<_> =
            scopes.iter().map(grant).filter(|granted| !granted.actions.is_empty()).collect();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: self.audience.clone(),
            sub: user.map(|user| user.name.to_string()).unwrap_or_default(),
            line: user.map(|user| self.fingerprint(user)),
            iat: now,
            exp: now + ISSUED_LIFETIME.as_secs(),
            access,
        };
        self.sign(&claims)
    }

    fn sign(&self, claims: &Claims) -> Result<TokenResponse, TokenError> {
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|error| {
                tracing::error!("signing a token failed: {error}");
                Refusal::Unavailable("signing a token failed".to_owned())
            })?;
        // Both names of the token: the first specification has one, and OAuth2 the other.
        let body = serde_json::json!({
            "token": token,
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": claims.exp - claims.iat,
            "issued_at": rfc3339(claims.iat),
            "scope": scope_text(&claims.access),
        });
        Ok(TokenResponse { body: body.to_string() })
    }

    /// Looks whether a token is one of ours, still good, and of a user that is still there.
    pub(crate) fn verify(&self, token: &str, users: &Users) -> Result<Bearer, BadToken> {
        if token.len() > ISSUED_BYTES_MAX {
            return Err(BadToken);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| BadToken)?
            .claims;
        let user = match &claims.line {
            None if claims.sub.is_empty() => None,
            Some(line) => {
                let user = users.get(&claims.sub).ok_or(BadToken)?;
                if !user.hash.is_usable() || self.fingerprint(user) != *line {
                    return Err(BadToken);
                }
                Some(Arc::clone(&user.name))
            }
            None => return Err(BadToken),
        };
        Ok(Bearer { user, access: claims.access })
    }

    /// Of a user's line. It says nothing about the hash to those who do not know the key.
    fn fingerprint(&self, user: &User) -> String {
        let line = [user.name.as_bytes(), user.hash.secret_text().as_bytes()];
        URL_SAFE_NO_PAD.encode(&keyed_hash(&self.fingerprint_key, &line)[..16])
    }
}

/// What of a scope needs no login.
fn allowed(scope: &Scope, anonymous: AnonymousRights) -> Vec<String> {
    let may = |access: Access| {
        let action = access.action.as_str().to_owned();
        let asked = scope.actions.iter().any(|asked| *asked == action || asked == "*");
        (asked && anonymous.may(&access)).then_some(action)
    };
    let access = match (&*scope.kind, &*scope.name) {
        ("repository", name) => {
            Access { resource: Resource::Repository(name.to_owned()), action: Action::Pull }
        }
        ("registry", "catalog") => Access::catalog(),
        _ => return Vec::new(),
    };
    may(access).into_iter().collect()
}

fn scope_text(access: &[Granted]) -> String {
    let scope = |granted: &Granted| {
        format!("{}:{}:{}", granted.kind, granted.name, granted.actions.join(","))
    };
    access.iter().map(scope).collect::<Vec<_>>().join(" ")
}

/// Seconds since 1970 as RFC 3339 has it, in UTC.
fn rfc3339(secs: u64) -> String {
    let secs = i64::try_from(secs).unwrap_or_default();
    jiff::Timestamp::from_second(secs).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
