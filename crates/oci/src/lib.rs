//! The vocabulary of the registry: repository names, tags, digests, references, descriptors,
//! manifests, media types and the error codes of the OCI distribution specification.
//!
//! This crate is pure: it does no I/O and knows nothing of HTTP or storage. Everything that comes
//! from outside is parsed once into one of these types, so that the other crates never handle an
//! unchecked name or digest.

mod descriptor;
mod digest;
mod error_code;
mod manifest;
mod media_type;
mod name;
mod reference;

pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use error_code::ErrorCode;
pub use manifest::{Manifest, ManifestError, ManifestKind};
pub use media_type::{MediaType, sniff_media_type};
pub use name::{NameError, RepositoryName};
pub use reference::{Reference, ReferenceError, Tag};
