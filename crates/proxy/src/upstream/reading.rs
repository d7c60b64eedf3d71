//! Reading answers that are short, and what went wrong.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use serde::Deserialize;
use tokio::time::Instant;

use super::error::UpstreamError;
use super::guard::Forbidden;
use crate::limits::{ERROR_BYTES_MAX, ERROR_CHARS_MAX, RETRY_AFTER_MAX, SHORT_BODY_TIMEOUT};

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum BodyFault {
    TooLarge,
    /// After so many bytes, and why.
    Cut(u64, String),
}

/// Reads a body that is short.
pub(crate) async fn read_body(
    response: &mut Response,
    bytes_max: usize,
    idle_timeout: Duration,
) -> Result<Bytes, BodyFault> {
    let mut body = Vec::new();
    let end = Instant::now() + SHORT_BODY_TIMEOUT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let piece = next_piece(response, idle_timeout.min(left)).await;
        match piece.map_err(|reason| BodyFault::Cut(body.len() as u64, reason))? {
            None => return Ok(body.into()),
            Some(piece) if piece.len() > bytes_max - body.len() => return Err(BodyFault::TooLarge),
            Some(piece) => body.extend_from_slice(&piece),
        }
    }
}

/// The next piece of a body, `None` at its end; otherwise why there is none.
pub(crate) async fn next_piece(
    response: &mut Response,
    idle_timeout: Duration,
) -> Result<Option<Bytes>, String> {
    match tokio::time::timeout(idle_timeout, response.chunk()).await {
        Ok(piece) => piece.map_err(describe),
        Err(_) => Err(format!("nothing came for {} s", idle_timeout.as_secs_f32())),
    }
}

/// An error with its causes. Without the URL, which may be signed.
pub(crate) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

/// Whether a request was not sent because of where it would have gone to.
pub(crate) fn forbidden(error: &reqwest::Error) -> Option<&Forbidden> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        cause = inner.source();
    }
    None
}

/// The error that a refusal is. Reads what the answer says about it.
pub(crate) async fn refusal(
    upstream: &str,
    mut response: Response,
    idle_timeout: Duration,
) -> UpstreamError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let body = read_body(&mut response, ERROR_BYTES_MAX, idle_timeout).await.unwrap_or_default();
    if !status.is_client_error() && !status.is_server_error() {
        let reason = format!("status {} was not expected", status.as_u16());
        return UpstreamError::Invalid { upstream: upstream.to_owned(), reason };
    }
    let (code, message) = said(&body);
    let message = message.unwrap_or_else(|| plain(status));
    UpstreamError::Answered { upstream: upstream.to_owned(), status, code, message, retry_after }
}

/// What is said where nothing was.
fn plain(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason was given").to_lowercase()
}

/// Code and message of the errors that registries and token services send.
pub(crate) fn said(body: &[u8]) -> (Option<String>, Option<String>) {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Body {
        errors: Vec<One>,
        #[serde(alias = "error_description", alias = "details", alias = "detail")]
        message: Option<String>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else { return (None, None) };
    let first = body.errors.into_iter().next().unwrap_or_default();
    let is_code = |code: &String| {
        code.len() <= 64 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    };
    let message = first.message.or(body.message).map(|text| shortened(&text));
    (first.code.filter(is_code), message.filter(|text| !text.is_empty()))
}

/// A text of a stranger as it may be repeated.
pub(crate) fn shortened(text: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(ERROR_CHARS_MAX).map(one_line).collect()
}

/// When an upstream may be asked again: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_errors_say() {
        let text = |text: &str| Some(text.to_owned());
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
                (text("MANIFEST_UNKNOWN"), text("manifest unknown")),
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                (None, text("incorrect username or password")),
            ),
            (r#"{"errors":[{"code":"odd one","message":"a\nb"}]}"#, (None, text("a b"))),
            (r#"{"errors":[]}"#, (None, None)),
            ("<html>", (None, None)),
            ("", (None, None)),
        ] {
            assert_eq!(said(body.as_bytes()), expected, "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(said(long.as_bytes()).1.unwrap().len(), ERROR_CHARS_MAX);
    }

    #[test]
    fn waits() {
        let wait = |text: &str| {
            let headers = [(RETRY_AFTER, HeaderValue::from_str(text).unwrap())];
            retry_after(&headers.into_iter().collect())
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Wed, 21 Oct 2099 07:28:00 GMT"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }
}
