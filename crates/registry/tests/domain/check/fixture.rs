//! A registry with something of everything in it, on every kind of storage.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, MediaType, Reference};
use registry::check::{CheckOptions, Report};
use registry::{Check, Options, Registry, layout};
use serde_json::json;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, StoragePath};

use crate::support::{chunk, name, pull_blob, push, push_blob, sha256, tag};

/// The repository that is broken in the tests.
pub(super) const REPOSITORY: &str = "a/b";

/// What its image is made of.
pub(super) const CONFIG: &[u8] = b"{\"a\": \"configuration\"}";
pub(super) const LAYER: &[u8] = b"the only layer";

/// A storage, and what keeps it.
pub(super) struct Volume {
    pub(super) driver: Arc<dyn Driver>,
    pub(super) directory: Option<tempfile::TempDir>,
    /// The manifest behind the tags `v1` and `also`; `moved` has named another one before.
    pub(super) image: Digest,
    /// What `moved` named first.
    pub(super) first: Digest,
    /// An index behind the tag `multi` with one child, which is the image.
    pub(super) index: Digest,
}

/// An image manifest of these blobs, as clients write it.
pub(super) fn image_of(config: &[u8], layers: &[&[u8]]) -> Bytes {
    let descriptor = |content: &[u8]| json!({"mediaType": "application/test", "digest": sha256(content).to_string(), "size": content.len()});
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(layer)).collect();
    let media_type = MediaType::OciManifest.as_str();
    let image = json!({"schemaVersion": 2, "mediaType": media_type, "config": descriptor(config), "layers": layers});
    serde_json::to_vec(&image).unwrap().into()
}

/// Pushes an image with all it needs.
pub(super) async fn push_whole(
    registry: &Registry,
    repository: &str,
    tag: &str,
    config: &[u8],
    layers: &[&[u8]],
) -> Digest {
    for content in layers.iter().chain([&config]) {
        push_blob(registry, repository, content).await;
    }
    let content = image_of(config, layers);
    push(registry, repository, tag, MediaType::OciManifest, &content).await.unwrap().digest
}

impl Volume {
    /// One on each kind of storage.
    pub(super) async fn each() -> Vec<Self> {
        let directory = tempfile::tempdir().unwrap();
        let filesystem = Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
        let (objects, _) = objects::testing::replicas();
        objects.probe(false).await.unwrap();
        vec![
            Self::filled(Arc::new(Memory::new()), None).await,
            Self::filled(Arc::new(filesystem), Some(directory)).await,
            Self::filled(Arc::new(objects), None).await,
        ]
    }

    pub(super) async fn in_memory() -> Self {
        Self::filled(Arc::new(Memory::new()), None).await
    }

    async fn filled(driver: Arc<dyn Driver>, directory: Option<tempfile::TempDir>) -> Self {
        let registry = Registry::new(Arc::clone(&driver), Options::default());
        let image = push_whole(&registry, REPOSITORY, "v1", CONFIG, &[LAYER]).await;
        push_whole(&registry, REPOSITORY, "also", CONFIG, &[LAYER]).await;
        let first = push_whole(&registry, REPOSITORY, "moved", b"first", &[LAYER]).await;
        push_whole(&registry, REPOSITORY, "moved", CONFIG, &[LAYER]).await;
        let size = image_of(CONFIG, &[LAYER]).len();
        let child = json!({"mediaType": MediaType::OciManifest.as_str(), "digest": image.to_string(), "size": size});
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::OciIndex.as_str(), "manifests": [child]});
        let index = Bytes::from(serde_json::to_vec(&index).unwrap());
        let pushed = push(&registry, REPOSITORY, "multi", MediaType::OciIndex, &index).await;
        let index = pushed.unwrap().digest;
        push_whole(&registry, "another", "latest", b"alone", &[]).await;
        unusual(&registry).await;
        Self { driver, directory, image, first, index }
    }

    pub(super) fn registry(&self) -> Registry {
        Registry::new(Arc::clone(&self.driver), Options::default())
    }

    pub(super) async fn write(&self, path: &StoragePath, content: impl Into<Bytes>) {
        self.driver.put(path, content.into()).await.unwrap();
    }

    pub(super) async fn delete(&self, path: &StoragePath) {
        self.driver.delete(path).await.unwrap();
    }

    pub(super) async fn check_with(&self, options: CheckOptions) -> Report {
        Check::new(Arc::clone(&self.driver), options).run().await.unwrap()
    }

    pub(super) async fn check(&self) -> Report {
        self.check_with(CheckOptions::default()).await
    }

    pub(super) async fn repair(&self) -> Report {
        self.check_with(CheckOptions { repair: true, ..CheckOptions::default() }).await
    }

    /// Pulls an image by its tag, with all of its blobs.
    pub(super) async fn pull(&self, tag: &str) {
        let registry = self.registry();
        let reference = Reference::parse(tag).unwrap();
        let manifest = registry.get_manifest(&name(REPOSITORY), &reference).await.unwrap();
        let manifest = oci::Manifest::parse_stored(&manifest.content).unwrap();
        for descriptor in manifest.references() {
            let digest = descriptor.parsed_digest().unwrap();
            let content = pull_blob(&registry, REPOSITORY, &digest).await;
            assert_eq!(sha256(&content), digest, "{descriptor:?}");
        }
    }
}

/// What is unusual and no fault.
async fn unusual(registry: &Registry) {
    // A blob that was pushed under another digest, and an upload that is not finished.
    let content = b"by another name";
    let sha512 = Digest::of(Algorithm::Sha512, content);
    registry.put_blob(&name("odd"), &sha512, chunk(&content[..])).await.unwrap();
    let upload = registry.start_upload(&name("odd"), None).await.unwrap();
    registry.append_upload(&name("odd"), &upload.id, chunk(&b"so far"[..])).await.unwrap();
    // A layer that nobody may pass on, a referrer of nothing, a manifest by sha512, an empty blob.
    for content in [&b"{}"[..], b""] {
        push_blob(registry, "odd", content).await;
    }
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": sha256(b"elsewhere").to_string(), "size": 9, "urls": ["https://example.com/layer"],
    });
    let described = |content: &[u8]| json!({"mediaType": "application/test", "digest": sha256(content).to_string(), "size": content.len()});
    let subject = json!({"mediaType": MediaType::OciManifest.as_str(), "digest": sha256(b"gone").to_string(), "size": 4});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OciManifest.as_str(), "config": described(b"{}"),
        "layers": [foreign, described(b"")], "subject": subject,
    });
    let manifest = Bytes::from(serde_json::to_vec(&manifest).unwrap());
    let reference = Digest::of(Algorithm::Sha512, &manifest).to_string();
    push(registry, "odd", &reference, MediaType::OciManifest, &manifest).await.unwrap();
    push(registry, "odd", "foreign", MediaType::OciManifest, &manifest).await.unwrap();
    // What a deletion leaves.
    let gone = push_whole(registry, "odd", "deleted", b"{}", &[]).await;
    registry.delete_manifest(&name("odd"), &gone).await.unwrap();
    lose(&**registry.driver(), &gone).await;
    push_whole(registry, "odd", "untagged", b"{}", &[b""]).await;
    registry.delete_tag(&name("odd"), &tag("untagged")).await.unwrap();
    push_blob(registry, "blobs/only", b"no manifest needs it").await;
}

/// Takes away the data of a blob, as a collection does.
pub(super) async fn lose(driver: &dyn Driver, digest: &Digest) {
    driver.delete(&layout::blob_data(digest).parent().unwrap()).await.unwrap();
}
