//! Keys that verify signatures: what they can verify, and what they are called.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::algorithm::Algorithm;

/// Sizes of RSA keys, in bits. Smaller ones are weak, larger ones cost too much for each request.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Smallest symmetric key, in bytes: RFC 7518, section 3.2, for HS256.
const SECRET_BYTES_MIN: usize = 32;

const OID_EC: &str = "1.2.840.10045.2.1";
const OID_ED25519: &str = "1.3.101.112";

/// An elliptic curve of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The value of `crv` (RFC 7518, section 6.2.1.1).
    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    fn from_oid(oid: &str) -> Option<Self> {
        match oid {
            "1.2.840.10045.3.1.7" => Some(Self::P256),
            "1.3.132.0.34" => Some(Self::P384),
            "1.3.132.0.35" => Some(Self::P521),
            _ => None,
        }
    }

    const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The one algorithm of this curve (RFC 7518, section 3.4).
    const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }

    const fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        }
    }
}

/// A key that verifies signatures.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// The uncompressed point: 4, then both coordinates.
    Ec { curve: Curve, point: Vec<u8> },
    /// The 32 bytes of RFC 8032.
    Ed25519(Vec<u8>),
    /// A secret that the token server has too.
    Secret(Vec<u8>),
}

impl Key {
    /// An RSA key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, String> {
        let [n, e] = [n, e].map(without_leading_zeros);
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            let (low, high) = (RSA_BITS.start(), RSA_BITS.end());
            return Err(format!("an RSA key of {bits} bits; it must have {low} to {high}"));
        }
        RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| "not a valid RSA key")?;
        Ok(Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// A key on a curve of NIST, from its two coordinates.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, String> {
        // RFC 7518, section 6.2.1.2: always the full length.
        if [x, y].iter().any(|coordinate| coordinate.len() != curve.coordinate_bytes()) {
            let (name, bytes) = (curve.name(), curve.coordinate_bytes());
            return Err(format!("a coordinate on {name} must have {bytes} bytes"));
        }
        Self::ec_point(curve, [&[4], x, y].concat())
    }

    fn ec_point(curve: Curve, point: Vec<u8>) -> Result<Self, String> {
        if point.len() != 1 + 2 * curve.coordinate_bytes()
            || ParsedPublicKey::new(curve.verification(), &point).is_err()
        {
            return Err(format!("not a point on {}", curve.name()));
        }
        Ok(Self::Ec { curve, point })
    }

    /// A key of Ed25519.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn ed25519(point: &[u8]) -> Result<Self, String> {
        if point.len() != 32 {
            return Err("an Ed25519 key must have 32 bytes".into());
        }
        Ok(Self::Ed25519(point.to_vec()))
    }

    /// A shared secret.
    ///
    /// # Errors
    /// It is too short.
    pub(crate) fn secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES_MIN {
            let bytes = secret.len();
            return Err(format!("a secret of {bytes} bytes; it needs {SECRET_BYTES_MIN}"));
        }
        Ok(Self::Secret(secret.to_vec()))
    }

    /// The key in a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7) in DER.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_spki_der(der: &[u8]) -> Result<Self, String> {
        match SubjectPublicKeyInfo::from_der(der) {
            Ok((_, spki)) => Self::from_spki(&spki),
            Err(_) => Err("not a public key in DER".into()),
        }
    }

    /// As [`Self::from_spki_der`].
    pub(crate) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, String> {
        let bits: &[u8] = spki.subject_public_key.data.as_ref();
        let algorithm = spki.algorithm.algorithm.to_id_string();
        match algorithm.as_str() {
            OID_EC => {
                let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                let curve = curve.map(|oid| oid.to_id_string()).unwrap_or_default();
                let curve = Curve::from_oid(&curve)
                    .ok_or("on a curve other than P-256, P-384 and P-521")?;
                Self::ec_point(curve, bits.to_vec())
            }
            OID_ED25519 => Self::ed25519(bits),
            _ => match spki.parsed() {
                Ok(PublicKey::RSA(key)) => Self::rsa(key.modulus, key.exponent),
                _ => Err(format!("a key of the unsupported kind {algorithm}")),
            },
        }
    }

    /// Whether this kind of key makes signatures of that kind. The key decides: whatever the
    /// token's header says, a public key is never taken for a secret.
    pub(crate) fn accepts(&self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        match self {
            Self::Rsa { .. } => {
                matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            Self::Ec { curve, .. } => algorithm == curve.algorithm(),
            Self::Ed25519(_) => algorithm == EdDsa,
            // RFC 7518, section 3.2: a key at least as long as the hash.
            Self::Secret(secret) => match algorithm {
                Hs256 => true,
                Hs384 => secret.len() >= 48,
                Hs512 => secret.len() >= 64,
                _ => false,
            },
        }
    }

    /// Whether `signature` is this key's signature of `message`.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.accepts(algorithm) {
            return false;
        }
        match self {
            Self::Rsa { n, e } => rsa_parameters(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Self::Ec { curve, point } => UnparsedPublicKey::new(curve.verification(), point)
                .verify(message, signature)
                .is_ok(),
            Self::Ed25519(point) => UnparsedPublicKey::new(&signature::ED25519, point)
                .verify(message, signature)
                .is_ok(),
            Self::Secret(secret) => hmac_algorithm(algorithm).is_some_and(|algorithm| {
                hmac::verify(&hmac::Key::new(algorithm, secret), message, signature).is_ok()
            }),
        }
    }

    /// The SHA-256 thumbprint of RFC 7638, in base64url without padding.
    pub(crate) fn thumbprint(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // The required members in the order of their names, without white space (section 3).
        let json = match self {
            Self::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n))
            }
            Self::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(curve.coordinate_bytes());
                let name = curve.name();
                format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Self::Ed25519(x) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x))
            }
            Self::Secret(k) => format!(r#"{{"k":"{}","kty":"oct"}}"#, text(k)),
        };
        text(&Sha256::digest(json))
    }
}

