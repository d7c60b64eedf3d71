//! The exchange of credentials for a token, with the token service that an endpoint names.
//!
//! The service's URL comes from the endpoint's answer, so that whoever can forge an answer could
//! have the credentials sent to a server of its own (CVE-2026-33540). So they are sent only where
//! the service's host is the endpoint's own or has the same registrable domain, by the list of
//! public suffixes (`auth.docker.io` for `registry-1.docker.io`), and never to another address.
//! Elsewhere the token is asked for as anybody may ask for it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::challenge::Bearer;
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::guard::bare_host;
use super::logins::Login;
use super::reading::{read_body, refusal};
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_LIFETIME, TOKEN_LIFETIME_MAX, TOKEN_MARGIN_MAX};

/// A token, as the header that it is sent in.
pub(crate) struct Token {
    header: HeaderValue,
    fresh_until: Instant,
}

impl Token {
    /// The token while it is fresh.
    pub(crate) fn fresh(&self) -> Option<HeaderValue> {
        (Instant::now() < self.fresh_until).then(|| self.header())
    }

    /// The token, fresh or not.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("fresh_until", &self.fresh_until).finish_non_exhaustive()
    }
}

/// Has a token.
///
/// # Errors
/// [`UpstreamError`]: the service's own answer when it is that it does not want to or can't.
pub(crate) async fn exchange(
    endpoint: &Endpoint,
    bearer: &Bearer,
    scope: &str,
    login: &Login,
) -> Result<Token, UpstreamError> {
    let realm = Url::parse(&bearer.realm)
        .map_err(|_| endpoint.invalid("the URL of its token service is not one"))?;
    if endpoint.base().scheme() == "https" && realm.scheme() != "https" {
        return Err(endpoint.invalid("its token service is not asked over https"));
    }
    let login = if is_trusted(endpoint.base(), &realm) {
        login
    } else {
        if !matches!(login, Login::Nobody) {
            tracing::warn!(
                upstream = %endpoint.upstream,
                host = bare_host(&realm),
                "the token service is of another domain than the upstream, so it does not get the \
                 credentials; a token is asked for without them"
            );
        }
        &Login::Nobody
    };
    let asked = Instant::now();
    let response = endpoint.send(request(endpoint, realm, bearer, scope, login)?).await?;
    let token = read(endpoint, response).await?;
    let lifetime = token.lifetime();
    let margin = TOKEN_MARGIN_MAX.min(lifetime / 10);
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.text))
        .map_err(|_| endpoint.invalid("its token service's token is not a text"))?;
    header.set_sensitive(true);
    Ok(Token { header, fresh_until: asked + (lifetime - margin) })
}

fn request(
    endpoint: &Endpoint,
    mut realm: Url,
    bearer: &Bearer,
    scope: &str,
    login: &Login,
) -> Result<RequestBuilder, UpstreamError> {
    let client = endpoint
        .clients
        .client_for(&realm)
        .map_err(|reason| endpoint.invalid(format!("its token service is not asked: {reason}")))?;
    let _ = realm.set_username("");
    let _ = realm.set_password(None);
    let mut fields: Vec<(&str, &str)> = Vec::new();
    fields.extend(bearer.service.as_deref().map(|service| ("service", service)));
    let request = if let Login::Identity(token) = login {
        fields.push(("scope", scope));
        fields.push(("grant_type", "refresh_token"));
        fields.push(("client_id", "wharf"));
        fields.push(("refresh_token", token.reveal()));
        let form = form(&fields);
        client.post(realm).header(CONTENT_TYPE, HeaderValue::from_static(FORM)).body(form)
    } else {
        fields.extend(scope.split_whitespace().map(|scope| ("scope", scope)));
        if let Login::User { username, .. } = login {
            fields.push(("account", username));
        }
        realm.query_pairs_mut().extend_pairs(fields);
        let request = client.get(realm);
        match login.basic() {
            Some(basic) => request.header(AUTHORIZATION, basic),
            None => request,
        }
    };
    Ok(request.header(ACCEPT, HeaderValue::from_static("application/json")))
}

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A form, encoded.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    // The query of a URL has the same form.
    let Ok(mut url) = Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// Whether credentials for the endpoint may be sent to the token service.
