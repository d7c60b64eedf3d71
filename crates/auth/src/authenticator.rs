//! The kinds of authentication behind one face.

use crate::access::Access;
use crate::asking::{Asking, Grant};
use crate::htpasswd::Htpasswd;
use crate::issuer::{TokenError, TokenRequest, TokenResponse};
use crate::refusal::Refusal;
use crate::silly::Silly;
use crate::token::TokenAuth;

/// One configured kind of authentication. There is none for `auth: none`: then nobody is asked.
#[derive(Debug)]
pub enum Authenticator {
    /// Users and password hashes in a file.
    Htpasswd(Box<Htpasswd>),
    /// Bearer tokens of a token server.
    Token(TokenAuth),
    /// Any `Authorization` header is accepted.
    Silly(Silly),
}

impl Authenticator {
    /// Finds out who is asking and whether they may have all of `wanted`; an empty list asks only
    /// who is there, as `/v2/` does.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn authorize(
        &self,
        asking: &Asking<'_>,
        wanted: &[Access],
    ) -> Result<Grant, Refusal> {
        match self {
            Self::Htpasswd(htpasswd) => htpasswd.authorize(asking, wanted).await,
            Self::Token(token) => token.authorize(asking, wanted).await,
            Self::Silly(silly) => silly.authorize(asking, wanted),
        }
    }

    /// Whether everybody may pull everything, so that nobody has to say who they are for that.
    #[must_use]
    pub const fn pulls_anonymously(&self) -> bool {
        match self {
            Self::Htpasswd(htpasswd) => htpasswd.pulls_anonymously(),
            Self::Token(_) | Self::Silly(_) => false,
        }
    }

    /// Whether clients get tokens here, at [`crate::issuer::TOKEN_PATH`].
    #[must_use]
    pub const fn issues_tokens(&self) -> bool {
        match self {
            Self::Htpasswd(htpasswd) => htpasswd.issues_tokens(),
            Self::Token(_) | Self::Silly(_) => false,
        }
    }

    /// Answers a request for a token.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::NotHere`] if none are issued here.
    pub async fn token(&self, request: TokenRequest<'_>) -> Result<TokenResponse, TokenError> {
        match self {
            Self::Htpasswd(htpasswd) => htpasswd.token(request).await,
            Self::Token(_) | Self::Silly(_) => Err(TokenError::NotHere),
        }
    }
}
