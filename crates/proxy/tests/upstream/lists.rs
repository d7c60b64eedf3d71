//! Tags and referrers.

use proxy::UpstreamError;
use serde_json::json;

use crate::fake::{Act, FakeRegistry};
use crate::{MANIFEST, OCI_MANIFEST, asking, name, upstream};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

async fn with_tags(count: usize) -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    for number in 0..count {
        registry.put_manifest("a", Some(&format!("t{number:05}")), OCI_MANIFEST, MANIFEST);
    }
    registry
}

#[tokio::test]
async fn tags_are_read_page_by_page() {
    let registry = with_tags(2500).await;
    let upstream = upstream(&registry);
    let (tags, more) = upstream.tags(&name("a"), None, None, &asking()).await.unwrap();
    assert_eq!((tags.len(), more), (2500, false));
    assert_eq!(registry.count("tags/list"), 3);
    let (tags, more) = upstream.tags(&name("a"), Some(2), Some("t00009"), &asking()).await.unwrap();
    assert_eq!(tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["t00010", "t00011"]);
    assert!(more);
    let (tags, more) = upstream.tags(&name("a"), Some(5), Some("t02497"), &asking()).await.unwrap();
    assert_eq!((tags.len(), more), (2, false));
}

#[tokio::test]
async fn lists_that_have_no_end() {
    let registry = with_tags(3).await;
    let client = upstream(&registry);
    let link = "</v2/a/tags/list?last=x>; rel=\"next\"".to_owned();
    registry.fail("tags/list", usize::MAX, Act::Header("link", link));
    let (tags, _) = client.tags(&name("a"), None, None, &asking()).await.unwrap();
    assert!(tags.len() <= 6, "a page that leads to itself is the last: {}", tags.len());
    registry.mend();
    registry.fail("tags/list", 1, Act::Answer(200, Vec::new(), vec![b' '; 9 << 20]));
    let error = client.tags(&name("a"), None, None, &asking()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Invalid { .. }), "{error:?}");
}

#[tokio::test]
async fn odd_lists() {
    let registry = with_tags(1).await;
    let client = upstream(&registry);
    for (body, expected) in [
        (r#"{"name":"a","tags":null}"#, Some(0)),
        (r#"{"tags":["ok","not a tag",".no"]}"#, Some(1)),
        ("<html>", None),
    ] {
        registry.fail("tags/list", 1, Act::Answer(200, Vec::new(), body.as_bytes().to_vec()));
        let tags = client.tags(&name("a"), None, None, &asking()).await;
        assert_eq!(tags.ok().map(|(tags, _)| tags.len()), expected, "{body}");
    }
    let error = client.tags(&name("b"), None, None, &asking()).await.unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn referrers_are_filtered_here_too() {
    let registry = with_tags(1).await;
    let subject = registry.put_manifest("a", None, OCI_MANIFEST, MANIFEST);
    let index = json!({ "schemaVersion": 2, "manifests": [
        { "digest": "sha256:1", "artifactType": "application/sig" },
        { "digest": "sha256:2", "artifactType": "application/sbom", "annotations": { "a": "b" } },
    ]});
    registry.put_referrers("a", &subject, &index.to_string());
    let client = upstream(&registry);
    let all = client.referrers(&name("a"), &subject, None, &asking()).await.unwrap();
    assert_eq!(all.len(), 2);
    let of = Some("application/sbom");
    let some = client.referrers(&name("a"), &subject, of, &asking()).await.unwrap();
    assert_eq!(some.len(), 1);
    assert_eq!(some[0]["annotations"], json!({ "a": "b" }));
    assert_eq!(registry.count("artifactType=application%2Fsbom"), 1);
}

#[tokio::test]
async fn the_fallback_tag_is_read_where_there_are_no_referrers() {
    let registry = with_tags(1).await;
    let subject = registry.put_manifest("a", None, OCI_MANIFEST, MANIFEST);
    let client = upstream(&registry);
    let none = client.referrers(&name("a"), &subject, None, &asking()).await.unwrap();
    assert!(none.is_empty());
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        { "digest": "sha256:1", "artifactType": "application/sig" },
    ]});
    let tag = subject.referrers_tag();
    registry.put_manifest("a", Some(&tag), OCI_INDEX, index.to_string().as_bytes());
    for act in
        [Act::status(404), Act::status(405), Act::Answer(200, Vec::new(), b"<html>".to_vec())]
    {
        registry.fail("/referrers/", 1, act.clone());
        let found = client.referrers(&name("a"), &subject, None, &asking()).await.unwrap();
        assert_eq!(found.len(), 1, "{act:?}");
    }
    registry.fail("/referrers/", 1, Act::status(503));
    let error = client.referrers(&name("a"), &subject, None, &asking()).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(503));
}
