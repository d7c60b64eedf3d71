//! Over an object store: replicas that share nothing else.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, MediaType, Reference, Tag};
use registry::limits::TAGGED_AGE_MAX;
use registry::{Chunk, Error, Options, Page, Registry, UploadId, layout};
use serde_json::json;
use storage::Driver;

use crate::support::{
    assert_pages, chunk, image, name, names, pull_blob, push, push_blob, push_image, sha256,
};

/// Two replicas.
async fn replicas() -> [Registry; 2] {
    let (one, other) = objects::testing::replicas();
    for objects in [&one, &other] {
        objects.probe(false).await.unwrap();
    }
    [one, other].map(|objects| Registry::new(Arc::new(objects), Options::default()))
}

fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at % 253) as u8).collect()
}

#[tokio::test]
async fn every_chunk_may_reach_another_replica() {
    let replicas = replicas().await;
    let repository = name("a/b");
    for (algorithm, sizes) in [
        (Algorithm::Sha256, [100, 0, 7_000_000, 12_000_000, 1]),
        // The canonical digest alone is computed along the way: all of it is read again.
        (Algorithm::Sha512, [6_000_000, 10, 5_000_000, 3, 6_000_000]),
    ] {
        let whole = content(sizes.iter().sum());
        let digest = Digest::of(algorithm, &whole);
        let upload = replicas[0].start_upload(&repository, None).await.unwrap();
        let mut offset = 0;
        for (turn, size) in sizes.into_iter().enumerate() {
            let piece = whole.slice(offset..offset + size);
            let replica = &replicas[(turn + 1) % 2];
            let status =
                replica.append_upload(&repository, &upload.id, chunk(piece)).await.unwrap();
            offset += size;
            assert_eq!(status.size_bytes, offset as u64);
            let status = replicas[turn % 2].upload_status(&repository, &upload.id).await.unwrap();
            assert_eq!(status.size_bytes, offset as u64);
        }
        replicas[0].commit_upload(&repository, &upload.id, &digest, chunk("")).await.unwrap();
        assert!(pull_blob(&replicas[1], "a/b", &digest).await == whole);
        let gone = replicas[1].upload_status(&repository, &upload.id).await;
        assert!(matches!(gone, Err(Error::UploadUnknown { .. })), "{gone:?}");
    }
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing() {
    let [registry, _] = replicas().await;
    let (right, wrong) = (content(12_000_000), sha256(b"something else"));
    let error = registry.put_blob(&name("a"), &wrong, chunk(right.clone())).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert!(registry.open_blob(&name("a"), &wrong).await.is_err());
    assert!(
        registry
            .driver()
            .list(&storage::StoragePath::root())
            .await
            .is_ok_and(|l| l.entries.is_empty())
    );
    push_blob(&registry, "a", &right).await;
}

#[tokio::test]
async fn more_than_the_store_takes_is_refused_at_the_start() {
    let [registry, _] = replicas().await;
    let mut announced = chunk("x");
    announced.content_length = Some(10 << 40);
    let error = registry.put_blob(&name("a"), &sha256(b"x"), announced).await.unwrap_err();
    assert!(error.to_string().contains("5497558138880"), "{error}");
}

#[tokio::test]
async fn repositories_are_listed_page_by_page() {
    let [registry, other] = replicas().await;
    for repository in ["a-b", "a/b/c", "a", "a/b-c", "b", "a.b/c", "c/1", "c/2", "c/3"] {
        push_image(&registry, repository, "v1").await;
    }
    push_blob(&registry, "blobs/only", b"x").await;
    let all = ["a", "a/b/c", "a/b-c", "a-b", "a.b/c", "b", "c/1", "c/2", "c/3"];
    let list = async |limit, last| other.list_repositories(Page { limit, last }).await.unwrap();
    assert_eq!(list(None, None).await, names(&all, false));
    assert_pages(&all, &list).await;
    assert_eq!(list(None, Some("a/b")).await, names(&all[1..], false));
    assert_eq!(list(None, Some("a/b/zz")).await, names(&all[2..], false));
    assert_eq!(list(None, Some("~")).await, names(&[], false));
}

#[tokio::test]
async fn tags_are_listed_page_by_page_and_right_at_once() {
    let [registry, other] = replicas().await;
    let all = ["v1", "v1-a", "v1.0", "v1.0-rc", "v1.0.1", "v10", "v2"];
    let config = push_blob(&registry, "r", b"{}").await;
    for tag in all {
        let content = image(&config, json!({"annotations": {"tag": tag}}));
        push(&registry, "r", tag, MediaType::OciManifest, &content).await.unwrap();
    }
    let repository = name("r");
    let list =
        async |limit, last| other.list_tags(&repository, Page { limit, last }).await.unwrap();
    assert_eq!(list(None, None).await, names(&all, false));
    assert_pages(&all, &list).await;
    registry.delete_tag(&repository, &Tag::parse("v1").unwrap()).await.unwrap();
    assert_eq!(list(Some(1), None).await, names(&["v1-a"], true));
    let nobody = registry.list_tags(&name("nobody"), Page::default()).await;
    assert!(matches!(nobody, Err(Error::NameUnknown { .. })), "{nobody:?}");
}

#[tokio::test]
async fn referrers_are_those_of_this_moment() {
    let [registry, other] = replicas().await;
    let subject = push_image(&registry, "r", "v1").await;
    let config = push_blob(&registry, "r", b"{}").await;
    let mut digests = Vec::new();
    for number in 0..40 {
        let subject = json!({
            "mediaType": MediaType::OciManifest.as_str(), "digest": subject.to_string(), "size": 2,
        });
        let more = json!({"subject": subject, "annotations": {"number": number.to_string()}});
        let content = image(&config, more);
        let digest = sha256(&content).to_string();
        push(&registry, "r", &digest, MediaType::OciManifest, &content).await.unwrap();
        digests.push(sha256(&content));
    }
    digests.sort();
    let repository = name("r");
    let list = async |registry: &Registry| -> Vec<Digest> {
        let found = registry.list_referrers(&repository, &subject, None, Page::default()).await;
        found.unwrap().manifests.iter().map(|manifest| manifest.digest).collect()
    };
    assert_eq!(list(&other).await, digests);
    let gone = digests.remove(7);
    registry.delete_manifest(&repository, &gone).await.unwrap();
    assert_eq!(list(&other).await, digests);
    assert_eq!(list(&registry).await, digests);
}

#[tokio::test]
async fn what_another_replica_deletes_is_gone_by_tag_and_by_digest() {
    let [registry, other] = replicas().await;
    let repository = name("r");
    let by = |text: &str| Reference::parse(text).unwrap();
    for round in 0..3 {
        let digest = push_image(&registry, "r", "v1").await;
        let text = digest.to_string();
        for replica in [&registry, &other, &registry] {
            for reference in ["v1", text.as_str()] {
                let found = replica.get_manifest(&repository, &by(reference)).await.unwrap();
                assert_eq!(found.digest, digest);
            }
        }
        let [deleting, asked] = if round == 1 { [&other, &registry] } else { [&registry, &other] };
        deleting.delete_manifest(&repository, &digest).await.unwrap();
        for replica in [asked, deleting] {
            for reference in ["v1", text.as_str()] {
                let found = replica.get_manifest(&repository, &by(reference)).await;
                assert!(matches!(found, Err(Error::ManifestUnknown { .. })), "{found:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_before_its_tag_is_gone_by_the_tag_soon() {
    let [registry, other] = replicas().await;
    let repository = name("r");
    let digest = push_image(&registry, "r", "v1").await;
    let by_tag = Reference::parse("v1").unwrap();
    let pull = async || other.get_manifest(&repository, &by_tag).await;
    assert_eq!(pull().await.unwrap().digest, digest);
    // As Distribution does, and a replica that has not seen that the tag was moved.
    let link = layout::revision_link(&repository, &digest);
    registry.driver().delete(&link).await.unwrap();
    // Being pulled does not make it last.
    for _ in 0..3 {
        tokio::time::advance(TAGGED_AGE_MAX / 3).await;
        let _ = pull().await;
    }
    let found = pull().await;
    assert!(matches!(found, Err(Error::ManifestUnknown { .. })), "{found:?}");
    // Pushed again it is there at once.
    assert_eq!(push_image(&registry, "r", "v1").await, digest);
    assert_eq!(pull().await.unwrap().digest, digest);
}

/// Has both replicas open an upload at its start, and keep a chunk of their own: the second one's is
/// what is there then. Returns the running digest that the first one saved, if it did.
async fn keep_at_once(
    [first, second]: [&Arc<Registry>; 2],
    id: &UploadId,
    [one, other]: [&Bytes; 2],
) -> Option<Bytes> {
    let repository = name("r");
    let saved = Arc::new(Mutex::new(None));
    let body = {
        let (first, repository, id) = (Arc::clone(first), repository.clone(), id.clone());
        let (one, other, saved) = (one.clone(), other.clone(), Arc::clone(&saved));
        stream::once(async move {
            first.append_upload(&repository, &id, chunk(one)).await.unwrap();
            let midstate = layout::upload_midstate(&repository, &id);
            *saved.lock().unwrap() = first.driver().get(&midstate, 4096).await.ok();
            Ok(other)
        })
    };
    let chunk = Chunk { body: Box::pin(body), ..chunk("") };
    second.append_upload(&repository, id, chunk).await.unwrap();
    saved.lock().unwrap().take()
}

#[tokio::test]
async fn a_running_digest_is_never_taken_for_that_of_what_another_replica_kept() {
    // That the store refuses stale writes was not found out.
    let (one, other) = objects::testing::replicas();
    let registry =
        |driver: &Arc<dyn Driver>| Arc::new(Registry::new(Arc::clone(driver), Options::default()));
    let [one, other] = [one, other].map(|objects| Arc::new(objects) as Arc<dyn Driver>);
    let repository = name("r");
    for (length, is_saved) in [(100, false), (4_500_000, true)] {
        let [first, second] = [registry(&one), registry(&other)];
        let (mine, others) = (content(length), Bytes::from(vec![7; length]));
        let digest = sha256(&mine);
        for by_another in [false, true] {
            let upload = first.start_upload(&repository, None).await.unwrap();
            let saved = keep_at_once([&first, &second], &upload.id, [&mine, &others]).await;
            assert_eq!(saved.is_some(), is_saved);
            let mut committing = &first;
            let third = registry(&one);
            if by_another {
                // Of the two states that are saved, the first one's comes last.
                let midstate = layout::upload_midstate(&repository, &upload.id);
                if let Some(saved) = saved {
                    one.put(&midstate, saved).await.unwrap();
                }
                committing = &third;
            }
            let id = &upload.id;
            let done = committing.commit_upload(&repository, id, &digest, chunk("")).await;
            assert!(matches!(done, Err(Error::DigestMismatch { .. })), "{length}: {done:?}");
            assert!(one.stat(&layout::blob_data(&digest)).await.unwrap_err().is_not_found());
        }
    }
}
