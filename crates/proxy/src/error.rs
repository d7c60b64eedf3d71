//! What can go wrong with what is mirrored.

use std::sync::Arc;

use oci::{Digest, Reference, RepositoryName};

use crate::UpstreamError;

/// The result of asking for what is mirrored.
pub(crate) type Result<T, E = MirrorError> = std::result::Result<T, E>;

/// Why something of a mirrored repository can't be had. Shared by all who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The upstream said no, or nothing.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The registry that it is kept in failed.
    #[error(transparent)]
    Registry(Arc<registry::Error>),
    /// It is not here, and nobody is asked for it.
    #[error(
        "{name} has no {what} here, and upstream {upstream} is not asked: it is offline by configuration"
    )]
    Offline {
        /// The repository here.
        name: RepositoryName,
        /// What was asked for.
        what: Wanted,
        /// The upstream's name.
        upstream: String,
    },
    /// The upstream said a moment ago that there is no such thing.
    #[error("upstream {upstream} said a moment ago that {name} has no {what}")]
    Absent {
        /// The repository here.
        name: RepositoryName,
        /// What was asked for.
        what: Wanted,
        /// The upstream's name.
        upstream: String,
    },
    /// What nobody waits for can't be kept.
    #[error("{reason}")]
    NoRoom {
        /// Why there is no room for it.
        reason: String,
    },
    /// Whoever was to fetch it ended without an answer.
    #[error("what was being fetched from upstream {upstream} was given up")]
    GivenUp {
        /// The upstream's name.
        upstream: String,
    },
}

/// What is asked for in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A manifest.
    Manifest(Reference),
    /// A blob.
    Blob(Digest),
    /// A list of tags or referrers.
    List,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest(reference) => write!(f, "manifest {reference}"),
            Self::Blob(digest) => write!(f, "blob {digest}"),
            Self::List => f.write_str("list"),
        }
    }
}

impl From<registry::Error> for MirrorError {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Arc::new(error))
    }
}

impl MirrorError {
    /// Whether it says that there is no such thing, which is an answer like any other.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Upstream(error) => error.is_not_found(),
            Self::Absent { .. } => true,
            _ => false,
        }
    }
}
