//! The files of `redis.tls`, read once at the start.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use redis::{ClientTlsConfig, TlsCertificates};

use crate::error::OpenError;
use crate::limits::TLS_FILE_BYTES_MAX;
use crate::options::Tls;

pub(super) fn read(tls: &Tls) -> Result<TlsCertificates, OpenError> {
    let client_tls = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Some(ClientTlsConfig {
            client_cert: read_file("redis.tls.certificate", certificate)?,
            client_key: read_file("redis.tls.key", key)?,
        }),
        (None, None) => None,
        (None, Some(_)) => return Err(OpenError::Half { key: "redis.tls.certificate" }),
        (Some(_), None) => return Err(OpenError::Half { key: "redis.tls.key" }),
    };
    let mut authorities = Vec::new();
    for path in &tls.authorities {
        authorities.extend(read_file("redis.tls.rootcas", path)?);
        authorities.push(b'\n');
    }
    let root_cert = (!authorities.is_empty()).then_some(authorities);
    Ok(TlsCertificates { client_tls, root_cert })
}

fn read_file(key: &'static str, path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |source| OpenError::File { key, path: path.to_owned(), source };
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TLS_FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > TLS_FILE_BYTES_MAX {
        return Err(OpenError::FileTooLarge {
            key,
            path: path.to_owned(),
            max: TLS_FILE_BYTES_MAX,
        });
    }
    Ok(content)
}
