//! The kinds of authentication behind one face.

use crate::access::Access;
use crate::asking::{Asking, Grant};
use crate::htpasswd::Htpasswd;
use crate::refusal::Refusal;
use crate::silly::Silly;
use crate::token::TokenAuth;

/// One configured kind of authentication. There is none for `auth: none`: then nobody is asked.
#[derive(Debug)]
pub enum Authenticator {
    /// Users and password hashes in a file.
    Htpasswd(Htpasswd),
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
}
