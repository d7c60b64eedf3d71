//! Every path of a backup and of an OCI image layout, and nothing else.
//!
//! ```text
//! /oci-layout                             image-spec, "Image Layout"
//! /index.json                             what the newest snapshot's tags name
//! /blobs/<algorithm>/<hex>
//! /snapshots/<time>.json                  one for each snapshot
//! /jobs/<id>                              who is at work on it
//! /staged/<id>                            what is just being copied
//! ```

use oci::{Algorithm, Digest};
use storage::StoragePath;

/// Builds a path from parts that were checked when they were parsed.
fn path(text: String) -> StoragePath {
    match StoragePath::parse(text) {
        Ok(path) => path,
        // Digests, times and ids are all narrower than a storage path.
        Err(error) => unreachable!("a path built from checked parts: {error}"),
    }
}

pub(crate) fn oci_layout() -> StoragePath {
    path("/oci-layout".into())
}

pub(crate) fn index() -> StoragePath {
    path("/index.json".into())
}

pub(crate) fn blob(digest: &Digest) -> StoragePath {
    path(format!("/blobs/{}/{}", digest.algorithm(), digest.hex()))
}

pub(crate) fn blobs(algorithm: Algorithm) -> StoragePath {
    path(format!("/blobs/{algorithm}"))
}

pub(crate) fn snapshots() -> StoragePath {
    path("/snapshots".into())
}

/// `name` consists of letters and digits.
pub(crate) fn snapshot(name: &str) -> StoragePath {
    path(format!("/snapshots/{name}.json"))
}

pub(crate) fn jobs() -> StoragePath {
    path("/jobs".into())
}

pub(crate) fn job(id: &uuid::Uuid) -> StoragePath {
    path(format!("/jobs/{id}"))
}

pub(crate) fn staging() -> StoragePath {
    path("/staged".into())
}

pub(crate) fn staged() -> StoragePath {
    path(format!("/staged/{}", uuid::Uuid::new_v4()))
}
