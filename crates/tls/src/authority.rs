//! A local authority, and server certificates from it: for networks without a public name, where no
//! authority that clients know already gives one.
//!
//! The files have the names that guides for `registry:2` use: `ca.crt` and `ca.key` for the
//! authority, `domain.crt` and `domain.key` for the server.

mod host;
mod issue;
mod kept;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::TlsError;
pub use host::{Host, HostError};

/// What certificate to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom it is for, as clients call the server; at least one.
    pub hosts: Vec<Host>,
    /// The directory for the files; it is made if it is missing.
    pub directory: PathBuf,
    /// How many days the server's certificate is good for. The authority's ends it too.
    pub days: u32,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The files.
    pub files: Files,
    /// Whether the authority was there already.
    pub reused_authority: bool,
    /// Until when the authority is good.
    pub authority_until: Timestamp,
    /// Whether the server had a certificate of this authority before.
    pub renewed: bool,
    /// Until when the server's certificate is good.
    pub until: Timestamp,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The authority's certificate, for the clients.
    pub authority: PathBuf,
    /// The authority's key, for nobody.
    pub authority_key: PathBuf,
    /// The server's certificate followed by the authority's.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Files {
    fn of(directory: &Path) -> Self {
        Self {
            authority: directory.join("ca.crt"),
            authority_key: directory.join("ca.key"),
            certificate: directory.join("domain.crt"),
            key: directory.join("domain.key"),
        }
    }
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Nobody to make it for.
    #[error("name at least one host that clients call the server by, such as nas.lan")]
    NoHosts,
    /// A file can't be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// One half of the authority is missing.
    #[error(
        "there is {} but not {}; put the missing one back, or take another directory for a new authority",
        there.display(), missing.display()
    )]
    HalfAuthority {
        /// The file that is there.
        there: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The authority that is there can't sign anything.
    #[error(
        "{} {reason}; move ca.crt and ca.key away to get a new authority, which every client has to be given again",
        path.display()
    )]
    UnusableAuthority {
        /// Its certificate.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The server has a certificate from somewhere else, which is not for wharf to replace.
    #[error(
        "{} is there and did not come from {}; move it and its key away, or take another directory",
        path.display(), authority.display()
    )]
    NotOurs {
        /// The file that would be replaced.
        path: PathBuf,
        /// The authority's certificate.
        authority: PathBuf,
    },
    /// A file can't be read, or does not hold what it should.
    #[error(transparent)]
    File(#[from] TlsError),
    /// A key or certificate can't be made.
    #[error("cannot make the certificate: {0}")]
    Crypto(#[from] rcgen::Error),
    /// A lifetime that no certificate can have.
    #[error("{0} days is no lifetime for a certificate; the default is 825")]
    Days(u32),
}

/// Makes a server certificate, and the authority if the directory has none yet. Never replaces an
/// authority, and a server's certificate only if the authority in the directory made it. Blocks on
/// the file system.
///
/// # Errors
///
/// Anything in the way; nothing is replaced then.
pub fn issue(request: &Request) -> Result<Issued, AuthorityError> {
    issue::issue(request, Timestamp::now())
}

#[cfg(test)]
mod tests;
