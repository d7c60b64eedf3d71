//! The private key of an ACME account in the form that the library takes.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// AlgorithmIdentifier of a key on P-256 (RFC 5480, section 2.1.1), in DER.
const P256: &[u8] = &[
    0x30, 0x13, // SEQUENCE
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // id-ecPublicKey
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, // secp256r1
];
const VERSION_0: &[u8] = &[0x02, 0x01, 0x00];
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

/// The key as PKCS #8. Go writes elliptic keys as SEC 1, which PKCS #8 wraps (RFC 5958, section 2).
/// `None` for other kinds of keys, and for a SEC 1 key too long to be one on P-256.
pub(super) fn to_pkcs8(key: PrivateKeyDer<'static>) -> Option<PrivatePkcs8KeyDer<'static>> {
    match key {
        PrivateKeyDer::Pkcs8(key) => Some(key),
        PrivateKeyDer::Sec1(key) => {
            let wrapped = tagged(OCTET_STRING, key.secret_sec1_der())?;
            let content = [VERSION_0, P256, &wrapped].concat();
            Some(PrivatePkcs8KeyDer::from(tagged(SEQUENCE, &content)?))
        }
        _ => None,
    }
}

/// One element of DER with up to 255 bytes of content.
fn tagged(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(content.len()).ok()?;
    let mut element = vec![tag];
    if length >= 0x80 {
        element.push(0x81);
    }
    element.push(length);
    element.extend_from_slice(content);
    Some(element)
}
