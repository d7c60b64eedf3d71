//! Deletion of a manifest by digest, with the tags that name it, among so many that they are not
//! all read.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use oci::{Algorithm, Digest, MediaType};
use registry::limits::TAGS_ALWAYS_READ_MAX;
use registry::{Options, Registry, layout};
use serde_json::json;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, Observed, StoragePath};

use crate::support::{image, name, push, push_blob, sha256, tag, tags};

const REPOSITORY: &str = "many/tags";

/// Servers on one storage that know nothing of each other.
struct Servers {
    one: Registry,
    other: Registry,
    contents: Vec<Bytes>,
    _directory: tempfile::TempDir,
}

impl Servers {
    /// On every kind of driver, with a few manifests, and so many tags of the first of them that
    /// not all are read.
    async fn on_every_driver() -> Vec<Self> {
        let mut all = Vec::new();
        for kind in ["memory", "filesystem", "objects"] {
            let directory = tempfile::tempdir().unwrap();
            let open = || Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
            let drivers: [Arc<dyn Driver>; 2] = match kind {
                "memory" => {
                    let memory = Memory::new();
                    [Arc::new(memory.clone()), Arc::new(memory)]
                }
                "filesystem" => [Arc::new(open()), Arc::new(open())],
                _ => {
                    let (one, other) = objects::testing::replicas();
                    one.probe(false).await.unwrap();
                    other.probe(false).await.unwrap();
                    [Arc::new(one), Arc::new(other)]
                }
            };
            let [one, other] = drivers.map(|driver| Registry::new(driver, Options::default()));
            let config = push_blob(&one, REPOSITORY, b"{}").await;
            let contents = (0..8)
                .map(|number| image(&config, json!({"annotations": {"n": number.to_string()}})));
            let servers = Self { one, other, contents: contents.collect(), _directory: directory };
            for number in 0..servers.contents.len() {
                servers.tag(&servers.one, number, &format!("v{number}")).await;
            }
            let digest = servers.digest(0);
            for number in 0..TAGS_ALWAYS_READ_MAX {
                let path = layout::tag_current(&name(REPOSITORY), &tag(&format!("old-{number}")));
                servers.one.driver().put_unsynced(&path, digest.to_string().into()).await.unwrap();
            }
            all.push(servers);
        }
        all
    }

    fn digest(&self, number: usize) -> Digest {
        sha256(&self.contents[number])
    }

    async fn tag(&self, server: &Registry, number: usize, tag: &str) {
        let content = &self.contents[number];
        push(server, REPOSITORY, tag, MediaType::OciManifest, content).await.unwrap();
    }

    /// Deletes a manifest; returns the tags that went along, sorted.
    async fn delete(&self, number: usize) -> Vec<String> {
        let digest = self.digest(number);
        let deleted = self.one.delete_manifest(&name(REPOSITORY), &digest).await.unwrap();
        let mut deleted: Vec<_> = deleted.iter().map(ToString::to_string).collect();
        deleted.sort();
        let left = tags(&self.other, REPOSITORY).await;
        assert!(deleted.iter().all(|tag| !left.contains(tag)), "{deleted:?}");
        deleted
    }
}

#[tokio::test]
async fn every_tag_that_names_it_goes_and_no_other() {
    for servers in Servers::on_every_driver().await {
        let Servers { one, other, .. } = &servers;
        assert_eq!(servers.delete(1).await, ["v1"]);
        // Pushed by this process: new, moved, moved back.
        servers.tag(one, 2, "new").await;
        servers.tag(one, 2, "v3").await;
        servers.tag(one, 4, "v2").await;
        servers.tag(one, 2, "v2").await;
        servers.tag(one, 3, "new").await;
        servers.tag(one, 2, "new").await;
        assert_eq!(servers.delete(2).await, ["new", "v2", "v3"]);
        assert_eq!(servers.delete(3).await, [""; 0]);
        // New tags of another process, and one that it made anew.
        servers.tag(other, 4, "foreign").await;
        assert_eq!(servers.delete(4).await, ["foreign", "v4"]);
        // What another process has moved away stays.
        servers.tag(other, 6, "v5").await;
        assert_eq!(servers.delete(5).await, [""; 0]);
        assert_eq!(
            one.resolve_tag(&name(REPOSITORY), &tag("v5")).await.unwrap(),
            servers.digest(6)
        );
        let old = servers.delete(0).await;
        assert_eq!(old.len(), TAGS_ALWAYS_READ_MAX + 1);
        // Few are left, and all of those are read.
        assert_eq!(servers.delete(6).await, ["v5", "v6"]);
        assert_eq!(tags(one, REPOSITORY).await, ["v7"]);
    }
}

