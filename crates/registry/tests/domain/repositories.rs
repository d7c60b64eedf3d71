use std::sync::Arc;

use oci::{Algorithm, Digest, MediaType};
use registry::{DeletedRepository, Error, Options, Registry, layout};
use serde_json::json;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, StoragePath};

use crate::support::{files, image, name, push, push_blob, push_image, registry, tags};

/// Every kind of driver there is.
async fn drivers() -> (Vec<Arc<dyn Driver>>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let filesystem = Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
    let (objects, _) = objects::testing::replicas();
    objects.probe(false).await.unwrap();
    (vec![Arc::new(Memory::new()), Arc::new(filesystem), Arc::new(objects)], directory)
}

#[tokio::test]
async fn everything_of_it_is_gone_and_nothing_else() {
    let (drivers, _directory) = drivers().await;
    for driver in drivers {
        let registry = Registry::new(driver, Options::default());
        let config = push_blob(&registry, "a/b", b"{}").await;
        let content = image(&config, json!({}));
        let other = Digest::of(Algorithm::Sha512, &content).to_string();
        push(&registry, "a/b", &other, MediaType::OciManifest, &content).await.unwrap();
        for tag in ["one", "two", "three"] {
            push_image(&registry, "a/b", tag).await;
        }
        push_image(&registry, "a/b/c", "nested").await;
        push_image(&registry, "a", "above").await;
        let upload = registry.start_upload(&name("a/b"), None).await.unwrap();
        registry.append_upload(&name("a/b"), &upload.id, crate::support::chunk("x")).await.unwrap();

        let expected = DeletedRepository { tags: 3, manifests: 5, layers: 1, uploads: 1 };
        assert_eq!(registry.look_at_repository(&name("a/b")).await.unwrap(), expected);
        assert_eq!(tags(&registry, "a/b").await.len(), 3);
        assert_eq!(registry.delete_repository(&name("a/b")).await.unwrap(), expected);

        let below = layout::repository(&name("a/b"));
        let left = files(&**registry.driver(), below.as_str()).await;
        assert!(!left.is_empty());
        assert!(left.iter().all(|path| path.starts_with(&format!("{below}/c/"))), "{left:?}");
        assert_eq!(tags(&registry, "a/b/c").await, ["nested"]);
        assert_eq!(tags(&registry, "a").await, ["above"]);
        for outcome in [
            registry.delete_repository(&name("a/b")).await,
            registry.look_at_repository(&name("a/b")).await,
        ] {
            assert!(matches!(outcome, Err(Error::NameUnknown { .. })), "{outcome:?}");
        }
        push_image(&registry, "a/b", "again").await;
        assert_eq!(tags(&registry, "a/b").await, ["again"]);
    }
}

#[tokio::test]
async fn directories_that_are_empty_then_are_gone_too() {
    let registry = registry();
    push_image(&registry, "deep/down/below", "x").await;
    push_image(&registry, "deep/other", "x").await;
    registry.delete_repository(&name("deep/down/below")).await.unwrap();
    let exists = async |text: &str| {
        let path = StoragePath::parse(format!("{}/{text}", layout::repositories())).unwrap();
        registry.driver().stat(&path).await.is_ok()
    };
    assert!(!exists("deep/down").await);
    assert!(exists("deep/other").await);
    registry.delete_repository(&name("deep/other")).await.unwrap();
    assert!(!exists("deep").await);
    assert!(registry.driver().stat(&layout::repositories()).await.is_ok());
}

#[tokio::test]
async fn what_was_cut_short_goes_on() {
    let registry = registry();
    let digest = push_image(&registry, "one", "x").await;
    registry.driver().delete(&layout::tags(&name("one"))).await.unwrap();
    let deleted = registry.delete_repository(&name("one")).await.unwrap();
    assert_eq!((deleted.tags, deleted.manifests, deleted.layers), (0, 1, 1));
    // An upload alone is something, too.
    registry.start_upload(&name("one"), None).await.unwrap();
    assert_eq!(registry.delete_repository(&name("one")).await.unwrap().uploads, 1);
    let by_digest = oci::Reference::Digest(digest);
    assert!(registry.get_manifest(&name("one"), &by_digest).await.is_err());
}
