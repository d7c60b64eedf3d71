//! Tokens that wharf issues itself, so that pulling needs no login and pushing does.
//!
//! docker logs in only if `/v2/` is refused, and pulls without credentials only if the challenge
//! leads to a place that gives tokens to anybody. This is that place: the token endpoint of the
//! Docker Registry v2 authentication specification, and of its OAuth2 form. Nobody needs it: Basic
//! credentials, and for anonymous rights none at all, are accepted everywhere.

mod request;
mod token;

use http::HeaderValue;

use crate::access::{Access, scopes};
use crate::htpasswd::{challenge_value, quoted};
use crate::refusal::Refusal;

pub use request::TokenRequest;
pub(crate) use token::Issuer;

/// Where tokens are issued, below the base URL.
pub const TOKEN_PATH: &str = "/v2/_token";

/// A token, as the answer's body.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenResponse {
    /// JSON. It holds a secret: the answer's `Cache-Control` is `no-store`, and it is not logged.
    pub body: String,
}

impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenResponse")
    }
}

/// Why no token is issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// As for any other request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// 400 with [`TokenError::oauth_body`] (RFC 6749, section 5.2).
    #[error("{description}")]
    Request {
        /// The error's code.
        code: &'static str,
        /// What is wrong, for people. Holds nothing that the client sent.
        description: &'static str,
    },
    /// 404: no tokens are issued with this configuration.
    #[error("this registry does not issue tokens")]
    NotHere,
}

impl TokenError {
    /// The JSON body of a [`TokenError::Request`]; none for the others.
    #[must_use]
    pub fn oauth_body(&self) -> Option<String> {
        let Self::Request { code, description } = self else { return None };
        Some(serde_json::json!({ "error": code, "error_description": description }).to_string())
    }
}

/// `Bearer realm="…",service="…"[,scope="…"][,error="…"]`. The service is the registry's host, as
/// clients expect; tokens are not bound to it, because one registry may have several names.
pub(crate) fn challenge(base_url: &str, wanted: &[Access], error: Option<&str>) -> HeaderValue {
    let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let realm = format!("{base_url}{TOKEN_PATH}");
    let mut text = format!("Bearer realm={},service={}", quoted(&realm), quoted(host));
    if !wanted.is_empty() {
        text.push_str(&format!(",scope={}", quoted(&scopes(wanted))));
    }
    if let Some(error) = error {
        text.push_str(&format!(",error={}", quoted(error)));
    }
    challenge_value(text, "Bearer")
}

#[cfg(test)]
mod tests;
