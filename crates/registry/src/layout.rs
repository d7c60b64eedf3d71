//! Every path of the storage layout, and nothing else. The layout is Distribution's, the same for
//! its versions 2 and 3:
//!
//! ```text
//! /docker/registry/v2/
//!   blobs/<algorithm>/<first two hex digits>/<hex>/data
//!   repositories/<name>/
//!     _layers/<algorithm>/<hex>/link
//!     _manifests/revisions/<algorithm>/<hex>/link
//!     _manifests/tags/<tag>/current/link
//!     _manifests/tags/<tag>/index/<algorithm>/<hex>/link
//!     _uploads/<id>/data
//!     _uploads/<id>/startedat
//! ```
//!
//! As a cache of another registry, Distribution keeps `/scheduler-state.json` beside it.
//!
//! What wharf adds lies where Distribution does not look, and can be deleted at any time:
//!
//! ```text
//! /docker/registry/v2/repositories/<name>/_uploads/<id>/midstate     running digest of an upload
//! /wharf/v1/aliases/<algorithm>/<first two hex digits>/<hex>/link    sha256 digest of a blob that
//!                                                                    was pushed under another one
//! /wharf/v1/transfer/<id>                                            what `transfer` is just copying
//! /wharf/v1/collection/lease                                         who collects
//! /wharf/v1/collection/last                                          what the last one did
//! /wharf/v1/collection/announced                                     the list in force
//! /wharf/v1/collection/lists/<id>                                    what is going to be deleted
//! /wharf/v1/collection/batch                                         what is just being deleted
//! /wharf/v1/collection/pins/<claim>.<expiry>                         what must not be deleted
//! /wharf/v1/eviction/last                                            what the last eviction did
//! /wharf/v1/eviction/pending                                         content whose links it took
//! /wharf/v1/servers/<id>                                             a server that is running
//! /wharf/v1/quarantine/<algorithm>/<hex>.<time>                      damaged content that `check` has
//!                                                                    set aside
//! /wharf/v1/quarantine/links/<time>/<path>                           damaged links, likewise
//! /wharf/v1/scrub                                                    how far the scrub is
//! /wharf/v1/readonly                                                 the registry is read-only
//! /wharf/v1/pulls/<name>/_pulls/<server>.<day>                       when it was last pulled by a server
//! /wharf/v1/pulls/<name>/_pulls/merged                               what is left of earlier days' files
//! /wharf/v1/pulls/_since                                             when that began to be noted
//! /wharf/v1/sync/<job>/lease                                         who replicates for a job
//! /wharf/v1/sync/<job>/holder                                        the same, for people
//! /wharf/v1/sync/<job>/last                                          what its last run did
//! /wharf/v1/sync/<job>/ages                                          when images of its source were made
//! /wharf/v1/sync/<job>/queue/<id>                                    what it has still to copy
//! /wharf/v1/sync/<job>/failed/<id>                                   what it has given up
//! ```

use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::{PathError, StoragePath};
use uuid::Uuid;

use crate::UploadId;

const REPOSITORIES: &str = "/docker/registry/v2/repositories";
const BLOBS: &str = "/docker/registry/v2/blobs";
const ALIASES: &str = "/wharf/v1/aliases";
const TRANSFER: &str = "/wharf/v1/transfer";
const COLLECTION: &str = "/wharf/v1/collection";
const EVICTION: &str = "/wharf/v1/eviction";
const SCHEDULER_STATE: &str = "/scheduler-state.json";
const SERVERS: &str = "/wharf/v1/servers";
const QUARANTINE: &str = "/wharf/v1/quarantine";
const SCRUB: &str = "/wharf/v1/scrub";
const READ_ONLY: &str = "/wharf/v1/readonly";
const PULLS: &str = "/wharf/v1/pulls";
const SYNC: &str = "/wharf/v1/sync";

/// The directory above everything that is Distribution's.
const REGISTRY: &str = "/docker/registry/v2";

/// The directory of a repository that holds the links of its blobs.
pub const LAYERS_DIRECTORY: &str = "_layers";

/// The directory of a repository that marks it as one with manifests.
pub const MANIFESTS_DIRECTORY: &str = "_manifests";
/// The directory of a repository that holds its unfinished uploads.
pub const UPLOADS_DIRECTORY: &str = "_uploads";

