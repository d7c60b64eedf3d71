//! Requests for a token.

use std::net::IpAddr;

use http::HeaderValue;
use percent_encoding::percent_decode_str;

use super::TokenError;
use crate::htpasswd::{Authorization, Credentials};
use crate::limits::{TOKEN_REQUEST_BYTES_MAX, TOKEN_SCOPES_MAX};

/// A request to the token endpoint.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    /// What comes after the `?` of a GET; empty if nothing does.
    pub query: &'a str,
    /// The body of a POST, `application/x-www-form-urlencoded`; none for a GET. More than
    /// [`crate::limits::TOKEN_REQUEST_BYTES_MAX`] need not be read: it is refused.
    pub form: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a HeaderValue>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Who asks, if they say so; or what is wrong with how they say it.
    pub(crate) login: Result<Option<Credentials>, &'static str>,
    /// What is asked for.
    pub(crate) scopes: Vec<Scope>,
}

/// Actions on a resource, as a client names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) actions: Vec<String>,
}

impl Scope {
    /// `type[(class)]:name:action,…`; the name may hold colons. None if it isn't one: then it is
    /// not granted, which is all that the specification asks for.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let kind = kind.split('(').next()?;
        let actions: Vec<_> =
            actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned).collect();
        let whole = !kind.is_empty() && !name.is_empty() && !actions.is_empty();
        whole.then(|| Self { kind: kind.to_owned(), name: name.to_owned(), actions })
    }
}

impl TokenRequest<'_> {
    /// What is asked for.
    ///
    /// # Errors
    /// [`TokenError::Request`].
    pub(crate) fn parse(&self) -> Result<Order, TokenError> {
        let text = self.form.unwrap_or(self.query);
        if text.len() > TOKEN_REQUEST_BYTES_MAX {
            return Err(invalid_request("the request is too long"));
        }
        let parameters: Vec<_> = parameters(text).collect();
        let one = |name: &str| {
            parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let login = if self.form.is_some() {
            match one("grant_type") {
                Some("password") => {}
                Some(_) => {
                    return Err(TokenError::Request {
                        code: "unsupported_grant_type",
                        description: "only the grant type `password` is supported",
                    });
                }
                None => return Err(invalid_request("there is no grant_type")),
            }
            let (Some(user), Some(password)) = (one("username"), one("password")) else {
                return Err(invalid_request("there is no username or no password"));
            };
            Credentials::new(user, password.as_bytes()).map(Some).ok_or("the password is too long")
        } else {
            match Authorization::of(self.authorization) {
                Authorization::Missing => Ok(None),
                Authorization::Basic(credentials) => Ok(Some(credentials)),
                Authorization::Bearer(_) | Authorization::Malformed => {
                    Err("the Authorization header is not that of a user")
                }
            }
        };
        let scopes: Vec<_> = parameters
            .iter()
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, value)| value.split_ascii_whitespace())
            .filter_map(Scope::parse)
            .collect();
        if scopes.len() > TOKEN_SCOPES_MAX {
            return Err(invalid_request("too many scopes"));
        }
        Ok(Order { login, scopes })
    }
}

const fn invalid_request(description: &'static str) -> TokenError {
    TokenError::Request { code: "invalid_request", description }
}

/// The parameters of a query or a form. Those that aren't UTF-8 are left out.
fn parameters(text: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |part: &str| {
        let spaces = part.replace('+', " ");
        percent_decode_str(&spaces).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    text.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decode(key)?, decode(value)?))
    })
}

#[cfg(test)]
mod tests;
