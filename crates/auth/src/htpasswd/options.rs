//! Settings.

use std::fmt;
use std::path::PathBuf;

/// Settings of `auth.htpasswd`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HtpasswdOptions {
    /// Realm of the challenge.
    pub realm: String,
    /// The file.
    pub path: PathBuf,
    /// `auth.htpasswd.anonymous` holds `pull`: whoever does not log in may read.
    pub anonymous_pull: bool,
    /// `auth.htpasswd.anonymous` holds `catalog`: whoever does not log in may list the
    /// repositories.
    pub anonymous_catalog: bool,
    /// What the key of issued tokens is derived from, the same for all replicas of a registry.
    /// Without it the key is random, and tokens end with the process.
    pub token_key: Option<Vec<u8>>,
}

impl fmt::Debug for HtpasswdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HtpasswdOptions")
            .field("realm", &self.realm)
            .field("path", &self.path)
            .field("anonymous_pull", &self.anonymous_pull)
            .field("anonymous_catalog", &self.anonymous_catalog)
            .finish_non_exhaustive()
    }
}