/// Whether a directory of this name within that of a repository belongs to it, and is no repository.
pub(crate) fn is_of_repository(name: &str) -> bool {
    [LAYERS_DIRECTORY, MANIFESTS_DIRECTORY, UPLOADS_DIRECTORY].contains(&name)
}

/// Builds a path from parts that were checked when they were parsed.
fn path(text: String) -> StoragePath {
    match StoragePath::parse(text) {
        Ok(path) => path,
        // Names, tags, digests and upload ids are all narrower than a storage path.
        Err(error) => unreachable!("a path built from checked parts: {error}"),
    }
}

/// The directory above everything but what wharf adds.
#[must_use]
pub fn registry() -> StoragePath {
    path(REGISTRY.into())
}

/// The directory above all blobs: one for each algorithm, in it one for each beginning of a digest.
#[must_use]
pub fn blobs() -> StoragePath {
    path(BLOBS.into())
}

/// The directory above all aliases, divided like [`blobs`].
#[must_use]
pub fn aliases() -> StoragePath {
    path(ALIASES.into())
}

/// The directory of what is being copied from another storage.
#[must_use]
pub fn transfer() -> StoragePath {
    path(TRANSFER.into())
}

/// The note that keeps every server on the storage from writing.
#[must_use]
pub fn read_only() -> StoragePath {
    path(READ_ONLY.into())
}

/// A file that is being copied from another storage.
#[must_use]
pub fn transferred(id: &UploadId) -> StoragePath {
    path(format!("{TRANSFER}/{id}"))
}

/// The directory of what was damaged and set aside.
#[must_use]
pub fn quarantine() -> StoragePath {
    path(QUARANTINE.into())
}

/// Where the damaged content of a blob is set aside; `time` is a component of a path.
///
/// # Errors
/// [`PathError`] when it is not.
pub fn quarantined_blob(digest: &Digest, time: &str) -> Result<StoragePath, PathError> {
    StoragePath::parse(format!("{QUARANTINE}/{}/{}.{time}", digest.algorithm(), digest.hex()))
}

/// Where a damaged link is set aside; `time` is a component of a path.
///
/// # Errors
/// [`PathError`] when it is not.
pub fn quarantined_link(link: &StoragePath, time: &str) -> Result<StoragePath, PathError> {
    StoragePath::parse(format!("{QUARANTINE}/links/{time}{link}"))
}

/// How far the scrub of the storage is.
#[must_use]
pub fn scrub() -> StoragePath {
    path(SCRUB.into())
}

/// The directory above all repositories.
#[must_use]
pub fn repositories() -> StoragePath {
    path(REPOSITORIES.into())
}

/// The directory of a repository.
#[must_use]
pub fn repository(name: &RepositoryName) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}"))
}

/// The content of a blob; `digest` is its canonical one.
#[must_use]
pub fn blob_data(digest: &Digest) -> StoragePath {
    let hex = digest.hex();
    path(format!("{BLOBS}/{}/{}/{hex}/data", digest.algorithm(), &hex[..2]))
}

/// The directory of a repository's blobs under one algorithm.
#[must_use]
pub fn layers(name: &RepositoryName, algorithm: Algorithm) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_layers/{algorithm}"))
}

/// The directory of one blob within a repository.
#[must_use]
pub fn layer(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_layers/{}/{}", digest.algorithm(), digest.hex()))
}

/// The link that makes a blob part of a repository.
#[must_use]
pub fn layer_link(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_layers/{}/{}/link", digest.algorithm(), digest.hex()))
}

/// The directory of a repository's manifests under one algorithm.
#[must_use]
pub fn revisions(name: &RepositoryName, algorithm: Algorithm) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/revisions/{algorithm}"))
}

/// The directory of one manifest within a repository.
#[must_use]
pub fn revision(name: &RepositoryName, digest: &Digest) -> StoragePath {
    let (algorithm, hex) = (digest.algorithm(), digest.hex());
    path(format!("{REPOSITORIES}/{name}/_manifests/revisions/{algorithm}/{hex}"))
}

