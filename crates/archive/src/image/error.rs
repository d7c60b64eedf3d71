//! What can go wrong with an export or import.

use std::io;

use oci::Digest;
use storage::StorageError;

use crate::limits::{INDEX_DEPTH_MAX, MANIFESTS_MAX};
use crate::tar::TarError;

/// Why an image can't be exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file is no image in a known form.
    #[error(
        "there is no image in it: neither `oci-layout` and `index.json` (an OCI image layout) nor \
         `manifest.json` (docker save)"
    )]
    Unrecognised,
    /// It is compressed in a way that is not supported.
    #[error("{path} is compressed with zstd; decompress it first (zstd -d)")]
    Compression {
        /// The file.
        path: String,
    },
    /// A document in it can't be read.
    #[error("{path} can't be read: {reason}")]
    Document {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It lacks a file.
    #[error("{path} is missing in it")]
    Missing {
        /// The file.
        path: String,
    },
    /// An index lists what is not there.
    #[error(
        "the index {index} lists {missing}, which is not in it: choose one of its images by \
         --platform, of {platforms}"
    )]
    Sparse {
        /// The index.
        index: Digest,
        /// What is missing.
        missing: String,
        /// The platforms it lists.
        platforms: String,
    },
    /// Content does not have its digest.
    #[error("{path} is damaged: it has the digest {actual}, not {expected}")]
    Corrupt {
        /// The file.
        path: String,
        /// The digest by which it is called.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// It has several images, and it was not said which.
    #[error("it has several images; choose one by --image: {names}")]
    SeveralImages {
        /// What they are called.
        names: String,
    },
    /// It does not have the image that was asked for.
    #[error("it has no image {wanted:?}, but: {names}")]
    NoImage {
        /// What was asked for.
        wanted: String,
        /// What they are called.
        names: String,
    },
    /// It has no image for a platform.
    #[error("there is no image for {wanted}, but for: {platforms}")]
    NoPlatform {
        /// What was asked for.
        wanted: String,
        /// The platforms there are.
        platforms: String,
    },
    /// A docker archive holds one image, and it was not said for which platform.
    #[error("a docker archive holds one image; choose by --platform, of {platforms}")]
    PlatformNeeded {
        /// The platforms there are.
        platforms: String,
    },
    /// It is no image that docker could load.
    #[error(
        "{digest} is no image that fits a docker archive: {reason}. Export it with --format oci"
    )]
    NotAnImage {
        /// The manifest.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// Indexes within indexes, or very many of them.
    #[error(
        "there are more than {MANIFESTS_MAX} manifests, or more than {INDEX_DEPTH_MAX} indexes in \
         each other"
    )]
    TooMany,
    /// More is packed than is unpacked.
    #[error("more than {limit_bytes} bytes are packed in it")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// There is a file already, or a directory that is no OCI layout.
    #[error("{path} is there already; delete it, or choose another name")]
    Exists {
        /// The file.
        path: String,
    },
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
    /// The archive can't be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A directory can't be read or written.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The registry refuses, or failed.
    #[error("{0}")]
    Registry(#[from] registry::Error),
}

impl ImageError {
    pub(super) fn io(path: impl ToString) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Io { path, source }
    }

    pub(super) fn document(path: impl ToString, reason: impl ToString) -> Self {
        Self::Document { path: path.to_string(), reason: reason.to_string() }
    }
}
