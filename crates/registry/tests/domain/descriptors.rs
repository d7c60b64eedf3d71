//! The shared descriptor cache: what it is told, when it is asked, and that it is never believed
//! for longer than the storage says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName};
use registry::descriptors::{DescriptorCache, DescriptorCacheStats, Found, Gone, Ticket};
use registry::{BlobStat, Error, Options, Registry, layout};
use serde_json::json;
use storage::Driver;
use storage::memory::Memory;

use crate::support::{chunk, image, name, pull_blob, push, push_blob, push_image, sha256};

type Key = (String, Digest);

/// What several servers share, without a server between them.
#[derive(Debug, Default)]
struct Shared {
    blobs: Mutex<HashMap<Key, BlobStat>>,
    manifests: Mutex<HashMap<Key, Digest>>,
    revocations: Mutex<HashMap<String, u64>>,
    asked: Mutex<u64>,
    is_down: AtomicBool,
}

impl Shared {
    fn now(&self, name: &RepositoryName) -> Option<Ticket> {
        let count = self.revocations.lock().unwrap().get(name.as_str()).copied();
        (!self.is_down.load(Relaxed)).then(|| Ticket(count.unwrap_or_default()))
    }

    fn knows_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.blobs.lock().unwrap().contains_key(&(repository.to_owned(), *digest))
    }

    fn knows_manifest(&self, repository: &str, digest: &Digest) -> bool {
        self.manifests.lock().unwrap().contains_key(&(repository.to_owned(), *digest))
    }

    fn know_blob(&self, repository: &str, digest: Digest, stat: BlobStat) {
        self.blobs.lock().unwrap().insert((repository.to_owned(), digest), stat);
    }

    fn is_empty(&self) -> bool {
        self.blobs.lock().unwrap().is_empty() && self.manifests.lock().unwrap().is_empty()
    }
}

fn key(name: &RepositoryName, digest: &Digest) -> Key {
    (name.to_string(), *digest)
}

#[async_trait]
impl DescriptorCache for Shared {
    async fn find_blob(&self, name: &RepositoryName, digest: &Digest) -> Found<BlobStat> {
        *self.asked.lock().unwrap() += 1;
        let known = self.blobs.lock().unwrap().get(&key(name, digest)).copied();
        Found { known, ticket: self.now(name) }
    }

    async fn find_manifest(&self, name: &RepositoryName, digest: &Digest) -> Found<Digest> {
        *self.asked.lock().unwrap() += 1;
        let known = self.manifests.lock().unwrap().get(&key(name, digest)).copied();
        Found { known, ticket: self.now(name) }
    }

    async fn ticket(&self, name: &RepositoryName) -> Option<Ticket> {
        self.now(name)
    }

    async fn remember_blob(
        &self,
        ticket: Ticket,
        name: &RepositoryName,
        digest: &Digest,
        stat: BlobStat,
    ) {
        if self.now(name) == Some(ticket) {
            self.blobs.lock().unwrap().insert(key(name, digest), stat);
        }
    }

    async fn remember_manifest(
        &self,
        ticket: Ticket,
        name: &RepositoryName,
        digest: &Digest,
        canonical: &Digest,
    ) {
        if self.now(name) == Some(ticket) {
            self.manifests.lock().unwrap().insert(key(name, digest), *canonical);
        }
    }

    async fn revoke(&self, name: &RepositoryName, digests: &[Digest], gone: Gone) {
        *self.revocations.lock().unwrap().entry(name.to_string()).or_default() += 1;
        let mut blobs = self.blobs.lock().unwrap();
        blobs.retain(|(repository, digest), _| {
            let is_here = repository == name.as_str() || gone == Gone::FromStorage;
            !(is_here && (digests.is_empty() || digests.contains(digest)))
        });
        if digests.is_empty() {
            let mut manifests = self.manifests.lock().unwrap();
            manifests.retain(|(repository, _), _| repository != name.as_str());
        }
        for digest in digests {
            self.manifests.lock().unwrap().remove(&key(name, digest));
        }
    }

    fn stats(&self) -> DescriptorCacheStats {
        DescriptorCacheStats { requests: *self.asked.lock().unwrap(), ..Default::default() }
    }
}

/// Two servers on one storage with one cache.
struct Servers {
    a: Registry,
    b: Registry,
    cache: Arc<Shared>,
}

fn servers() -> Servers {
    let driver: Arc<dyn Driver> = Arc::new(Memory::new());
    let cache = Arc::new(Shared::default());
    let server = || {
        Registry::new(Arc::clone(&driver), Options::default())
            .with_descriptor_cache(Arc::<Shared>::clone(&cache))
    };
    Servers { a: server(), b: server(), cache }
}

async fn is_unknown(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    let error = registry.stat_blob(&name(repository), digest).await;
    matches!(error, Err(Error::BlobUnknown { .. }))
}

