//! Registries with something of everything in them, and short ways to look into storages.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive::backup::CreateOptions;
use archive::{Backup, Meter};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use oci::{Algorithm, Digest, Manifest, MediaType, Reference, RepositoryName, Tag};
use registry::{Chunk, ManifestPush, Options, Registry};
use serde_json::json;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, EntryKind, StoragePath};

/// Too large to be copied as a whole.
pub(crate) const LARGE_BYTES: usize = (archive::limits::PUT_BYTES_MAX as usize) * 2 + 77;

pub(crate) fn memory() -> Arc<dyn Driver> {
    Arc::new(Memory::new())
}

pub(crate) fn on_disk(root: &std::path::Path) -> Arc<dyn Driver> {
    Arc::new(Filesystem::open(FilesystemOptions::new(root)).unwrap())
}

pub(crate) fn registry_on(driver: &Arc<dyn Driver>) -> Registry {
    Registry::new(Arc::clone(driver), Options::default())
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

pub(crate) fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// Pushes a blob under a digest of this kind.
pub(crate) async fn push_blob(
    registry: &Registry,
    repository: &str,
    content: &[u8],
    algorithm: Algorithm,
) -> Digest {
    let digest = Digest::of(algorithm, content);
    let body = Box::pin(stream::iter([Ok(Bytes::copy_from_slice(content))]));
    let chunk = Chunk { body, ..Chunk::empty() };
    let chunk = Chunk { content_length: None, ..chunk };
    registry.put_blob(&name(repository), &digest, chunk).await.unwrap();
    digest
}

/// Pushes a manifest.
pub(crate) async fn push_manifest(
    registry: &Registry,
    repository: &str,
    reference: &str,
    manifest: &serde_json::Value,
) -> Digest {
    let content = Bytes::from(serde_json::to_vec(manifest).unwrap());
    let push = ManifestPush {
        reference: Reference::parse(reference).unwrap(),
        tags: Vec::new(),
        media_type: MediaType::from_content_type(manifest["mediaType"].as_str().unwrap()).unwrap(),
        content,
    };
    registry.put_manifest(&name(repository), push).await.unwrap().digest
}

/// An image of these layers.
pub(crate) async fn image(
    registry: &Registry,
    repository: &str,
    layers: &[&[u8]],
    algorithm: Algorithm,
) -> serde_json::Value {
    let layer_type = "application/vnd.oci.image.layer.v1.tar";
    let mut descriptors = Vec::new();
    for layer in layers {
        let digest = push_blob(registry, repository, layer, algorithm).await;
        descriptors.push(
            json!({"mediaType": layer_type, "digest": digest.to_string(), "size": layer.len()}),
        );
    }
    let diff_ids: Vec<_> = layers.iter().map(|layer| sha256(layer).to_string()).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let digest = push_blob(registry, repository, &config, Algorithm::Sha256).await;
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest.to_string(), "size": config.len(),
        },
        "layers": descriptors,
    })
}

/// Pushes an image of these layers.
pub(crate) async fn push_image(
    registry: &Registry,
    repository: &str,
    reference: &str,
    layers: &[&[u8]],
) -> Digest {
    let manifest = image(registry, repository, layers, Algorithm::Sha256).await;
    push_manifest(registry, repository, reference, &manifest).await
}

/// Pushes an index of these manifests.
pub(crate) async fn push_index(
    registry: &Registry,
    repository: &str,
    reference: &str,
    children: &[(Digest, &str)],
) -> Digest {
    let children: Vec<_> = children
        .iter()
        .map(|(digest, architecture)| {
            json!({
                "mediaType": MediaType::OciManifest.as_str(),
                "digest": digest.to_string(), "size": 2,
                "platform": {"os": "linux", "architecture": architecture},
            })
        })
        .collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": MediaType::OciIndex.as_str(), "manifests": children,
    });
    push_manifest(registry, repository, reference, &index).await
}