#[tokio::test]
async fn a_tag_that_another_process_made_anew_is_seen_where_changes_are_told() {
    let servers = Servers::on_every_driver().await.swap_remove(1);
    assert!(servers.one.driver().watcher().is_some());
    assert_eq!(servers.delete(1).await, ["v1"]);
    servers.other.delete_tag(&name(REPOSITORY), &tag("v2")).await.unwrap();
    servers.tag(&servers.other, 3, "v2").await;
    assert_eq!(servers.delete(3).await, ["v2", "v3"]);
}

#[tokio::test]
async fn a_tag_by_another_digest_goes_with_its_manifest() {
    for servers in Servers::on_every_driver().await {
        let other_digest = Digest::of(Algorithm::Sha512, &servers.contents[1]).to_string();
        let content = &servers.contents[1];
        let push = registry::ManifestPush {
            reference: oci::Reference::parse(&other_digest).unwrap(),
            tags: vec![tag("other")],
            media_type: MediaType::OciManifest,
            content: content.clone(),
        };
        assert_eq!(servers.delete(2).await, ["v2"]);
        servers.one.put_manifest(&name(REPOSITORY), push).await.unwrap();
        assert_eq!(servers.delete(3).await, ["v3"]);
        assert_eq!(servers.delete(1).await, ["other", "v1"]);
    }
}

#[tokio::test]
async fn a_tag_that_moves_while_others_are_read_is_found_afterwards() {
    for servers in Servers::on_every_driver().await {
        // Whatever the deletion read of it, what was pushed last counts once it was acknowledged.
        for round in 0..8 {
            let to = 2 + round % 2;
            servers.tag(&servers.one, 1, "spare").await;
            let pushes = async {
                servers.tag(&servers.one, 4, "moving").await;
                servers.tag(&servers.one, to, "moving").await;
            };
            let (deleted, ()) = tokio::join!(servers.delete(1), pushes);
            assert!(deleted.contains(&"spare".to_owned()), "round {round}: {deleted:?}");
            let deleted = servers.delete(to).await;
            assert!(deleted.contains(&"moving".to_owned()), "round {round}: {deleted:?}");
            servers.tag(&servers.one, to, "again").await;
        }
    }
}

/// How much is read in the end: with everything known, no tag but those that go.
#[tokio::test]
async fn what_is_known_is_not_read_again() {
    #[derive(Debug, Default)]
    struct Reads(std::sync::atomic::AtomicUsize);
    impl storage::Observer for Reads {
        fn observed(
            &self,
            action: storage::observed::Action,
            _: std::time::Duration,
            _: storage::observed::Outcome,
        ) {
            if action == storage::observed::Action::GetContent {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    }
    for servers in Servers::on_every_driver().await {
        let reads = Arc::new(Reads::default());
        let driver = Observed::new(Arc::clone(servers.one.driver()), Some(reads.clone()));
        let registry = Registry::new(Arc::new(driver), Options::default());
        let delete = async |number: usize| {
            reads.0.store(0, std::sync::atomic::Ordering::SeqCst);
            let digest = servers.digest(number);
            let deleted = registry.delete_manifest(&name(REPOSITORY), &digest).await.unwrap();
            assert_eq!(deleted.len(), 1);
            reads.0.load(std::sync::atomic::Ordering::SeqCst)
        };
        assert!(delete(1).await > TAGS_ALWAYS_READ_MAX);
        for number in 2..6 {
            let reads = delete(number).await;
            assert!(reads < 5, "{reads} reads");
        }
    }
}

/// Measures the first deletion, which reads every tag, and those after it.
#[tokio::test]
#[ignore = "makes 100,000 tags"]
async fn a_manifest_among_100_000_tags() {
    const TAGS: usize = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let driver = Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
        Registry::new(Arc::new(driver), Options::default())
    };
    let registry = open();
    let config = push_blob(&registry, REPOSITORY, b"{}").await;
    let content = |number: usize| image(&config, json!({"annotations": {"n": number.to_string()}}));
    for number in 0..50 {
        let digest = sha256(&content(number)).to_string();
        push(&registry, REPOSITORY, &digest, MediaType::OciManifest, &content(number))
            .await
            .unwrap();
    }
    let write = |path: StoragePath, digest: &Digest| {
        let path = directory.path().join(&path.as_str()[1..]);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        std::fs::write(path, digest.to_string()).unwrap();
    };
    for number in 0..TAGS {
        let digest = sha256(&content(number % 50));
        let digest = if number < 50 { digest } else { sha256(&number.to_be_bytes()) };
        let tag = tag(&format!("v1.0.{number}"));
        write(layout::tag_current(&name(REPOSITORY), &tag), &digest);
        write(layout::tag_index(&name(REPOSITORY), &tag, &digest), &digest);
    }
    let registry = open();
    for number in 0..50 {
        let started = Instant::now();
        let digest = sha256(&content(number));
        let deleted = registry.delete_manifest(&name(REPOSITORY), &digest).await.unwrap();
        println!("deletion {number}: {:?}, {} tags", started.elapsed(), deleted.len());
        assert_eq!(deleted.len(), 1);
    }
}
