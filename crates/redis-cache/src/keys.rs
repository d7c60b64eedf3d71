//! The names of keys. Distribution's:
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `repository::<repository>::blobs` | set | digests that the repository has |
//! | `blobs::<digest>` | hash | `digest` (the canonical one), `size`, `mediatype` |
//! | `repository::<repository>::blobs::<digest>` | hash | `mediatype` |
//!
//! and wharf's own, which in a cluster lie with the first of these, so that one script can look at
//! both: the part in braces is what the slot is made of.

use oci::{Digest, RepositoryName};

/// The set of what a repository has.
pub(crate) fn blobs(name: &RepositoryName) -> String {
    format!("repository::{name}::blobs")
}

/// What is known of a blob, whoever has it.
pub(crate) fn descriptor(digest: &Digest) -> String {
    format!("blobs::{digest}")
}

/// What Distribution looks at besides; nothing that wharf reads.
pub(crate) fn repository_descriptor(name: &RepositoryName, digest: &Digest) -> String {
    format!("repository::{name}::blobs::{digest}")
}

/// A hash of the revisions that a repository has, and their canonical digests.
pub(crate) fn manifests(name: &RepositoryName) -> String {
    format!("wharf::manifests::{{repository::{name}::blobs}}")
}

/// How many revocations a repository has seen lately.
pub(crate) fn revocations(name: &RepositoryName) -> String {
    format!("wharf::revocations::{{repository::{name}::blobs}}")
}
