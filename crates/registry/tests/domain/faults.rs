//! What a failing or crashing storage may and may not do. A scenario is played once for each
//! operation on the storage and each way in which that can fail, and then looked at through a new
//! registry, as after a restart.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, MediaType, Reference};
use registry::{Chunk, ManifestPush, Options, Page, Registry, Result, layout};
use serde_json::json;
use storage::Driver;
use storage::faulty::{Fault, Faulty};
use storage::memory::Memory;

use crate::support::{chunk, files, image, name, pull_blob, sha256, tag};

const REPOSITORY: &str = "some/repository";

/// What the client was told had worked.
#[derive(Debug, Default)]
struct Acknowledged {
    blobs: Vec<(Digest, Vec<u8>)>,
    manifests: Vec<(Digest, Bytes)>,
    /// The value of the tag after the last push that was acknowledged, and that of one which may
    /// have worked without the client learning of it.
    tag: Option<Digest>,
    tag_maybe: Option<Digest>,
    deleted: Vec<Digest>,
}

/// A client that pushes an image in all ways, moves its tag, and deletes the first version. It
/// goes on after an error, as another client would.
async fn scenario(registry: &Registry) -> Acknowledged {
    let repo = name(REPOSITORY);
    let mut told = Acknowledged::default();

    let config = b"{}".to_vec();
    let pushed = registry.put_blob(&repo, &sha256(&config), chunk(config.clone())).await;
    if pushed.is_ok() {
        told.blobs.push((sha256(&config), config.clone()));
    }
    let layer = vec![7; 5 << 20];
    if push_in_chunks(registry, &layer, Algorithm::Sha256).await.is_ok() {
        told.blobs.push((sha256(&layer), layer));
    }
    let other = b"another layer".to_vec();
    if push_in_chunks(registry, &other, Algorithm::Sha512).await.is_ok() {
        told.blobs.push((Digest::of(Algorithm::Sha512, &other), other));
    }

    let mut first = None;
    for version in ["one", "two"] {
        let content = image(&sha256(&config), json!({"annotations": {"version": version}}));
        let push = ManifestPush {
            reference: Reference::Tag(tag("latest")),
            tags: Vec::new(),
            media_type: MediaType::OciManifest,
            content: content.clone(),
        };
        match registry.put_manifest(&repo, push).await {
            Ok(pushed) => {
                told.manifests.push((pushed.digest, content));
                told.tag = Some(pushed.digest);
                told.tag_maybe = None;
                first.get_or_insert(pushed.digest);
            }
            Err(_) => told.tag_maybe = Some(sha256(&content)),
        }
    }
    if let Some(first) = first {
        // Whether it works or not, from here on it may be gone.
        told.manifests.retain(|(digest, _)| *digest != first);
        if told.tag == Some(first) {
            told.tag = None;
        }
        if registry.delete_manifest(&repo, &first).await.is_ok() {
            told.deleted.push(first);
        }
    }
    told
}

async fn push_in_chunks(registry: &Registry, content: &[u8], algorithm: Algorithm) -> Result<()> {
    let repo = name(REPOSITORY);
    let digest = Digest::of(algorithm, content);
    let upload = registry.start_upload(&repo, None).await?;
    let (head, tail) = content.split_at(content.len() - 3);
    let head = chunk(head.to_vec());
    if registry.append_upload(&repo, &upload.id, head).await.is_err() {
        // As a client does that lost its connection: it asks how far it came.
        let so_far = registry.upload_status(&repo, &upload.id).await?.size_bytes;
        let rest = content[usize::try_from(so_far).unwrap()..content.len() - 3].to_vec();
        registry.append_upload(&repo, &upload.id, chunk(rest)).await?;
    }
    let tail = chunk(tail.to_vec());
    registry.commit_upload(&repo, &upload.id, &digest, tail).await.map(|_| ())
}

/// Checks the promises, as after a restart.
async fn check(driver: &Arc<dyn Driver>, told: &Acknowledged) {
    let registry = Registry::new(Arc::clone(driver), Options::default());
    let repo = name(REPOSITORY);
    for (digest, content) in &told.blobs {
        assert!(pull_blob(&registry, REPOSITORY, digest).await == *content, "{digest}");
    }
    for (digest, content) in &told.manifests {
        let stored = registry.get_manifest(&repo, &Reference::Digest(*digest)).await.unwrap();
        assert_eq!(stored.content, content);
    }
    for digest in &told.deleted {
        assert!(registry.get_manifest(&repo, &Reference::Digest(*digest)).await.is_err());
    }
    match registry.resolve_tag(&repo, &tag("latest")).await {
        Ok(now) if told.tag.is_some() => {
            assert!(Some(now) == told.tag || Some(now) == told.tag_maybe, "{now} {told:?}");
        }
        Ok(now) => {
            // Never a tag on what is not there.
            registry.get_manifest(&repo, &Reference::Digest(now)).await.unwrap();
        }
        Err(_) => assert_eq!(told.tag, None),
    }
    registry.list_repositories(Page::default()).await.unwrap();
    let _ = registry.list_tags(&repo, Page::default()).await;
    registry.list_referrers(&repo, &sha256(b""), None, Page::default()).await.unwrap();
    everything_visible_is_whole(driver).await;
}

