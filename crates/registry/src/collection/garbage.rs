//! What is going to be deleted, and why.

use std::fmt;

use oci::{Digest, RepositoryName, Tag};

use crate::claims::Claim;

/// Something that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Garbage {
    /// A tag of a repository.
    Tag {
        /// The repository.
        name: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it names. Should it name something else by then, it stays.
        digest: Digest,
    },
    /// A manifest of a repository. Its content may be another one's, and is a blob of its own.
    Manifest {
        /// The repository.
        name: RepositoryName,
        /// Its canonical digest.
        digest: Digest,
        /// The other digests under which the repository has it.
        aliases: Vec<Digest>,
    },
    /// That a blob is part of a repository.
    Layer {
        /// The repository.
        name: RepositoryName,
        /// The digest under which the repository has it.
        digest: Digest,
        /// Its canonical digest.
        canonical: Digest,
    },
    /// A blob, as no repository has it.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its size, in bytes.
        size_bytes: u64,
    },
}

/// Why it is garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No manifest names it.
    Unreferenced,
    /// It has no tag, and is no part of anything that has one.
    Untagged,
    /// Its subject is not in the repository.
    SubjectGone,
    /// There is a directory for it, and nothing in it.
    Empty,
    /// A retention rule lets it go.
    Retention,
    /// It is cached, and an eviction takes it.
    Evicted,
}

impl Reason {
    /// It in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreferenced => "no manifest refers to it",
            Self::Untagged => "it has no tag and is no part of a tagged manifest",
            Self::SubjectGone => "the manifest that it refers to is gone",
            Self::Empty => "there is nothing in its directory",
            Self::Retention => "no retention rule keeps it",
            Self::Evicted => "it is cached, and was not used lately",
        }
    }
}

impl Garbage {
    /// The repository that it is deleted from; a blob is in none.
    #[must_use]
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Tag { name, .. } | Self::Manifest { name, .. } | Self::Layer { name, .. } => {
                Some(name)
            }
            Self::Blob { .. } => None,
        }
    }

    /// What an operation claims that relies on it.
    pub(super) fn claim(&self) -> Claim {
        match self {
            Self::Tag { name, tag, .. } => Claim::tag(name, tag),
            Self::Manifest { digest, .. } | Self::Blob { digest, .. } => Claim::content(digest),
            Self::Layer { canonical, .. } => Claim::content(canonical),
        }
    }
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag { name, tag, .. } => write!(f, "tag {name}:{tag}"),
            Self::Manifest { name, digest, .. } => write!(f, "manifest {name}@{digest}"),
            Self::Layer { name, digest, .. } => write!(f, "layer link {name}@{digest}"),
            Self::Blob { digest, .. } => write!(f, "blob {digest}"),
        }
    }
}

/// Garbage, and what else goes or stays with it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) garbage: Garbage,
    pub(super) reason: Reason,
    /// The manifests of the same repository whose end is the reason: as long as one of them stays,
    /// so does this.
    pub(super) parents: Vec<Claim>,
    /// The tags that name it and go as well, likewise.
    pub(super) tags: Vec<Claim>,
    /// How many manifests are above it that go as well, one upon the other.
    pub(super) depth: u32,
}

impl Item {
    pub(super) const fn new(garbage: Garbage, reason: Reason) -> Self {
        Self { garbage, reason, parents: Vec::new(), tags: Vec::new(), depth: 0 }
    }
}
