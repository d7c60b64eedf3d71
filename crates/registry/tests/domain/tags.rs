use registry::{Error, Page, layout};

use crate::support::{name, names, overwrite, push_image, registry, tag, tags};

#[tokio::test]
async fn pages_in_byte_order() {
    let registry = registry();
    for tag in ["b", "a", "B", "10", "2"] {
        push_image(&registry, "one", tag).await;
    }
    assert_eq!(tags(&registry, "one").await, ["10", "2", "B", "a", "b"]);
    for (limit, last, expected) in [
        (Some(2), None, names(&["10", "2"], true)),
        (Some(2), Some("2"), names(&["B", "a"], true)),
        (Some(2), Some("a"), names(&["b"], false)),
        (Some(5), None, names(&["10", "2", "B", "a", "b"], false)),
        (Some(0), None, names(&[], false)),
        (None, Some("11"), names(&["2", "B", "a", "b"], false)),
        (None, Some("zzz"), names(&[], false)),
        (Some(1), Some("b"), names(&[], false)),
    ] {
        let page = Page { limit, last };
        assert_eq!(registry.list_tags(&name("one"), page).await.unwrap(), expected, "{page:?}");
    }
}

#[tokio::test]
async fn a_repository_is_known_while_it_has_manifests() {
    let registry = registry();
    let unknown = registry.list_tags(&name("one"), Page::default()).await.unwrap_err();
    assert!(matches!(unknown, Error::NameUnknown { .. }));
    let zero = Page { limit: Some(0), last: None };
    assert!(registry.list_tags(&name("one"), zero).await.is_err());
    let digest = push_image(&registry, "one", "v1").await;
    registry.delete_tag(&name("one"), &tag("v1")).await.unwrap();
    assert_eq!(tags(&registry, "one").await, [""; 0]);
    registry.delete_manifest(&name("one"), &digest).await.unwrap();
    assert!(registry.list_tags(&name("one"), Page::default()).await.is_err());
}

#[tokio::test]
async fn deleting_a_tag_keeps_the_manifest() {
    let registry = registry();
    let digest = push_image(&registry, "one", "v1").await;
    registry.delete_tag(&name("one"), &tag("v1")).await.unwrap();
    let again = registry.delete_tag(&name("one"), &tag("v1")).await.unwrap_err();
    assert!(matches!(again, Error::ManifestUnknown { .. }));
    registry.get_manifest(&name("one"), &oci::Reference::Digest(digest)).await.unwrap();
}

#[tokio::test]
async fn torn_tags_are_absent_and_take_nothing_down() {
    let registry = registry();
    for tag in ["a", "b", "c"] {
        push_image(&registry, "one", tag).await;
    }
    for torn in [&b""[..], b"sha256:", b"\0\0\0\0"] {
        overwrite(&registry, &layout::tag_current(&name("one"), &tag("b")), torn).await;
        // The listing may be remembered, but only with what was seen to be whole.
        let fresh = registry::Registry::new(registry.driver().clone(), Default::default());
        assert_eq!(tags(&fresh, "one").await, ["a", "c"]);
        let page = Page { limit: Some(1), last: Some("a") };
        assert_eq!(fresh.list_tags(&name("one"), page).await.unwrap(), names(&["c"], false));
        assert!(fresh.resolve_tag(&name("one"), &tag("b")).await.is_err());
        push_image(&fresh, "one", "b").await;
        assert_eq!(tags(&fresh, "one").await, ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn a_tag_directory_without_a_link_is_no_tag() {
    let registry = registry();
    let digest = push_image(&registry, "one", "v1").await;
    let index = layout::tag_index(&name("one"), &tag("half"), &digest);
    registry.driver().put(&index, digest.to_string().into()).await.unwrap();
    assert_eq!(tags(&registry, "one").await, ["v1"]);
}

#[tokio::test]
async fn a_tag_moves() {
    let registry = registry();
    let first = push_image(&registry, "one", "v1").await;
    let second = push_image(&registry, "one", "v2").await;
    assert_ne!(first, second);
    let content =
        registry.get_manifest(&name("one"), &oci::Reference::Digest(second)).await.unwrap();
    let pushed =
        crate::support::push(&registry, "one", "v1", content.media_type, &content.content).await;
    assert_eq!(pushed.unwrap().digest, second);
    assert_eq!(registry.resolve_tag(&name("one"), &tag("v1")).await.unwrap(), second);
}