/// Under a final name there is never half of something.
async fn everything_visible_is_whole(driver: &Arc<dyn Driver>) {
    let root = "/docker/registry/v2";
    for path in files(&**driver, root).await {
        let content = driver
            .get(&storage::StoragePath::parse(path.clone()).unwrap(), 100 << 20)
            .await
            .unwrap();
        if path.starts_with("/docker/registry/v2/blobs/") {
            let hex = path.split('/').nth_back(1).unwrap();
            assert_eq!(sha256(&content).hex(), hex, "{path}");
        } else if path.ends_with("/link") {
            let text = std::str::from_utf8(&content).unwrap();
            assert!(Digest::parse(text).is_ok(), "{path}: {text:?}");
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_whatever_fails() {
    let dry = Faulty::new(Arc::new(Memory::new()));
    scenario(&Registry::new(Arc::new(dry.clone()), Options::default())).await;
    let operations = dry.operations();
    assert!(operations > 20, "{operations}");
    for operation in 0..operations {
        for fault in Fault::ALL {
            let inner: Arc<dyn Driver> = Arc::new(Memory::new());
            let faulty = Faulty::new(Arc::clone(&inner));
            faulty.fail_at(operation, fault);
            let registry = Registry::new(Arc::new(faulty.clone()), Options::default());
            let told = scenario(&registry).await;
            drop(registry);
            println!("{operation} {fault:?} {:?}", faulty.hit());
            check(&inner, &told).await;
            // And whatever was left behind is in nobody's way.
            let again = Registry::new(Arc::clone(&inner), Options::default());
            let told = scenario(&again).await;
            assert_eq!(told.blobs.len(), 3, "{operation} {fault:?}");
            assert_eq!(told.deleted.len(), 1, "{operation} {fault:?}");
            check(&inner, &told).await;
        }
    }
}

#[tokio::test]
async fn a_failing_read_is_never_an_absence() {
    let inner: Arc<dyn Driver> = Arc::new(Memory::new());
    let told = scenario(&Registry::new(Arc::clone(&inner), Options::default())).await;
    let repo = name(REPOSITORY);
    let (blob, _) = told.blobs[0];
    let (manifest, _) = told.manifests[0];
    let reads = async |registry: &Registry| {
        let mut errors = Vec::new();
        errors.extend(registry.stat_blob(&repo, &blob).await.err());
        errors.extend(registry.open_blob(&repo, &blob).await.err());
        errors.extend(registry.get_manifest(&repo, &Reference::Digest(manifest)).await.err());
        errors.extend(registry.get_manifest(&repo, &Reference::Tag(tag("latest"))).await.err());
        errors.extend(registry.list_tags(&repo, Page::default()).await.err());
        errors.extend(registry.list_repositories(Page::default()).await.err());
        errors.extend(registry.list_referrers(&repo, &blob, None, Page::default()).await.err());
        errors.extend(registry.mount_blob(&name("two"), &blob, None).await.err());
        errors
    };
    let dry = Faulty::new(Arc::clone(&inner)).counting_reads();
    assert!(reads(&Registry::new(Arc::new(dry.clone()), Options::default())).await.is_empty());
    for operation in 0..dry.operations() {
        let faulty = Faulty::new(Arc::clone(&inner)).counting_reads();
        faulty.fail_at(operation, Fault::Crash(storage::faulty::Progress::Nothing));
        let errors = reads(&Registry::new(Arc::new(faulty.clone()), Options::default())).await;
        assert!(!errors.is_empty(), "{operation} {:?} was swallowed", faulty.hit());
        for error in errors {
            let told = matches!(error, registry::Error::Storage(_));
            assert!(told, "{operation} {:?}: {error}", faulty.hit());
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let inner: Arc<dyn Driver> = Arc::new(Memory::new());
    let faulty = Faulty::new(Arc::clone(&inner));
    let registry = Registry::new(Arc::new(faulty.clone()), Options::default());
    let repo = name(REPOSITORY);
    let id = registry.start_upload(&repo, None).await.unwrap().id;
    registry.append_upload(&repo, &id, chunk("hello ")).await.unwrap();
    let full = Fault::Error(storage::faulty::Failure::NoSpace, storage::faulty::Progress::Half);
    faulty.fail_at(faulty.operations() + 1, full);
    let outcome = registry.append_upload(&repo, &id, chunk("world")).await;
    assert!(
        matches!(outcome, Err(registry::Error::Storage(storage::StorageError::NoSpace { .. }))),
        "{outcome:?} {:?}",
        faulty.hit()
    );
    // Half of it is in the file; the client asks, and goes on from there.
    let size_bytes = registry.upload_status(&repo, &id).await.unwrap().size_bytes;
    let rest = &"hello world"[usize::try_from(size_bytes).unwrap()..];
    let digest = sha256(b"hello world");
    registry.commit_upload(&repo, &id, &digest, chunk(rest)).await.unwrap();
    assert_eq!(pull_blob(&registry, REPOSITORY, &digest).await, b"hello world");
    assert!(inner.stat(&layout::upload(&repo, &id)).await.is_err());
    registry.commit_upload(&repo, &id, &digest, Chunk::empty()).await.unwrap_err();
}
