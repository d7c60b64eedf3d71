//! What a repository has, by the names of its directories.

use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::{EntryKind, Pages, StoragePath};

use super::CollectionError;
use crate::{Registry, layout};

/// The digests that a directory has subdirectories for.
pub(super) async fn digests(
    registry: &Registry,
    path: &StoragePath,
    algorithm: Algorithm,
) -> Result<Vec<Digest>, CollectionError> {
    names(registry, path, |name| Digest::from_hex(algorithm, name).ok()).await
}

/// The digests under which a repository has blobs.
pub(super) async fn layers(
    registry: &Registry,
    name: &RepositoryName,
) -> Result<Vec<Digest>, CollectionError> {
    let mut layers = Vec::new();
    for algorithm in Algorithm::ALL {
        layers.extend(digests(registry, &layout::layers(name, algorithm), algorithm).await?);
    }
    Ok(layers)
}

/// The tags that a repository has a directory for.
pub(super) async fn tags(
    registry: &Registry,
    name: &RepositoryName,
) -> Result<Vec<Tag>, CollectionError> {
    names(registry, &layout::tags(name), |name| Tag::parse(name).ok()).await
}

/// The subdirectories of a directory that mean something.
pub(super) async fn names<T>(
    registry: &Registry,
    path: &StoragePath,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, CollectionError> {
    let mut found = Vec::new();
    let mut pages = Pages::of(path.clone());
    while let Some(entries) = pages.next(&*registry.driver).await? {
        let directories = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
        found.extend(directories.filter_map(|entry| read(&entry.name)));
    }
    Ok(found)
}