/// Says what kind of key it is, not the key: it may be a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { .. } => "RSA key",
            Self::Ec { .. } => "EC key",
            Self::Ed25519(_) => "Ed25519 key",
            Self::Secret(_) => "secret",
        })
    }
}

/// What Docker's libtrust called a public key, and with it `registry:2` and the token servers that
/// were made for it: the first 240 bits of the SHA-256 of its `SubjectPublicKeyInfo`, in base32, in
/// groups of four.
pub(crate) fn libtrust_id(spki_der: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(spki_der);
    let mut id = String::with_capacity(12 * 5);
    // Five bytes are eight digits: two groups.
    for (index, five) in hash[..30].chunks(5).enumerate() {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for digit in 0..8 {
            if digit == 4 || (digit == 0 && index > 0) {
                id.push(':');
            }
            id.push(char::from(ALPHABET[(bits >> (35 - 5 * digit) & 31) as usize]));
        }
    }
    id
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn hmac_algorithm(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_rfc_7638() {
        // Section 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let n = URL_SAFE_NO_PAD.decode(n).unwrap();
        let key = Key::rsa(&n, &[1, 0, 1]).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037, appendix A.3.
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = Key::ed25519(&x).unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_libtrust_id_of_docker_s_manifest_specification() {
        // The example of "Image Manifest Version 2, Schema 1".
        let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let x = decode("3gAwX48IQ5oaYQAYSxor6rYYc_6yjuLCjtQ9LUakg4A");
        let y = decode("t72ge6kIA1XOjqjVoEOiPPAURltJFBMGDSQvEGVB010");
        // RFC 5480: a key on P-256.
        let mut spki = vec![0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        spki.extend([6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4]);
        spki.extend([x, y].concat());
        assert!(Key::from_spki_der(&spki).is_ok());
        let expected = "OD6I:6DRK:JXEJ:KBM4:255X:NSAA:MUSF:E4VM:ZI6W:CUN2:L4Z6:LSF4";
        assert_eq!(libtrust_id(&spki), expected);
    }

    #[test]
    fn weak_and_broken_keys_are_refused() {
        assert!(Key::rsa(&[0xff; 128], &[1, 0, 1]).unwrap_err().contains("1024 bits"));
        assert!(Key::rsa(&[], &[]).unwrap_err().contains("0 bits"));
        assert!(Key::rsa(&[0xff; 2048], &[1, 0, 1]).unwrap_err().contains("16384 bits"));
        assert!(Key::ec(Curve::P256, &[1; 32], &[1; 32]).unwrap_err().contains("P-256"));
        assert!(Key::ec(Curve::P256, &[1; 31], &[1; 32]).unwrap_err().contains("32 bytes"));
        assert!(Key::secret(b"hunter2").unwrap_err().contains("7 bytes"));
        assert_eq!(format!("{:?}", Key::secret(&[7; 32]).unwrap()), "secret");
    }
}
