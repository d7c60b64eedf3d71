use oci::{Algorithm, Digest, MediaType};
use registry::{ManifestPush, Page, Registry, layout};
use serde_json::{Value, json};

use crate::support::{image, name, push, push_blob, push_image, registry, sha256};

fn subject(digest: &Digest, more: Value) -> Value {
    let mut fields =
        json!({"subject": {"mediaType": "m", "digest": digest.to_string(), "size": 1}});
    for (key, value) in more.as_object().unwrap() {
        fields[key] = value.clone();
    }
    fields
}

async fn list(registry: &Registry, of: &Digest, artifact_type: Option<&str>) -> Vec<Value> {
    let page = Page::default();
    let found = registry.list_referrers(&name("one"), of, artifact_type, page).await.unwrap();
    assert_eq!(found.next, None);
    found.manifests.iter().map(|d| serde_json::to_value(d).unwrap()).collect()
}

#[tokio::test]
async fn descriptors_and_filter() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let of = push_image(&registry, "one", "v1").await;
    assert_eq!(list(&registry, &of, None).await, [json!(null); 0]);
    let with_type =
        image(&config, subject(&of, json!({"artifactType": "sbom", "annotations": {"a": "b"}})));
    let without = image(&config, subject(&of, json!({})));
    for content in [&with_type, &without] {
        let digest = sha256(content).to_string();
        let pushed =
            push(&registry, "one", &digest, MediaType::OciManifest, content).await.unwrap();
        assert_eq!(pushed.subject, Some(of));
    }
    let mut expected = vec![
        json!({
            "mediaType": MediaType::OciManifest.as_str(), "digest": sha256(&with_type).to_string(),
            "size": with_type.len(), "artifactType": "sbom", "annotations": {"a": "b"},
        }),
        json!({
            "mediaType": MediaType::OciManifest.as_str(), "digest": sha256(&without).to_string(),
            "size": without.len(), "artifactType": "application/test",
        }),
    ];
    assert_eq!(list(&registry, &of, Some("sbom")).await, expected[..1]);
    assert_eq!(list(&registry, &of, Some("other")).await, [json!(null); 0]);
    expected.sort_by_key(|d| d["digest"].to_string());
    assert_eq!(list(&registry, &of, None).await, expected);
    // Gone as soon as it is deleted, back when it is pushed again.
    registry.delete_manifest(&name("one"), &sha256(&with_type)).await.unwrap();
    assert_eq!(list(&registry, &of, None).await.len(), 1);
    push(&registry, "one", "again", MediaType::OciManifest, &with_type).await.unwrap();
    assert_eq!(list(&registry, &of, None).await, expected);
}

#[tokio::test]
async fn a_subject_need_not_exist() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let of = sha256(b"nothing");
    let content = image(&config, subject(&of, json!({})));
    push(&registry, "one", "v1", MediaType::OciManifest, &content).await.unwrap();
    assert_eq!(list(&registry, &of, None).await.len(), 1);
}

#[tokio::test]
async fn what_was_there_before_is_found() {
    let registry = registry();
    let of = push_image(&registry, "one", "v1").await;
    list(&registry, &of, None).await;
    // As Distribution writes it: data, then link; a referrers tag may list it or not.
    let content = image(&sha256(b"{}"), subject(&of, json!({})));
    let digest = sha256(&content);
    registry.driver().put(&layout::blob_data(&digest), content).await.unwrap();
    let link = layout::revision_link(&name("one"), &digest);
    registry.driver().put(&link, digest.to_string().into()).await.unwrap();
    assert_eq!(list(&registry, &of, None).await.len(), 1);
}

#[tokio::test]
async fn one_damaged_manifest_does_not_hide_the_others() {
    let registry = registry();
    let of = push_image(&registry, "one", "v1").await;
    let config = push_blob(&registry, "one", b"{}").await;
    let mut digests = Vec::new();
    for number in 0..3 {
        let content = image(&config, subject(&of, json!({"number": number})));
        let tag = format!("r{number}");
        let pushed = push(&registry, "one", &tag, MediaType::OciManifest, &content).await.unwrap();
        digests.push(pushed.digest);
    }
    let driver = registry.driver();
    driver.put(&layout::blob_data(&digests[0]), "junk".into()).await.unwrap();
    driver.delete(&layout::blob_data(&digests[1])).await.unwrap();
    let fresh = Registry::new(driver.clone(), Default::default());
    let found = list(&fresh, &of, None).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["digest"], digests[2].to_string());
}

#[tokio::test]
async fn pages() {
    let registry = registry();
    let of = push_image(&registry, "one", "v1").await;
    let config = push_blob(&registry, "one", b"{}").await;
    // 60 of about 100 KB each: more than one page by size.
    for number in 0..60 {
        let annotations = json!({"number": number.to_string(), "fill": "x".repeat(100_000)});
        let content = image(&config, subject(&of, json!({"annotations": annotations})));
        let digest = sha256(&content).to_string();
        push(&registry, "one", &digest, MediaType::OciManifest, &content).await.unwrap();
    }
    let (mut seen, mut last, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let page = Page { limit: None, last: last.as_deref() };
        let found = registry.list_referrers(&name("one"), &of, None, page).await.unwrap();
        seen.extend(found.manifests.iter().map(|d| d.digest));
        pages += 1;
        match found.next.clone() {
            Some(next) => last = Some(next),
            None => break,
        }
    }
    assert!(pages > 1);
    assert_eq!(seen.len(), 60);
    assert!(seen.is_sorted());
    let page = Page { limit: Some(7), last: None };
    let found = registry.list_referrers(&name("one"), &of, None, page).await.unwrap();
    assert_eq!((found.manifests.len(), found.next.is_some()), (7, true));
}

#[tokio::test]
async fn one_pushed_under_sha512_is_listed_once_under_that() {
    let registry = registry();
    let of = push_image(&registry, "one", "v1").await;
    let config = push_blob(&registry, "one", b"{}").await;
    let content = image(&config, subject(&of, json!({})));
    let sha512 = Digest::of(Algorithm::Sha512, &content);
    let push = ManifestPush {
        reference: oci::Reference::Digest(sha512),
        tags: Vec::new(),
        media_type: MediaType::OciManifest,
        content,
    };
    registry.put_manifest(&name("one"), push).await.unwrap();
    let found = list(&registry, &of, None).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["digest"], sha512.to_string());
}
