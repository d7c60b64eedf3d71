//! Makes keys and tokens.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::token::algorithm::Algorithm;
use crate::token::key::{Key, libtrust_id};

/// What signs tokens in a token server.
pub(super) enum Signer {
    /// A key pair, RSA, EC or Ed25519.
    Pair(KeyPair),
    /// A shared secret.
    Secret(Vec<u8>),
}

impl Signer {
    /// A new key of the kind that makes such signatures.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        use Algorithm::*;
        let kind = match algorithm {
            Hs256 | Hs384 | Hs512 => return Self::Secret(rand::random::<[u8; 64]>().to_vec()),
            Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Es384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Es512 => &rcgen::PKCS_ECDSA_P521_SHA512,
            EdDsa => &rcgen::PKCS_ED25519,
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => &rcgen::PKCS_RSA_SHA256,
        };
        Self::Pair(KeyPair::generate_for(kind).unwrap())
    }

    /// The key pair.
    pub(super) fn pair(&self) -> &KeyPair {
        match self {
            Self::Pair(pair) => pair,
            Self::Secret(_) => panic!("a secret is no pair"),
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Pair(pair) => Key::from_spki_der(&pair.subject_public_key_info()).unwrap(),
            Self::Secret(secret) => Key::secret(secret).unwrap(),
        }
    }

    /// Its name as RFC 7638 has it.
    pub(super) fn thumbprint(&self) -> String {
        self.key().thumbprint()
    }

    /// Its name as libtrust has it.
    pub(super) fn libtrust_id(&self) -> String {
        libtrust_id(&self.pair().subject_public_key_info())
    }

    /// As a JSON Web Key without a name.
    pub(super) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.key() {
            Key::Rsa { n, e } => json!({"kty": "RSA", "n": text(&n), "e": text(&e)}),
            Key::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(point.len() / 2);
                let crv = match curve {
                    crate::token::key::Curve::P256 => "P-256",
                    crate::token::key::Curve::P384 => "P-384",
                    crate::token::key::Curve::P521 => "P-521",
                };
                json!({"kty": "EC", "crv": crv, "x": text(x), "y": text(y)})
            }
            Key::Ed25519(x) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(&x)}),
            Key::Secret(k) => json!({"kty": "oct", "k": text(&k)}),
        }
    }

    /// A signature.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        use Algorithm::*;
        let random = SystemRandom::new();
        let pair = match self {
            Self::Pair(pair) => pair.serialize_der(),
            Self::Secret(secret) => return hmac(algorithm, secret, message),
        };
        let ecdsa = |kind| {
            let pair = EcdsaKeyPair::from_pkcs8(kind, &pair).unwrap();
            pair.sign(&random, message).unwrap().as_ref().to_vec()
        };
        let rsa: &'static dyn signature::RsaEncoding = match algorithm {
            Es256 => return ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Es384 => return ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Es512 => return ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair).unwrap();
                return pair.sign(message).as_ref().to_vec();
            }
            Rs256 => &signature::RSA_PKCS1_SHA256,
            Rs384 => &signature::RSA_PKCS1_SHA384,
            Rs512 => &signature::RSA_PKCS1_SHA512,
            Ps256 => &signature::RSA_PSS_SHA256,
            Ps384 => &signature::RSA_PSS_SHA384,
            Ps512 => &signature::RSA_PSS_SHA512,
            Hs256 | Hs384 | Hs512 => panic!("a pair is no secret"),
        };
        let pair = RsaKeyPair::from_pkcs8(&pair).unwrap();
        let mut made = vec![0; pair.public_modulus_len()];
        pair.sign(rsa, &random, message, &mut made).unwrap();
        made
    }

    /// A token with this header, to which `alg` is added, and these claims.
    pub(super) fn token(&self, algorithm: Algorithm, mut header: Value, claims: &Value) -> String {
        header["alg"] = algorithm.name().into();
        let signed = signed_part(&header, claims);
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// HMAC with any secret, also one that is no secret.
pub(super) fn hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        Algorithm::Hs256 => aws_lc_rs::hmac::HMAC_SHA256,
        Algorithm::Hs384 => aws_lc_rs::hmac::HMAC_SHA384,
        Algorithm::Hs512 => aws_lc_rs::hmac::HMAC_SHA512,
        other => panic!("{other:?} is no HMAC"),
    };
    let key = aws_lc_rs::hmac::Key::new(algorithm, secret);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

/// What is signed of a token.
pub(super) fn signed_part(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}
