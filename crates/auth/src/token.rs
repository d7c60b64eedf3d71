//! `auth.token`: bearer tokens of a token server.

use std::path::PathBuf;
use std::time::Duration;

use crate::access::Access;
use crate::asking::{Asking, Grant};
use crate::refusal::Refusal;

/// Settings of `auth.token`.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Verifies bearer tokens.
#[derive(Debug)]
pub struct TokenAuth {
    _options: TokenOptions,
}

impl TokenAuth {
    /// As [`crate::Authenticator::authorize`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn authorize(&self, _: &Asking<'_>, _: &[Access]) -> Result<Grant, Refusal> {
        Err(Refusal::Unavailable("not built yet".into()))
    }
}
