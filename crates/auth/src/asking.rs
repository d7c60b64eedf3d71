//! What a request says about who sent it, and what comes of that.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

/// What a request brings along.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The `Authorization` header. Whoever has this must not let it get into a log.
    pub authorization: Option<&'a HeaderValue>,
    /// The client's address; none on a Unix socket. Failed logins are slowed by it.
    pub address: Option<IpAddr>,
    /// What absolute URLs to this registry begin with, as the client sees it: scheme, host and the
    /// path in front of `/v2/`, without a slash at the end (`https://registry.example.com`).
    pub base_url: &'a (dyn Fn() -> String + Send + Sync),
    /// `scheme://host` of the request, for `auth.token.autoredirect`.
    pub origin: &'a (dyn Fn() -> String + Send + Sync),
}

/// A request that may go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Who it was; none for somebody who did not say and need not.
    pub user: Option<Arc<str>>,
}

impl Grant {
    /// A known user.
    pub fn to(user: impl Into<Arc<str>>) -> Self {
        Self { user: Some(user.into()) }
    }

    /// Somebody who did not say who they are.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self { user: None }
    }
}
