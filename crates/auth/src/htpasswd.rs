//! `auth.htpasswd`: users and password hashes in a file.
//!
//! Whoever logs in may do everything. With anonymous rights, others may do what those say, and
//! wharf issues tokens of its own ([`Htpasswd::token`]): plain Basic authentication has no place
//! for somebody who may pull without a password, because docker gives up at the challenge.

mod basic;
mod beat;
mod edit;
mod error;
mod file;
mod first_run;
mod hash;
mod options;
mod users;
mod verifier;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

use crate::access::{Access, Action, Resource};
use crate::asking::{Asking, Grant};
use crate::issuer::{Issuer, TokenError, TokenRequest, TokenResponse};
use crate::refusal::Refusal;

pub(crate) use basic::{Authorization, Credentials};
pub use edit::{
    Added, Listed, PASSWORD_BYTES_USED, add, check_password, check_user, list, remove, verify,
};
pub use error::HtpasswdError;
pub use hash::{HashKind, Unusable};
pub use options::HtpasswdOptions;
pub use users::BadLine;
pub(crate) use users::{User, Users};
pub(crate) use verifier::keyed_hash;

use file::UsersFile;
use verifier::Verifier;

/// Users of an htpasswd file.
#[derive(Debug)]
pub struct Htpasswd {
    realm: Box<str>,
    anonymous: AnonymousRights,
    file: UsersFile,
    verifier: Verifier,
    issuer: Option<Issuer>,
}

/// What may be done without logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnonymousRights {
    pub(crate) pull: bool,
    pub(crate) catalog: bool,
}

impl AnonymousRights {
    /// Whether somebody unknown may do that.
    pub(crate) const fn may(self, access: &Access) -> bool {
        match (&access.resource, access.action) {
            (Resource::Repository(_), Action::Pull) => self.pull,
            (Resource::Catalog, _) => self.catalog,
            (Resource::Repository(_), _) => false,
        }
    }
}

impl Htpasswd {
    /// Reads the file, and makes one if there is none. Blocks; it is for the start.
    ///
    /// # Errors
    /// [`HtpasswdError`]: at the start, a file that is not good is an error.
    pub fn open(options: HtpasswdOptions) -> Result<Self, HtpasswdError> {
        let HtpasswdOptions { realm, path, anonymous_pull, anonymous_catalog, token_key } = options;
        let anonymous = AnonymousRights { pull: anonymous_pull, catalog: anonymous_catalog };
        first_run::provision(&path)?;
        let issuer = (anonymous.pull || anonymous.catalog)
            .then(|| Issuer::new(&realm, token_key.as_deref()));
        let file = UsersFile::open(path)?;
        Ok(Self { realm: realm.into(), anonymous, file, verifier: Verifier::new(), issuer })
    }

    /// As [`crate::Authenticator::authorize`].
    ///
    /// # Errors
    /// [`Refusal`]. The kinds of a 401 are `missing`, `malformed`, `credentials`, and for tokens
    /// `token` and `scope`.
    pub async fn authorize(
        &self,
        asking: &Asking<'_>,
        wanted: &[Access],
    ) -> Result<Grant, Refusal> {
        let refuse = |error, kind, reason: &str| {
            let challenge = self.challenge(asking, wanted, error);
            Err(Refusal::unauthorized(challenge, kind, reason))
        };
        match (Authorization::of(asking.authorization), &self.issuer) {
            (Authorization::Missing, Some(_)) if self.may_anonymously(wanted) => {
                Ok(Grant::anonymous())
            }
            (Authorization::Missing, _) => refuse(None, "missing", "no credentials"),
            (Authorization::Basic(credentials), _) => {
                match self.login(&credentials, asking.address).await? {
                    Some(user) => Ok(Grant::to(Arc::clone(&user.name))),
                    None => refuse(None, "credentials", "unknown user or wrong password"),
                }
            }
            (Authorization::Bearer(token), Some(issuer)) => {
                let users = self.file.users().await;
                let Ok(bearer) = issuer.verify(token, &users) else {
                    let reason = "the token is damaged, too old, or its user's password changed";
                    return refuse(Some("invalid_token"), "token", reason);
                };
                if !wanted.iter().all(|access| bearer.may(access, self.anonymous)) {
                    let reason = "the token is not for this; log in";
                    return refuse(Some("insufficient_scope"), "scope", reason);
                }
                Ok(Grant { user: bearer.into_user() })
            }
            (Authorization::Bearer(_) | Authorization::Malformed, _) => {
                refuse(None, "malformed", "the Authorization header is not that of a user")
            }
        }
    }

    /// Whether everybody may pull.
    #[must_use]
    pub const fn pulls_anonymously(&self) -> bool {
        self.anonymous.pull
    }

    /// Whether clients get tokens here, so that [`Self::token`] must be reachable at
    /// `<base URL>/v2/_token`.
    #[must_use]
    pub const fn issues_tokens(&self) -> bool {
        self.issuer.is_some()
    }

    /// Answers a request for a token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn token(&self, request: TokenRequest<'_>) -> Result<TokenResponse, TokenError> {
        let issuer = self.issuer.as_ref().ok_or(TokenError::NotHere)?;
        let order = request.parse()?;
        let user = match &order.login {
            Ok(None) => None,
            Ok(Some(credentials)) => match self.login(credentials, request.address).await? {
                Some(user) => Some(user),
                None => {
                    let reason = "unknown user or wrong password";
                    return Err(self.refuse_basic("credentials", reason).into());
                }
            },
            Err(reason) => return Err(self.refuse_basic("malformed", reason).into()),
        };
        issuer.issue(user.as_deref(), &order.scopes, self.anonymous)
    }

    /// How many passwords were verified since the start: those whose hash had to be computed. A
    /// counter for metrics.
    #[must_use]
    pub fn passwords_verified(&self) -> u64 {
        self.verifier.computed()
    }

    /// The user that the credentials belong to, if they are good.
    async fn login(
        &self,
        credentials: &Credentials,
        address: Option<IpAddr>,
    ) -> Result<Option<Arc<User>>, Refusal> {
        let users = self.file.users().await;
        self.verifier.verify(&users, credentials, address).await
    }

    fn may_anonymously(&self, wanted: &[Access]) -> bool {
        // `/v2/` wants nothing, and must be refused: that is how docker learns that one can log in.
        !wanted.is_empty() && wanted.iter().all(|access| self.anonymous.may(access))
    }

    fn refuse_basic(&self, kind: &'static str, reason: &str) -> Refusal {
        Refusal::unauthorized(self.basic_challenge(), kind, reason)
    }

    fn challenge(
        &self,
        asking: &Asking<'_>,
        wanted: &[Access],
        error: Option<&str>,
    ) -> HeaderValue {
        match &self.issuer {
            Some(_) => crate::issuer::challenge(&(asking.base_url)(), wanted, error),
            None => self.basic_challenge(),
        }
    }

    fn basic_challenge(&self) -> HeaderValue {
        challenge_value(format!("Basic realm={}", quoted(&self.realm)), "Basic")
    }
}

/// A quoted string (RFC 9110, section 5.6.4).
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A challenge as a header; only its scheme if it can't be one.
pub(crate) fn challenge_value(text: String, scheme: &'static str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(scheme))
}

#[cfg(test)]
mod tests;
