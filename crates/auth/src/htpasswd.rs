//! `auth.htpasswd`: users and password hashes in a file.

use std::path::PathBuf;

use crate::access::Access;
use crate::asking::{Asking, Grant};
use crate::refusal::Refusal;

/// Settings of `auth.htpasswd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HtpasswdOptions {
    /// Realm of the challenge.
    pub realm: String,
    /// The file.
    pub path: PathBuf,
    /// `auth.htpasswd.anonymous` holds `pull`: whoever does not log in may read.
    pub anonymous_pull: bool,
}

/// Users of an htpasswd file.
#[derive(Debug)]
pub struct Htpasswd {
    _options: HtpasswdOptions,
}

impl Htpasswd {
    /// As [`crate::Authenticator::authorize`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn authorize(&self, _: &Asking<'_>, _: &[Access]) -> Result<Grant, Refusal> {
        Err(Refusal::Unavailable("not built yet".into()))
    }
}
