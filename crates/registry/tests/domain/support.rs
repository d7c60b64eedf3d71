//! A registry over memory, and short ways to fill it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, Tag};
use registry::{
    Answer, BodyError, Chunk, ManifestPush, Names, Options, Page, PushedManifest, Registry,
};
use serde_json::json;
use storage::memory::Memory;
use storage::{Driver, StoragePath};

pub(crate) fn registry() -> Registry {
    Registry::new(Arc::new(Memory::new()), Options::default())
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// A chunk of one piece.
pub(crate) fn chunk(content: impl Into<Bytes>) -> Chunk {
    pieces(vec![Ok(content.into())])
}

/// A chunk of these pieces.
pub(crate) fn pieces(pieces: Vec<Result<Bytes, BodyError>>) -> Chunk {
    Chunk {
        range: None,
        offset_bytes: None,
        content_length: None,
        body: Box::pin(stream::iter(pieces)),
    }
}

/// Pushes a blob.
pub(crate) async fn push_blob(registry: &Registry, repository: &str, content: &[u8]) -> Digest {
    let digest = sha256(content);
    let chunk = chunk(Bytes::copy_from_slice(content));
    registry.put_blob(&name(repository), &digest, chunk).await.unwrap();
    digest
}

/// Reads a blob.
pub(crate) async fn pull_blob(registry: &Registry, repository: &str, digest: &Digest) -> Vec<u8> {
    use futures_util::TryStreamExt as _;
    let blob = registry.open_blob(&name(repository), digest).await.unwrap();
    let size = blob.object.size_bytes();
    let pieces: Vec<Bytes> = blob.object.stream(0..size).try_collect().await.unwrap();
    pieces.concat()
}

/// An image manifest whose configuration is `config`, with more fields.
pub(crate) fn image(config: &Digest, more: serde_json::Value) -> Bytes {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": {"mediaType": "application/test", "digest": config.to_string(), "size": 2},
        "layers": [],
    });
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    serde_json::to_vec(&manifest).unwrap().into()
}

/// An index of these manifests.
pub(crate) fn index(children: &[Digest]) -> Bytes {
    let children: Vec<_> = children
        .iter()
        .map(|d| json!({"mediaType": MediaType::OciManifest.as_str(), "digest": d.to_string(), "size": 2}))
        .collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciIndex.as_str(),
        "manifests": children,
    });
    serde_json::to_vec(&index).unwrap().into()
}

/// Pushes a manifest.
pub(crate) async fn push(
    registry: &Registry,
    repository: &str,
    reference: &str,
    media_type: MediaType,
    content: &Bytes,
) -> registry::Result<PushedManifest> {
    let push = ManifestPush {
        reference: Reference::parse(reference).unwrap(),
        tags: Vec::new(),
        media_type,
        content: content.clone(),
    };
    registry.put_manifest(&name(repository), push).await
}

/// Pushes an image with some configuration under a tag; returns its digest.
pub(crate) async fn push_image(registry: &Registry, repository: &str, reference: &str) -> Digest {
    let config = push_blob(registry, repository, b"{}").await;
    let content = image(&config, json!({"annotations": {"pushed as": reference}}));
    push(registry, repository, reference, MediaType::OciManifest, &content).await.unwrap().digest
}

/// All tags.
pub(crate) async fn tags(registry: &Registry, repository: &str) -> Vec<String> {
    registry.list_tags(&name(repository), Page::default()).await.unwrap().names.clone()
}

/// Every page of a list is the right part of it, wherever it begins and however long it is.
pub(crate) async fn assert_pages<L>(all: &[&'static str], list: L)
where
    L: AsyncFn(Option<usize>, Option<&'static str>) -> Answer<Names>,
{
    for from in 0..all.len() {
        for limit in 1..=all.len() {
            let last = from.checked_sub(1).map(|i| all[i]);
            let end = (from + limit).min(all.len());
            let expected = names(&all[from..end], end < all.len());
            assert_eq!(list(Some(limit), last).await, expected, "{limit} after {last:?}");
        }
    }
}

/// A page.
pub(crate) fn names(names: &[&str], more: bool) -> Names {
    Names { names: names.iter().map(|n| (*n).to_owned()).collect(), more }
}

/// Overwrites a file, as a crash or another program may.
pub(crate) async fn overwrite(registry: &Registry, path: &StoragePath, content: &'static [u8]) {
    registry.driver().put(path, Bytes::from_static(content)).await.unwrap();
}

/// Every path below a directory that is a file.
pub(crate) async fn files(driver: &dyn Driver, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![StoragePath::parse(below).unwrap()];
    while let Some(path) = todo.pop() {
        let Ok(listing) = driver.list(&path).await else { continue };
        for entry in listing.entries {
            let path = path.join(&entry.name).unwrap();
            match entry.kind {
                storage::EntryKind::Directory => todo.push(path),
                storage::EntryKind::File => found.push(path.to_string()),
            }
        }
    }
    found.sort();
    found
}
