//! The bytes that a configuration is made of.

use std::path::PathBuf;

use super::{Plan, Source};
use crate::{TlsError, pem};

/// What the files hold. Compared as a whole: files that were only touched change nothing.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    /// Certificate and key, unless they come from ACME.
    pub(super) pair: Option<Pair>,
    pub(super) client_cas: Vec<(PathBuf, Vec<u8>)>,
}

/// The content of the certificate's and of the key's file.
#[derive(PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Contents {
    pub(super) fn read(plan: &Plan) -> Result<Self, TlsError> {
        let pair = match &plan.source {
            Source::Files { certificate, key } => Some(Pair {
                certificate: pem::read("certificate", certificate)?,
                key: pem::read("key", key)?,
            }),
            Source::Acme(_) => None,
        };
        let client_cas = plan
            .client_cas
            .iter()
            .map(|path| Ok((path.clone(), pem::read("client CA", path)?)))
            .collect::<Result<_, TlsError>>()?;
        Ok(Self { pair, client_cas })
    }
}
