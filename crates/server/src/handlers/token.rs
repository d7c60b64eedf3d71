//! `/v2/_token`, where wharf issues tokens itself (`auth.htpasswd.anonymous`): the token endpoint of
//! the Docker Registry v2 authentication specification, and of its OAuth2 form.

use auth::issuer::{TokenError, TokenRequest, TokenResponse};
use auth::limits::TOKEN_REQUEST_BYTES_MAX;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use oci::ErrorCode;

use crate::body::{self, RequestBody};
use crate::error::{self, ApiError};
use crate::exchange::Call;
use crate::response::{Response, ResponseBody};
use crate::{foreign, headers};

/// Issues a token.
pub(super) async fn issue(call: &Call, body: RequestBody) -> Result<Response, ApiError> {
    let issuer = call.app.authenticator.as_ref().filter(|a| a.issues_tokens());
    let issuer = issuer.ok_or_else(ApiError::no_such_endpoint)?;
    let form = match call.parts.method {
        Method::POST => Some(form(call, body).await?),
        _ => None,
    };
    let request = TokenRequest {
        query: call.parts.uri.query().unwrap_or_default(),
        form: form.as_deref(),
        authorization: foreign::token_authorization(call),
        address: call.client_ip(),
    };
    match issuer.token(request).await {
        Ok(TokenResponse { body }) => Ok(uncached_json(StatusCode::OK, body)),
        Err(TokenError::Refused(refusal)) => {
            if let Some(metrics) = &call.app.metrics {
                metrics.refused(&refusal);
            }
            Err(ApiError::refused(refusal, &[]))
        }
        Err(error) => match error.oauth_body() {
            Some(body) => Ok(uncached_json(StatusCode::BAD_REQUEST, body)),
            None => Err(ApiError::no_such_endpoint()),
        },
    }
}

/// The form of a POST. It holds a password.
async fn form(call: &Call, body: RequestBody) -> Result<String, ApiError> {
    let invalid = |e| error::from_body(&e, ErrorCode::Unsupported);
    let body = body::incoming(body, call.app.options.body_idle_timeout);
    let form = body::collect(body, TOKEN_REQUEST_BYTES_MAX as u64).await.map_err(invalid)?;
    String::from_utf8(form.into())
        .map_err(|_| ApiError::bad_request(ErrorCode::Unsupported, "the form is not UTF-8"))
}

/// A body that nobody may keep (RFC 6749, section 5.1).
fn uncached_json(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(ResponseBody::full(body));
    *response.status_mut() = status;
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, headers::JSON);
    map.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