/// The link that makes a manifest part of a repository.
#[must_use]
pub fn revision_link(name: &RepositoryName, digest: &Digest) -> StoragePath {
    let (algorithm, hex) = (digest.algorithm(), digest.hex());
    path(format!("{REPOSITORIES}/{name}/_manifests/revisions/{algorithm}/{hex}/link"))
}

/// The directory of a repository's tags.
#[must_use]
pub fn tags(name: &RepositoryName) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags"))
}

/// The directory of one tag.
#[must_use]
pub fn tag(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}"))
}

/// The link to the manifest that a tag names.
#[must_use]
pub fn tag_current(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}/current/link"))
}

/// The directory of the manifests under one algorithm that a tag named at some time.
#[must_use]
pub fn tag_indexes(name: &RepositoryName, tag: &Tag, algorithm: Algorithm) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}/index/{algorithm}"))
}

/// The note that a tag named this manifest at some time.
#[must_use]
pub fn tag_index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> StoragePath {
    let (algorithm, hex) = (digest.algorithm(), digest.hex());
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}/index/{algorithm}/{hex}/link"))
}

/// The directory of an upload.
#[must_use]
pub fn upload(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}"))
}

/// What an upload has received so far.
#[must_use]
pub fn upload_data(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/data"))
}

/// When an upload was started.
#[must_use]
pub fn upload_started_at(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/startedat"))
}

/// The running digest of an upload.
#[must_use]
pub fn upload_midstate(name: &RepositoryName, id: &UploadId) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/midstate"))
}

/// The canonical digest of a blob that was pushed under another algorithm, for mounts that name
/// no source repository.
#[must_use]
pub fn alias(digest: &Digest) -> StoragePath {
    let hex = digest.hex();
    path(format!("{ALIASES}/{}/{}/{hex}/link", digest.algorithm(), &hex[..2]))
}

/// Who collects.
#[must_use]
pub fn collection_lease() -> StoragePath {
    path(format!("{COLLECTION}/lease"))
}

/// What the last collection did.
#[must_use]
pub fn collection_last() -> StoragePath {
    path(format!("{COLLECTION}/last"))
}

/// Which list of what is going to be deleted is in force.
#[must_use]
pub fn collection_announced() -> StoragePath {
    path(format!("{COLLECTION}/announced"))
}

/// The directory of the lists of what is going to be deleted.
#[must_use]
pub fn collection_lists() -> StoragePath {
    path(format!("{COLLECTION}/lists"))
}

/// A list of what is going to be deleted.
#[must_use]
pub fn collection_list(id: &Uuid) -> StoragePath {
    path(format!("{COLLECTION}/lists/{id}"))
}

/// What is just being deleted.
#[must_use]
pub fn collection_batch() -> StoragePath {
    path(format!("{COLLECTION}/batch"))
}

/// The directory of what must not be deleted.
#[must_use]
pub fn collection_pins() -> StoragePath {
    path(format!("{COLLECTION}/pins"))
}

/// What the last eviction did.
#[must_use]
pub fn eviction_last() -> StoragePath {
    path(format!("{EVICTION}/last"))
}

/// The content whose links an eviction took, and whose data is still to go.
#[must_use]
pub fn eviction_pending() -> StoragePath {
    path(format!("{EVICTION}/pending"))
}

/// Where Distribution notes when what it caches is to go.
#[must_use]
pub fn scheduler_state() -> StoragePath {
    path(SCHEDULER_STATE.into())
}

/// The directory in which running servers are noted.
#[must_use]
pub fn servers() -> StoragePath {
    path(SERVERS.into())
}

/// The note of a running server.
#[must_use]
pub fn server(id: &Uuid) -> StoragePath {
    path(format!("{SERVERS}/{id}"))
}

/// The directory of the notes about when a repository's manifests were pulled. No component of a
/// name begins with `_`, so that it is never that of another repository.
#[must_use]
pub fn pulls(name: &RepositoryName) -> StoragePath {
    path(format!("{PULLS}/{name}/_pulls"))
}

/// What a server noted on a day, in days since 1970.
#[must_use]
pub fn pulls_of_day(name: &RepositoryName, server: &Uuid, day: u32) -> StoragePath {
    path(format!("{PULLS}/{name}/_pulls/{server}.{day}"))
}

/// What servers noted on earlier days, put together.
#[must_use]
pub fn pulls_merged(name: &RepositoryName) -> StoragePath {
    path(format!("{PULLS}/{name}/_pulls/merged"))
}