/// Fills a registry with something of everything.
pub(crate) async fn fill(driver: &Arc<dyn Driver>) {
    let registry = registry_on(driver);
    let large = vec![7; LARGE_BYTES];
    push_image(&registry, "team/app", "v1", &[b"shared", b"one"]).await;
    let two = push_image(&registry, "team/app", "v2", &[b"shared", &large]).await;
    push_image(&registry, "other", "latest", &[b"shared"]).await;
    // No tag names it.
    let untagged = image(&registry, "other", &[b"untagged"], Algorithm::Sha256).await;
    let digest = sha256(&serde_json::to_vec(&untagged).unwrap());
    push_manifest(&registry, "other", &digest.to_string(), &untagged).await;
    // A signature, so to say.
    let mut referrer = image(&registry, "team/app", &[b"signature"], Algorithm::Sha256).await;
    referrer["subject"] = json!({
        "mediaType": MediaType::OciManifest.as_str(), "digest": two.to_string(), "size": 2,
    });
    let digest = sha256(&serde_json::to_vec(&referrer).unwrap());
    push_manifest(&registry, "team/app", &digest.to_string(), &referrer).await;
    // Two platforms.
    let one = push_image(&registry, "multi/arch", "amd", &[b"amd64"]).await;
    let other = push_image(&registry, "multi/arch", "arm", &[b"arm64"]).await;
    push_index(&registry, "multi/arch", "latest", &[(one, "amd64"), (other, "arm64")]).await;
    // Other digests.
    let manifest = image(&registry, "sha512", &[b"another digest"], Algorithm::Sha512).await;
    let content = serde_json::to_vec(&manifest).unwrap();
    let digest = Digest::of(Algorithm::Sha512, &content);
    push_manifest(&registry, "sha512", &digest.to_string(), &manifest).await;
    let push = ManifestPush {
        reference: Reference::Digest(digest),
        tags: vec![tag("long")],
        media_type: MediaType::OciManifest,
        content: content.into(),
    };
    registry.put_manifest(&name("sha512"), push).await.unwrap();
}

/// What the files below a directory hold, without unfinished uploads.
pub(crate) async fn files(driver: &Arc<dyn Driver>, below: &str) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    let mut todo = vec![path(below)];
    while let Some(directory) = todo.pop() {
        let Ok(listing) = driver.list(&directory).await else { continue };
        for entry in listing.entries {
            let path = directory.join(&entry.name).unwrap();
            match entry.kind {
                EntryKind::Directory if &*entry.name == "_uploads" => {}
                EntryKind::Directory => todo.push(path),
                EntryKind::File => {
                    let content = driver.get(&path, u64::MAX).await.unwrap();
                    found.insert(path.to_string(), content);
                }
            }
        }
    }
    found
}

/// Pulls everything that a registry has, by every tag and digest, and compares it with its digest.
/// Returns how many manifests it has.
pub(crate) async fn pull_all(driver: &Arc<dyn Driver>) -> usize {
    let registry = registry_on(driver);
    let names = registry.list_repositories(registry::Page::default()).await.unwrap().names.clone();
    let mut pulled = 0;
    for repository in names {
        let repository = name(&repository);
        let inventory = registry.inventory(&repository).await.unwrap();
        let by_tag = inventory.tags.iter().map(|(tag, _)| Reference::Tag(tag.clone()));
        let by_digest = inventory.manifests.iter().map(|digest| Reference::Digest(*digest));
        for reference in by_tag.chain(by_digest) {
            // Of what was cut short there may be a directory without its link.
            if let Reference::Digest(digest) = reference
                && driver
                    .stat(&registry::layout::revision_link(&repository, &digest))
                    .await
                    .is_err()
            {
                continue;
            }
            let stored = registry.get_manifest(&repository, &reference).await.unwrap();
            assert_eq!(Digest::of(stored.digest.algorithm(), &stored.content), stored.digest);
            let manifest = Manifest::parse_stored(&stored.content).unwrap();
            for part in manifest.references() {
                let digest = part.parsed_digest().unwrap();
                if manifest.media_type.is_index() {
                    let child = Reference::Digest(digest);
                    registry.get_manifest(&repository, &child).await.unwrap();
                    continue;
                }
                let blob = registry.open_blob(&repository, &digest).await.unwrap();
                let size = blob.object.size_bytes();
                let pieces: Vec<Bytes> = blob.object.stream(0..size).try_collect().await.unwrap();
                assert_eq!(Digest::of(digest.algorithm(), &pieces.concat()), digest);
            }
            pulled += 1;
        }
    }
    pulled
}

/// So many things at once.
pub(crate) fn at_once(concurrency: usize) -> CreateOptions {
    CreateOptions { concurrency, ..CreateOptions::default() }
}

/// A snapshot of a registry.
pub(crate) async fn back_up(
    source: &Arc<dyn Driver>,
    to: &Arc<dyn Driver>,
) -> archive::backup::CreateReport {
    let backup = Backup::make(Arc::clone(to)).await.unwrap();
    backup.create(&registry_on(source), &at_once(4), &Meter::default()).await.unwrap()
}
