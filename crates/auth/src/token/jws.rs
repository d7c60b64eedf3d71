//! The form of a token: JSON Web Signature, compact (RFC 7515, section 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::jwk::Jwk;
use crate::limits::TOKEN_BYTES_MAX;

/// The header of a token. What isn't here has no meaning for wharf.
#[derive(Deserialize)]
pub(crate) struct Header {
    /// How it is signed.
    pub(crate) alg: String,
    /// The name of the key.
    pub(crate) kid: Option<String>,
    /// The key.
    pub(crate) jwk: Option<Jwk>,
    /// The certificate of the key, and those that vouch for it.
    pub(crate) x5c: Option<Vec<String>>,
    crit: Option<IgnoredAny>,
}

/// A token in its parts, none of which is verified.
pub(crate) struct Jws<'a> {
    /// What is said about the signature.
    pub(crate) header: Header,
    /// What is signed.
    pub(crate) signed: &'a [u8],
    /// The claims, in JSON.
    pub(crate) payload: Vec<u8>,
    /// The signature.
    pub(crate) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub(crate) fn parse(token: &'a str) -> Result<Self, String> {
        if token.len() > TOKEN_BYTES_MAX {
            let bytes = token.len();
            return Err(format!("a token of {bytes} bytes; at most {TOKEN_BYTES_MAX} are read"));
        }
        let parts: Vec<&str> = token.splitn(4, '.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err("not three parts with dots between".into());
        };
        let decode = |part: &str, what: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| format!("its {what} is not base64url without padding"))
        };
        let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let header: Header = serde_json::from_slice(&decode(header, "header")?)
            .map_err(|_| "its header is not a JSON object of the right form")?;
        // RFC 7515, section 4.1.11: what is critical must be understood.
        if header.crit.is_some() {
            return Err("its header has \"crit\", and no extensions are supported".into());
        }
        let payload = decode(payload, "payload")?;
        Ok(Self { header, signed, payload, signature: decode(signature, "signature")? })
    }
}