/// Since when pulls are noted without a gap.
#[must_use]
pub fn pulls_since() -> StoragePath {
    path(format!("{PULLS}/_since"))
}

/// The paths of a job that replicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPaths(StoragePath);

impl SyncPaths {
    /// Those of the job of this name, which is a component of a path.
    ///
    /// # Errors
    /// [`PathError`] when it is not.
    pub fn of(job: &str) -> Result<Self, PathError> {
        path(SYNC.into()).join(job).map(Self)
    }

    /// Who replicates.
    #[must_use]
    pub fn lease(&self) -> StoragePath {
        self.below("lease")
    }

    /// The same, for people.
    #[must_use]
    pub fn holder(&self) -> StoragePath {
        self.below("holder")
    }

    /// What the last run did.
    #[must_use]
    pub fn last(&self) -> StoragePath {
        self.below("last")
    }

    /// When images of the source were made, as they say themselves.
    #[must_use]
    pub fn ages(&self) -> StoragePath {
        self.below("ages")
    }

    /// The directory of what is still to be copied.
    #[must_use]
    pub fn queue(&self) -> StoragePath {
        self.below("queue")
    }

    /// Something that is still to be copied; `id` is a component of a path.
    ///
    /// # Errors
    /// [`PathError`] when it is not.
    pub fn queued(&self, id: &str) -> Result<StoragePath, PathError> {
        self.queue().join(id)
    }

    /// The directory of what was given up.
    #[must_use]
    pub fn failed(&self) -> StoragePath {
        self.below("failed")
    }

    /// Something that was given up; `id` is a component of a path.
    ///
    /// # Errors
    /// [`PathError`] when it is not.
    pub fn given_up(&self, id: &str) -> Result<StoragePath, PathError> {
        self.failed().join(id)
    }

    fn below(&self, name: &str) -> StoragePath {
        path(format!("{}/{name}", self.0))
    }
}

/// The directory of a blob; `digest` is its canonical one.
#[must_use]
pub fn blob(digest: &Digest) -> StoragePath {
    let hex = digest.hex();
    path(format!("{BLOBS}/{}/{}/{hex}", digest.algorithm(), &hex[..2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_job_stay_below_it() {
        let paths = SyncPaths::of("to-dr.example").unwrap();
        let queued = paths.queued("0123-ab").unwrap();
        assert_eq!(queued.as_str(), "/wharf/v1/sync/to-dr.example/queue/0123-ab");
        for wrong in ["", "a/b", "..", "a b"] {
            assert!(SyncPaths::of(wrong).is_err(), "{wrong}");
            assert!(paths.queued(wrong).is_err() && paths.given_up(wrong).is_err(), "{wrong}");
        }
    }

    /// The spec table of Distribution's layout.
    #[test]
    fn paths_are_distribution_s() {
        let name = RepositoryName::parse("foo/bar").unwrap();
        let digest = Digest::of(Algorithm::Sha256, b"");
        let hex = digest.hex();
        let tag_name = Tag::parse("v1.0").unwrap();
        let id = UploadId::parse("0f8fad5b-d9cb-469f-a165-70867728950e").unwrap();
        let repo = "/docker/registry/v2/repositories/foo/bar";
        for (path, expected) in [
            (blob_data(&digest), format!("/docker/registry/v2/blobs/sha256/e3/{hex}/data")),
            (layer_link(&name, &digest), format!("{repo}/_layers/sha256/{hex}/link")),
            (
                revision_link(&name, &digest),
                format!("{repo}/_manifests/revisions/sha256/{hex}/link"),
            ),
            (tag_current(&name, &tag_name), format!("{repo}/_manifests/tags/v1.0/current/link")),
            (
                tag_index(&name, &tag_name, &digest),
                format!("{repo}/_manifests/tags/v1.0/index/sha256/{hex}/link"),
            ),
            (scheduler_state(), "/scheduler-state.json".to_owned()),
            (upload_data(&name, &id), format!("{repo}/_uploads/{id}/data")),
            (upload_started_at(&name, &id), format!("{repo}/_uploads/{id}/startedat")),
        ] {
            assert_eq!(path.as_str(), expected);
        }
    }
}
