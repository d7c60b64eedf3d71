//! Certificates and keys in PEM files (RFC 7468), with errors that say what is wrong with a file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::TlsError;
use crate::limits;

const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";

/// Reads a file of PEM; `what` names it in errors.
pub(crate) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { what, path: path.to_owned(), source };
    // To open a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a file")));
    }
    let file = File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    // One byte more than allowed tells too large from just fitting.
    file.take(limits::FILE_SIZE_BYTES_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > limits::FILE_SIZE_BYTES_MAX {
        let limit_bytes = limits::FILE_SIZE_BYTES_MAX;
        return Err(TlsError::TooLarge { what, path: path.to_owned(), limit_bytes });
    }
    Ok(content)
}

/// The certificates of a file's content, at least one; `what` names the file in errors.
pub(crate) fn certificates(
    what: &'static str,
    path: &Path,
    content: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let damaged = |reason: String| TlsError::Damaged { what, path: path.to_owned(), reason };
    let mut found = Vec::new();
    for (kind, der) in sections(what, path, content)? {
        if kind != SectionKind::Certificate {
            continue;
        }
        if found.len() == limits::FILE_CERTIFICATES_MAX {
            return Err(damaged(format!(
                "more than {} certificates",
                limits::FILE_CERTIFICATES_MAX
            )));
        }
        let index = found.len() + 1;
        match x509_parser::parse_x509_certificate(&der) {
            Ok(([], _)) => found.push(CertificateDer::from(der)),
            Ok(_) => {
                return Err(damaged(format!("certificate {index} is followed by other bytes")));
            }
            Err(error) => return Err(damaged(format!("certificate {index}: {error}"))),
        }
    }
    if found.is_empty() {
        let hint = if content.iter().all(u8::is_ascii_whitespace) {
            "the file is empty"
        } else if private_key(path, content).is_ok() {
            "it holds a private key; are certificate and key swapped?"
        } else {
            "it should hold PEM that starts with '-----BEGIN CERTIFICATE-----'"
        };
        return Err(TlsError::Missing { what: CERTIFICATE, path: path.to_owned(), hint });
    }
    Ok(found)
}

/// The first private key of a file's content.
pub(crate) fn private_key(path: &Path, content: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    if is_encrypted(content) {
        return Err(TlsError::EncryptedKey { path: path.to_owned() });
    }
    let sections = sections(KEY, path, content)?;
    let holds_certificate = sections.iter().any(|(kind, _)| *kind == SectionKind::Certificate);
    if let Some(key) =
        sections.into_iter().find_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der))
    {
        return Ok(key);
    }
    let hint = if content.iter().all(u8::is_ascii_whitespace) {
        "the file is empty"
    } else if holds_certificate {
        "it holds a certificate; are certificate and key swapped?"
    } else {
        "it should hold PEM that starts with '-----BEGIN PRIVATE KEY-----'"
    };
    Err(TlsError::Missing { what: "private key", path: path.to_owned(), hint })
}

/// All sections of known kinds. What is cut short is an error, whatever its kind.
fn sections(
    what: &'static str,
    path: &Path,
    content: &[u8],
) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsError> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(content)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Damaged { what, path: path.to_owned(), reason: reason(&error) })
}

/// What is wrong with PEM, without any of its content: it may be a key's.
fn reason(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { end_marker } => {
            let marker = String::from_utf8_lossy(end_marker);
            format!("the line '-----END {}-----' is missing", marker.trim())
        }
        PemError::IllegalSectionStart { .. } => "a '-----BEGIN …-----' line is cut short".into(),
        PemError::Base64Decode(_) => "what stands between the '-----' lines is not base64".into(),
        PemError::Io(error) => error.to_string(),
        _ => "it is not PEM".into(),
    }
}

/// PKCS #8's own encryption, or the older one that a header inside of the section announces
/// (RFC 1421).
fn is_encrypted(content: &[u8]) -> bool {
    let contains = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
    contains(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(b"Proc-Type: 4,ENCRYPTED")
}
