//! What can go wrong in the domain.

use oci::{Digest, ManifestError, Reference, RepositoryName};
use storage::StorageError;

use crate::UploadId;

/// The result of a domain operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of the registry failed. The HTTP layer maps each to a status and a code of
/// the specification, in one place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No manifest was ever pushed to the repository, or none is left.
    #[error("repository {name} is not known")]
    NameUnknown {
        /// The repository.
        name: RepositoryName,
    },
    /// The repository has no such manifest.
    #[error("{name} has no manifest {reference}")]
    ManifestUnknown {
        /// The repository.
        name: RepositoryName,
        /// The tag or digest that was asked for.
        reference: Reference,
    },
    /// The repository has no such blob.
    #[error("{name} has no blob {digest}")]
    BlobUnknown {
        /// The repository.
        name: RepositoryName,
        /// The digest that was asked for.
        digest: Digest,
    },
    /// The repository has no such upload: it never existed, was finished, cancelled or purged.
    #[error("{name} has no upload {id}")]
    UploadUnknown {
        /// The repository.
        name: RepositoryName,
        /// The upload.
        id: UploadId,
    },
    /// Another request is writing to the upload right now.
    #[error("another request is writing to upload {id}; ask for its status and go on from there")]
    UploadBusy {
        /// The upload.
        id: UploadId,
    },
    /// What was sent does not have the digest that was promised.
    #[error("the content has digest {actual}, not {expected}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What the content has.
        actual: Digest,
    },
    /// A chunk does not begin where the upload stands.
    #[error("the chunk begins at {start}, but the upload has {size_bytes} bytes")]
    RangeInvalid {
        /// First byte of the chunk.
        start: u64,
        /// Bytes received before it.
        size_bytes: u64,
    },
    /// A chunk has more or fewer bytes than its range says.
    #[error("the chunk has {actual_bytes} bytes, but its range covers {expected_bytes}")]
    SizeInvalid {
        /// What the range says, in bytes.
        expected_bytes: u64,
        /// What came, in bytes; counted up to the first byte too many.
        actual_bytes: u64,
    },
    /// The manifest breaks a rule of its format.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The manifest refers to what is not there or not allowed; every fault is listed.
    #[error("the manifest has {} unacceptable references, the first: {}", .0.len(), .0.first().map_or("", |f| f.reason.as_str()))]
    ManifestReferences(Vec<ReferenceFault>),
    /// A policy of the registry forbids it.
    #[error("{0}")]
    Denied(String),
    /// Stored content does not have the digest under which it is stored.
    #[error(
        "the stored content of {digest} is damaged (it has digest {actual}); push it again to \
         repair it"
    )]
    Corrupt {
        /// Where it is stored.
        digest: Digest,
        /// What it has.
        actual: Digest,
    },
    /// The request's body could not be read to its end.
    #[error("the request's body broke off: {0}")]
    Body(#[from] BodyError),
    /// The storage failed. Never means that something is not there.
    #[error("storage: {0}")]
    Storage(StorageError),
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// One unacceptable reference of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceFault {
    /// The digest as the manifest has it.
    pub digest: String,
    /// Whether the content is missing (`MANIFEST_BLOB_UNKNOWN`) or the reference itself is not
    /// allowed, such as a URL that the configuration forbids (`MANIFEST_INVALID`).
    pub missing: bool,
    /// What is wrong, for a person.
    pub reason: String,
}

/// Why a request's body ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client went away, or broke the framing.
    #[error("{0}")]
    Disconnected(String),
    /// Nothing came for too long, or next to nothing.
    #[error("too little was received for {0} seconds")]
    Idle(u64),
    /// It is not taken to its end; why, for a person.
    #[error("{0}")]
    Refused(String),
    /// More came than is allowed.
    #[error("it has more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
}