fn is_trusted(endpoint: &Url, realm: &Url) -> bool {
    let (here, there) = (bare_host(endpoint), bare_host(realm));
    if here == there {
        return true;
    }
    if here.parse::<IpAddr>().is_ok() || there.parse::<IpAddr>().is_ok() {
        return false;
    }
    let domain = |host: &str| psl::domain_str(host.trim_end_matches('.')).map(str::to_owned);
    domain(&here).is_some_and(|of_here| domain(&there) == Some(of_here))
}

#[derive(Deserialize)]
struct Body {
    token: Option<String>,
    access_token: Option<String>,
    /// A number, of those who keep to the specification.
    expires_in: Option<Value>,
}

struct Read {
    text: String,
    expires_in: Option<f64>,
}

impl Read {
    fn lifetime(&self) -> Duration {
        let lifetime = self.expires_in.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        lifetime.filter(|time| !time.is_zero()).unwrap_or(TOKEN_LIFETIME).min(TOKEN_LIFETIME_MAX)
    }
}

async fn read(endpoint: &Endpoint, mut response: Response) -> Result<Read, UpstreamError> {
    let status = response.status();
    let idle_timeout = endpoint.body_idle_timeout;
    if !status.is_success() {
        let is_passed_on = status.is_server_error()
            || matches!(
                status,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
            );
        return Err(if is_passed_on {
            refusal(&endpoint.upstream, response, idle_timeout).await
        } else {
            endpoint.invalid(format!("its token service answered {}", status.as_u16()))
        });
    }
    let body = read_body(&mut response, TOKEN_BYTES_MAX, idle_timeout)
        .await
        .map_err(|fault| endpoint.unread(fault, TOKEN_BYTES_MAX))?;
    let no_token = || endpoint.invalid("its token service's answer has no token");
    let body: Body = serde_json::from_slice(&body).map_err(|_| no_token())?;
    let given = [body.token, body.access_token].into_iter().flatten();
    let text = given.into_iter().find(|token| !token.is_empty()).ok_or_else(no_token)?;
    Ok(Read { text, expires_in: body.expires_in.as_ref().and_then(Value::as_f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_in_the_domain() {
        let trusted = |endpoint: &str, realm: &str| {
            is_trusted(&Url::parse(endpoint).unwrap(), &Url::parse(realm).unwrap())
        };
        for (endpoint, realm) in [
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("https://docker.io", "https://auth.docker.io/token"),
            ("https://ghcr.io", "https://ghcr.io/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("https://registry.example.co.uk", "https://auth.example.co.uk/"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("http://localhost:5000", "http://localhost:5001/token"),
            ("https://[::1]", "https://[::1]:1/"),
            ("https://registry.corp.internal", "https://auth.corp.internal/"),
        ] {
            assert!(trusted(endpoint, realm), "{endpoint} {realm}");
        }
        for (endpoint, realm) in [
            ("https://registry-1.docker.io", "https://auth.docker.io.evil.com/token"),
            ("https://registry-1.docker.io", "https://evil-docker.io/token"),
            ("https://registry.example.co.uk", "https://evil.co.uk/"),
            ("https://me.github.io", "https://evil.github.io/"),
            ("https://mine.s3.amazonaws.com", "https://evil.s3.amazonaws.com/"),
            ("http://127.0.0.1:5000", "http://127.0.0.2/token"),
            ("http://10.0.0.1", "http://20.0.0.1/"),
            ("http://localhost", "http://127.0.0.1/"),
            ("https://io", "https://evil.io/"),
        ] {
            assert!(!trusted(endpoint, realm), "{endpoint} {realm}");
        }
    }

    #[test]
    fn lifetimes() {
        let lifetime = |expires_in| Read { text: String::new(), expires_in }.lifetime().as_secs();
        assert_eq!(lifetime(None), 60);
        assert_eq!(lifetime(Some(300.0)), 300);
        for odd in [0.0, -5.0, f64::INFINITY] {
            assert_eq!(lifetime(Some(odd)), 60, "{odd}");
        }
        assert_eq!(lifetime(Some(1e12)), TOKEN_LIFETIME_MAX.as_secs());
    }

    #[test]
    fn forms() {
        assert_eq!(form(&[("a", "b c&d"), ("e", "/+")]), "a=b+c%26d&e=%2F%2B");
    }
}
