//! Basic credentials (RFC 7617).

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderValue;

use crate::limits::{BASIC_BYTES_MAX, PASSWORD_BYTES_MAX};

/// Clients leave out the padding now and then; what is meant is never in doubt.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A user and a password, as a client sent them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The user. Nothing was checked yet.
    pub(crate) user: String,
    /// The password: bytes, because clients differ in their encodings.
    pub(crate) password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// What an `Authorization` header is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authorization<'a> {
    /// There is none.
    Missing,
    /// `Basic`.
    Basic(Credentials),
    /// `Bearer`, and the token.
    Bearer(&'a str),
    /// Anything else.
    Malformed,
}

impl<'a> Authorization<'a> {
    /// Takes a header apart. Schemes are compared without case (RFC 9110, section 11.1).
    pub(crate) fn of(header: Option<&'a HeaderValue>) -> Self {
        let Some(header) = header else { return Self::Missing };
        let Ok(text) = header.to_str() else { return Self::Malformed };
        let Some((scheme, rest)) = text.trim().split_once(' ') else {
            return if text.trim().is_empty() { Self::Missing } else { Self::Malformed };
        };
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("basic") {
            Credentials::decode(rest).map_or(Self::Malformed, Self::Basic)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(rest)
        } else {
            Self::Malformed
        }
    }
}

impl Credentials {
    fn decode(encoded: &str) -> Option<Self> {
        if encoded.len() > BASIC_BYTES_MAX {
            return None;
        }
        let decoded = BASE64.decode(encoded).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        // A user that is not UTF-8 is none of the file's, which is.
        let user = std::str::from_utf8(&decoded[..colon]).ok()?;
        Self::new(user, &decoded[colon + 1..])
    }

    /// A user and a password that came in another way. None if they are longer than any can be.
    pub(crate) fn new(user: &str, password: &[u8]) -> Option<Self> {
        (user.len() <= BASIC_BYTES_MAX && password.len() <= PASSWORD_BYTES_MAX)
            .then(|| Self { user: user.to_owned(), password: password.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(String, Vec<u8>)> {
        let header = HeaderValue::from_str(text).unwrap();
        match Authorization::of(Some(&header)) {
            Authorization::Basic(credentials) => Some((credentials.user, credentials.password)),
            Authorization::Malformed => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn user_and_password_are_apart_at_the_first_colon() {
        // The example of RFC 7617, section 2.
        let aladdin = Some(("Aladdin".to_owned(), b"open sesame".to_vec()));
        for form in [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        ] {
            assert_eq!(of(form), aladdin, "{form}");
        }
        // "a:b:c", ":", "a:" and section 2.1's "test:123£" in UTF-8.
        assert_eq!(of("Basic YTpiOmM="), Some(("a".into(), b"b:c".to_vec())));
        assert_eq!(of("Basic Og=="), Some((String::new(), Vec::new())));
        assert_eq!(of("Basic YTo="), Some(("a".into(), Vec::new())));
        assert_eq!(of("Basic dGVzdDoxMjPCow=="), Some(("test".into(), "123£".into())));
    }

    #[test]
    fn anything_else_is_malformed() {
        // No base64; no colon; a user in Latin-1; no credentials; another scheme.
        for form in ["Basic %%%", "Basic YWJj", "Basic 5Do=", "Basic", "Digest abc", "x"] {
            assert_eq!(of(form), None, "{form}");
        }
        assert_eq!(of(&format!("Basic {}", "A".repeat(BASIC_BYTES_MAX + 1))), None);
        let long = format!("u:{}", "p".repeat(PASSWORD_BYTES_MAX + 1));
        assert_eq!(of(&format!("Basic {}", BASE64.encode(long))), None);
        let binary = HeaderValue::from_bytes(b"Basic \xff").unwrap();
        assert_eq!(Authorization::of(Some(&binary)), Authorization::Malformed);
    }

    #[test]
    fn none_and_bearer() {
        assert_eq!(Authorization::of(None), Authorization::Missing);
        let empty = HeaderValue::from_static("");
        assert_eq!(Authorization::of(Some(&empty)), Authorization::Missing);
        let bearer = HeaderValue::from_static("bearer a.b.c");
        assert_eq!(Authorization::of(Some(&bearer)), Authorization::Bearer("a.b.c"));
    }

    #[test]
    fn credentials_are_not_printed() {
        let credentials = Credentials::new("alice", b"secret").unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials");
    }
}
