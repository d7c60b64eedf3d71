//! JSON Web Keys (RFC 7517).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::algorithm::Algorithm;
use super::fault::quoted;
use super::key::{Curve, Key};
use super::key_ring::TrustedKey;
use crate::limits::TOKEN_KEYS_MAX;

/// One key. Has no `Debug`, because it may be a secret.
#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    /// Its name.
    pub(crate) kid: Option<String>,
    /// Certificates, the key's own first, in base64 (not base64url).
    pub(crate) x5c: Option<Vec<String>>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<String>,
}

impl Jwk {
    /// The key itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn key(&self) -> Result<Key, String> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Key::rsa(&bytes("n", &self.n)?, &bytes("e", &self.e)?),
            ("EC", Some(name)) => {
                let curve = Curve::from_name(name)
                    .ok_or_else(|| format!("\"crv\" {} is not supported", quoted(name)))?;
                Key::ec(curve, &bytes("x", &self.x)?, &bytes("y", &self.y)?)
            }
            ("EC" | "OKP", None) => Err("it has no \"crv\"".into()),
            ("OKP", Some("Ed25519")) => Key::ed25519(&bytes("x", &self.x)?),
            ("OKP", Some(name)) => Err(format!("\"crv\" {} is not supported", quoted(name))),
            ("oct", _) => Key::secret(&bytes("k", &self.k)?),
            (kind, _) => Err(format!("\"kty\" {} is not supported", quoted(kind))),
        }
    }

    /// The key, if it is there to verify signatures.
    fn trusted(&self) -> Result<TrustedKey, String> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("its \"use\" is not \"sig\"".into());
        }
        // A secret that signs verifies too.
        let verifies = |operation: &String| {
            operation == "verify" || (self.kty == "oct" && operation == "sign")
        };
        if self.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(verifies)) {
            return Err("its \"key_ops\" have no \"verify\"".into());
        }
        let only = match self.alg.as_deref() {
            None => None,
            Some(name) => Some(
                Algorithm::from_name(name)
                    .ok_or_else(|| format!("its \"alg\" {} signs nothing", quoted(name)))?,
            ),
        };
        let key = self.key()?;
        let names = self.kid.iter().cloned().collect();
        Ok(TrustedKey::new(key, names, only))
    }
}

fn bytes(name: &str, value: &Option<String>) -> Result<Vec<u8>, String> {
    let text = value.as_ref().ok_or_else(|| format!("it has no \"{name}\""))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("\"{name}\" is not base64url without padding"))
}

/// A set of keys (RFC 7517, section 5).
#[derive(Debug, Default)]
pub(crate) struct JwkSet {
    /// Those that verify signatures.
    pub(crate) keys: Vec<Arc<TrustedKey>>,
    /// Why others were left out.
    pub(crate) left_out: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl JwkSet {
    /// Reads a key set. Keys that are not understood are left out, as section 5 says.
    ///
    /// # Errors
    /// It is no key set, or there is no key in it that verifies signatures.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(json).map_err(|error| {
            // The position only: the message may quote a secret.
            let (line, column) = (error.line(), error.column());
            format!("not a JSON object with a list of \"keys\" (line {line}, column {column})")
        })?;
        if document.keys.len() > TOKEN_KEYS_MAX {
            return Err(format!("more than {TOKEN_KEYS_MAX} keys"));
        }
        let mut set = Self::default();
        for (index, value) in document.keys.into_iter().enumerate() {
            let key = serde_json::from_value::<Jwk>(value)
                .map_err(|_| (None, "not a JSON Web Key".to_owned()))
                .and_then(|jwk| jwk.trusted().map_err(|problem| (jwk.kid, problem)));
            match key {
                Ok(key) => set.keys.push(Arc::new(key)),
                Err((kid, problem)) => {
                    let name = kid.map(|kid| format!(", {},", quoted(&kid))).unwrap_or_default();
                    set.left_out.push(format!("key {}{name}: {problem}", index + 1));
                }
            }
        }
        if set.keys.is_empty() {
            let why = match set.left_out.is_empty() {
                true => "the list is empty".to_owned(),
                false => set.left_out.join("; "),
            };
            return Err(format!("no key that verifies signatures: {why}"));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn parse(keys: &str) -> Result<JwkSet, String> {
        JwkSet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes())
    }

    #[test]
    fn keys_that_are_not_understood_are_left_out() {
        let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED25519}","kid":"a"}}"#);
        let cases = [
            (r#"{"kty":"RSA","use":"enc"}"#, "\"use\""),
            (r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#, "X25519"),
            (r#"{"kty":"EC","crv":"secp256k1","kid":"bitcoin"}"#, "bitcoin"),
            (r#"{"kty":"post-quantum"}"#, "post-quantum"),
            (r#"{"kty":"RSA","alg":"RSA-OAEP"}"#, "RSA-OAEP"),
            (r#"{"kty":"RSA","key_ops":["encrypt"]}"#, "key_ops"),
            (r#"{"kty":"RSA","n":"+/=","e":"AQAB"}"#, "\"n\""),
            (r#"{"kty":"EC"}"#, "\"crv\""),
            (r#"{"kty":"oct","k":"aHVudGVyMg"}"#, "7 bytes"),
            (r#"{"kty":5}"#, "not a JSON Web Key"),
            ("7", "not a JSON Web Key"),
        ];
        for (bad, expected) in cases {
            let set = parse(&format!("{bad},{good}")).unwrap();
            assert_eq!(set.keys.len(), 1, "{bad}");
            assert!(set.left_out[0].contains(expected), "{bad}: {:?}", set.left_out);
            assert!(set.left_out[0].starts_with("key 1"), "{bad}: {:?}", set.left_out);
            assert!(parse(bad).unwrap_err().contains(expected), "{bad}");
        }
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for bad in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "\u{0}"] {
            assert!(JwkSet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = vec![r#"{"kty":"x"}"#; TOKEN_KEYS_MAX + 1].join(",");
        assert!(parse(&many).unwrap_err().contains("more than 256"));
    }

    #[test]
    fn no_secret_in_a_message() {
        let error = JwkSet::parse(br#"{"keys":["hunter2"#).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
