use registry::{Page, layout};

use crate::support::{assert_pages, name, names, overwrite, push_blob, push_image, registry};

#[tokio::test]
async fn pages_component_by_component() {
    let registry = registry();
    for repository in ["a-b", "a/b/c", "a", "a/b-c", "b", "a.b/c"] {
        push_image(&registry, repository, "v1").await;
    }
    // Not repositories: one of blobs only, and the directories between.
    push_blob(&registry, "blobs/only", b"x").await;
    let all = ["a", "a/b/c", "a/b-c", "a-b", "a.b/c", "b"];
    let list = async |limit, last| registry.list_repositories(Page { limit, last }).await.unwrap();
    assert_eq!(list(None, None).await, names(&all, false));
    assert_pages(&all, &list).await;
    assert_eq!(list(Some(0), None).await, names(&[], false));
    // `last` need not exist, nor be a name.
    assert_eq!(list(None, Some("a/b")).await, names(&all[1..], false));
    assert_eq!(list(None, Some("a/b/zz")).await, names(&all[2..], false));
    assert_eq!(list(None, Some("a/")).await, names(&all[1..], false));
    assert_eq!(list(None, Some("~")).await, names(&[], false));
}

#[tokio::test]
async fn a_repository_goes_with_its_last_manifest() {
    let registry = registry();
    let digest = push_image(&registry, "one", "v1").await;
    let list = async || registry.list_repositories(Page::default()).await.unwrap();
    assert_eq!(list().await, names(&["one"], false));
    // As Distribution deletes: the link goes, its directory stays.
    registry.driver().delete(&layout::revision_link(&name("one"), &digest)).await.unwrap();
    assert_eq!(list().await, names(&[], false));
    push_image(&registry, "one", "v1").await;
    assert_eq!(list().await, names(&["one"], false));
    overwrite(&registry, &layout::revision_link(&name("one"), &digest), b"").await;
    assert_eq!(list().await, names(&[], false));
}

#[tokio::test]
async fn an_empty_store_has_no_repositories() {
    assert_eq!(registry().list_repositories(Page::default()).await.unwrap(), names(&[], false));
}
