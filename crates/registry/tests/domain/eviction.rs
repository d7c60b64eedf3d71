//! What an eviction takes, what it leaves, and what it says of it.

mod age;
mod beside;
mod faults;
mod images;
mod size;

use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, MediaType, Reference, RepositoryName};
use registry::eviction::{EvictionReport, Lifetime};
use registry::{Eviction, EvictionOptions, Options, Registry, RepositoryPattern, layout};
use serde_json::json;
use storage::Driver;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;

use crate::support::{image, name, push, push_blob, tag, tags};

/// The size of an image's own layer, in bytes. Its manifest and configuration are small beside it.
const LAYER_BYTES: usize = 10_000;

/// A storage of each kind; those on a disk with their directory.
fn drivers() -> Vec<(Option<tempfile::TempDir>, Arc<dyn Driver>)> {
    let directory = tempfile::tempdir().unwrap();
    let filesystem = Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
    let (replica, _) = objects::testing::replicas();
    vec![
        (None, Arc::new(Memory::new())),
        (Some(directory), Arc::new(filesystem)),
        (None, Arc::new(replica)),
    ]
}

/// A server that has just been started, and notes what is pulled.
fn server(driver: &Arc<dyn Driver>) -> Arc<Registry> {
    let options = Options { record_pulls: true, ..Options::default() };
    Arc::new(Registry::new(Arc::clone(driver), options))
}

/// What is below `cache` is cached, for so long. Anything may go at once.
fn options(cached: Lifetime) -> EvictionOptions {
    let lifetimes = move |name: &RepositoryName| match name.as_str().starts_with("cache/") {
        true => cached,
        false => Lifetime::Local,
    };
    EvictionOptions { used_within: Duration::ZERO, ..EvictionOptions::new(Arc::new(lifetimes)) }
}

/// No more than so many layers fit, and what goes beyond it goes down to that.
fn room_for(layers: usize) -> EvictionOptions {
    let max_bytes = Some((layers * LAYER_BYTES + LAYER_BYTES / 2) as u64);
    EvictionOptions { max_bytes, low_water_percent: 100, ..options(Lifetime::Unlimited) }
}

fn keeping(pattern: &str, options: EvictionOptions) -> EvictionOptions {
    EvictionOptions { keep: vec![RepositoryPattern::parse(pattern).unwrap()], ..options }
}

async fn evict(registry: &Arc<Registry>, options: EvictionOptions) -> EvictionReport {
    Eviction::new(Arc::clone(registry), options).run().await.unwrap()
}

/// What the layer of an image has in it.
fn layer_of(image: &str) -> Vec<u8> {
    image.bytes().cycle().take(LAYER_BYTES).collect()
}

/// Fetches an image with a layer of its own, and lets a moment pass; returns the digests of the
/// manifest and of the layer.
async fn fetch(registry: &Registry, repository: &str, reference: &str) -> (Digest, Digest) {
    fetch_with(registry, repository, reference, &layer_of(reference)).await
}

async fn fetch_with(
    registry: &Registry,
    repository: &str,
    reference: &str,
    layer: &[u8],
) -> (Digest, Digest) {
    let config = push_blob(registry, repository, b"{}").await;
    let size = layer.len();
    let layer = push_blob(registry, repository, layer).await;
    let more = json!({
        "layers": [{"mediaType": "application/layer", "digest": layer.to_string(), "size": size}],
        "annotations": {"for": format!("{repository} {reference}")},
    });
    let content = image(&config, more);
    let pushed = push(registry, repository, reference, MediaType::OciManifest, &content).await;
    std::thread::sleep(Duration::from_millis(3));
    (pushed.unwrap().digest, layer)
}

async fn pull(registry: &Registry, repository: &str, reference: &str) {
    let reference = Reference::parse(reference).unwrap();
    registry.get_manifest(&name(repository), &reference).await.unwrap();
    registry.note_pull(&name(repository), &reference);
    registry.flush_pulls().await.unwrap();
}

async fn has_data(registry: &Registry, digest: &Digest) -> bool {
    registry.driver().stat(&layout::blob_data(digest)).await.is_ok()
}

async fn has_manifest(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    registry.get_manifest(&name(repository), &Reference::Digest(*digest)).await.is_ok()
}

async fn has_link(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    let link = layout::layer_link(&name(repository), digest);
    registry.driver().stat(&link).await.is_ok()
}

/// Every tag of a repository names something, and that is whole.
async fn assert_whole(registry: &Registry, repository: &str) {
    for text in tags(registry, repository).await {
        let reference = Reference::Tag(tag(&text));
        let stored = registry.get_manifest(&name(repository), &reference).await;
        let stored = stored.unwrap_or_else(|error| panic!("{repository}:{text}: {error}"));
        let manifest = oci::Manifest::parse_stored(&stored.content).unwrap();
        for part in manifest.references() {
            let digest = part.parsed_digest().unwrap();
            let found = registry.open_blob(&name(repository), &digest).await;
            assert!(found.is_ok(), "{repository}:{text} lacks {digest}");
        }
    }
}
