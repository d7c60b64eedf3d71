//! Credentials that a client sends to a mirror and that are meant for the registry behind it.
//!
//! docker sends a mirror the user and password of Docker Hub. They are unknown here, and would lock
//! out somebody who might pull without any. Where everybody may pull, nobody is asked for who they
//! are before they pull what is mirrored: such credentials are neither checked nor counted as a
//! failed login.

use auth::Authenticator;
use http::Method;
use http::header::{self, HeaderValue};

use crate::app::App;
use crate::exchange::Call;
use crate::query::Query;

/// The credentials of a request that have to do with this registry.
pub(crate) fn authorization(call: &Call) -> Option<&HeaderValue> {
    let sent = call.headers().get(header::AUTHORIZATION)?;
    let is_pull = matches!(call.parts.method, Method::GET | Method::HEAD);
    let mirrored = || {
        let name = call.route.as_ref()?.repository()?;
        call.app.mirror.as_ref().filter(|mirror| mirror.covers(name))
    };
    let is_foreign =
        is_pull && is_basic(sent) && pulls_anonymously(&call.app) && mirrored().is_some();
    (!is_foreign).then_some(sent)
}

/// Those of a request for a token. A token without scopes is that of a login, which is about this
/// registry and nothing else.
pub(crate) fn token_authorization(call: &Call) -> Option<&HeaderValue> {
    let sent = call.headers().get(header::AUTHORIZATION)?;
    let is_foreign = is_basic(sent)
        && call.app.mirror.is_some()
        && pulls_anonymously(&call.app)
        && asks_for_pulls_alone(call.query());
    (!is_foreign).then_some(sent)
}

fn asks_for_pulls_alone(query: Query<'_>) -> bool {
    let is_pull = |scope: &str| scope.starts_with("repository:") && scope.ends_with(":pull");
    let mut scopes = query.all("scope").peekable();
    scopes.peek().is_some() && scopes.all(|scope| scope.split_ascii_whitespace().all(is_pull))
}

fn pulls_anonymously(app: &App) -> bool {
    app.authenticator.as_ref().is_some_and(Authenticator::pulls_anonymously)
}

fn is_basic(authorization: &HeaderValue) -> bool {
    let scheme = authorization.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"basic")
}