#[tokio::test]
async fn what_was_pushed_is_known_without_the_storage() {
    let Servers { a, b, cache } = servers();
    let digest = push_blob(&a, "one", b"layer").await;
    // With the link gone, only the cache can say so.
    a.driver().delete(&layout::layer_link(&name("one"), &digest)).await.unwrap();
    let stat = b.stat_blob(&name("one"), &digest).await.unwrap();
    assert_eq!((stat.digest, stat.size_bytes), (digest, 5));
    assert_eq!(pull_blob(&b, "one", &digest).await, b"layer");

    let mounted = a.mount_blob(&name("two"), &digest, None).await.unwrap();
    assert_eq!(mounted, Some(digest));
    assert!(cache.knows_blob("two", &digest));

    let manifest = push_image(&a, "three", "latest").await;
    assert!(cache.knows_manifest("three", &manifest));
    a.driver().delete(&layout::revision_link(&name("three"), &manifest)).await.unwrap();
    let reference = Reference::Digest(manifest);
    assert_eq!(b.get_manifest(&name("three"), &reference).await.unwrap().digest, manifest);
    assert!(b.descriptor_cache_stats().is_some_and(|stats| stats.requests >= 3));
}

#[tokio::test]
async fn what_the_storage_said_is_remembered_and_what_it_lacks_is_not() {
    let Servers { a, b, cache } = servers();
    let digest = push_blob(&a, "one", b"layer").await;
    let manifest = push_image(&a, "one", "latest").await;
    for read in ["stat", "open"] {
        cache.blobs.lock().unwrap().clear();
        match read {
            "stat" => drop(b.stat_blob(&name("one"), &digest).await.unwrap()),
            _ => drop(b.open_blob(&name("one"), &digest).await.unwrap()),
        }
        assert!(cache.knows_blob("one", &digest), "{read}");
    }
    cache.manifests.lock().unwrap().clear();
    b.get_manifest(&name("one"), &Reference::Digest(manifest)).await.unwrap();
    assert!(cache.knows_manifest("one", &manifest));

    cache.blobs.lock().unwrap().clear();
    cache.manifests.lock().unwrap().clear();
    assert!(is_unknown(&b, "two", &digest).await);
    assert!(b.open_blob(&name("two"), &digest).await.is_err());
    assert!(b.get_manifest(&name("two"), &Reference::Digest(manifest)).await.is_err());
    assert_eq!(b.mount_blob(&name("two"), &sha256(b"?"), None).await.unwrap(), None);
    assert!(cache.is_empty());
}

#[tokio::test]
async fn deleting_a_blob_is_seen_by_others_at_once_and_in_its_repository_only() {
    let Servers { a, b, cache } = servers();
    let digest = push_blob(&a, "one", b"layer").await;
    push_blob(&a, "two", b"layer").await;
    a.delete_blob(&name("one"), &digest).await.unwrap();
    assert!(is_unknown(&b, "one", &digest).await);
    assert!(b.open_blob(&name("one"), &digest).await.is_err());
    // The other repository's entry is untouched.
    assert!(cache.knows_blob("two", &digest));
    assert_eq!(pull_blob(&b, "two", &digest).await, b"layer");
    // And it comes back when it is pushed again.
    push_blob(&b, "one", b"layer").await;
    assert_eq!(a.stat_blob(&name("one"), &digest).await.unwrap().size_bytes, 5);
}

#[tokio::test]
async fn deleting_under_either_digest_takes_both_out_of_the_cache() {
    for delete_by_canonical in [true, false] {
        let Servers { a, b, cache } = servers();
        let sha512 = Digest::of(Algorithm::Sha512, b"layer");
        a.put_blob(&name("one"), &sha512, chunk("layer")).await.unwrap();
        let canonical = sha256(b"layer");
        assert!(cache.knows_blob("one", &sha512) && cache.knows_blob("one", &canonical));
        assert_eq!(b.stat_blob(&name("one"), &sha512).await.unwrap().digest, canonical);
        let deleted = if delete_by_canonical { canonical } else { sha512 };
        a.delete_blob(&name("one"), &deleted).await.unwrap();
        for digest in [sha512, canonical] {
            assert!(is_unknown(&b, "one", &digest).await, "{delete_by_canonical} {digest}");
        }
    }
}

#[tokio::test]
async fn deleting_a_manifest_is_seen_by_others_at_once() {
    let Servers { a, b, cache } = servers();
    let config = push_blob(&a, "one", b"{}").await;
    let content = image(&config, json!({}));
    let sha512 = Digest::of(Algorithm::Sha512, &content).to_string();
    for repository in ["one", "two"] {
        push_blob(&a, repository, b"{}").await;
        push(&a, repository, &sha512, MediaType::OciManifest, &content).await.unwrap();
    }
    let get = async |registry: &Registry, repository: &str, reference: &str| {
        let reference = Reference::parse(reference).unwrap();
        registry.get_manifest(&name(repository), &reference).await.is_ok()
    };
    let canonical = sha256(&content).to_string();
    assert!(get(&b, "one", &sha512).await && get(&b, "one", &canonical).await);
    a.delete_manifest(&name("one"), &sha256(&content)).await.unwrap();
    assert!(!get(&b, "one", &sha512).await && !get(&b, "one", &canonical).await);
    assert!(cache.knows_manifest("two", &sha256(&content)));
    assert!(get(&b, "two", &sha512).await);
}

#[tokio::test]
async fn an_entry_whose_data_is_gone_is_forgotten() {
    let Servers { a, b, cache } = servers();
    let digest = push_blob(&a, "one", b"layer").await;
    push_blob(&a, "two", b"layer").await;
    a.driver().delete(&layout::blob_data(&digest)).await.unwrap();
    let error = b.open_blob(&name("one"), &digest).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }), "{error}");
    assert!(!cache.knows_blob("one", &digest) && !cache.knows_blob("two", &digest));
    assert!(is_unknown(&b, "two", &digest).await);

    let manifest = push_image(&a, "one", "latest").await;
    a.driver().delete(&layout::blob_data(&manifest)).await.unwrap();
    let error = b.get_manifest(&name("one"), &Reference::Digest(manifest)).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }), "{error}");
    assert!(!cache.knows_manifest("one", &manifest));
}

#[tokio::test]
async fn a_delete_of_what_only_the_cache_knows_clears_it() {
    let Servers { a, b, cache } = servers();
    let digest = push_blob(&a, "one", b"layer").await;
    let manifest = push_image(&a, "one", "latest").await;
    a.driver().delete(&layout::layer_link(&name("one"), &digest)).await.unwrap();
    a.driver().delete(&layout::revision_link(&name("one"), &manifest)).await.unwrap();
    assert!(b.delete_blob(&name("one"), &digest).await.is_err());
    assert!(b.delete_manifest(&name("one"), &manifest).await.is_err());
    assert!(!cache.knows_blob("one", &digest) && !cache.knows_manifest("one", &manifest));
}

#[tokio::test]
async fn nothing_is_written_on_the_word_of_the_cache() {
    let Servers { a, b, cache } = servers();
    let digest = sha256(b"layer");
    cache.know_blob("one", digest, BlobStat { digest, size_bytes: 5 });
    assert_eq!(b.stat_blob(&name("one"), &digest).await.unwrap().size_bytes, 5);
    assert_eq!(a.mount_blob(&name("two"), &digest, Some(&name("one"))).await.unwrap(), None);
    let refused = push(&a, "one", "v1", MediaType::OciManifest, &image(&digest, json!({}))).await;
    assert!(matches!(refused, Err(Error::ManifestReferences(_))), "{refused:?}");
}

#[tokio::test]
async fn an_entry_that_names_other_content_is_not_believed() {
    let Servers { a, b, cache } = servers();
    let wanted = push_blob(&a, "one", b"wanted").await;
    let other = push_blob(&a, "one", b"other").await;
    let sha512 = Digest::of(Algorithm::Sha512, b"wanted");
    let entry = BlobStat { digest: other, size_bytes: 5 };
    cache.know_blob("one", wanted, entry);
    assert_eq!(pull_blob(&b, "one", &wanted).await, b"wanted");
    // A digest whose canonical one the repository does not have is gone with it.
    cache.know_blob("one", sha512, BlobStat { digest: sha256(b"gone"), size_bytes: 4 });
    assert!(is_unknown(&b, "one", &sha512).await);
}

#[tokio::test]
async fn a_cache_that_is_down_changes_nothing() {
    let Servers { a, b, cache } = servers();
    cache.is_down.store(true, Relaxed);
    let digest = push_blob(&a, "one", b"layer").await;
    let manifest = push_image(&a, "one", "latest").await;
    assert!(cache.is_empty());
    assert_eq!(pull_blob(&b, "one", &digest).await, b"layer");
    b.get_manifest(&name("one"), &Reference::Digest(manifest)).await.unwrap();
    b.delete_blob(&name("one"), &digest).await.unwrap();
    assert!(is_unknown(&a, "one", &digest).await);
    assert!(cache.is_empty());
}

#[tokio::test]
async fn a_deleted_repository_is_forgotten_by_all() {
    let Servers { a, b, cache } = servers();
    let digest = push_blob(&a, "one", b"layer").await;
    let manifest = push_image(&a, "one", "latest").await;
    push_blob(&a, "two", b"layer").await;
    a.delete_repository(&name("one")).await.unwrap();
    assert!(is_unknown(&b, "one", &digest).await);
    assert!(!cache.knows_manifest("one", &manifest));
    assert!(!is_unknown(&b, "two", &digest).await);
}
