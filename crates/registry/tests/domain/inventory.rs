//! What a repository has, all of it.

use oci::Algorithm;
use registry::{Inventory, layout};

use crate::support::{name, overwrite, push_blob, push_image, registry, tag};

#[tokio::test]
async fn tags_and_manifests_are_listed_whoever_names_them() {
    let registry = registry();
    let nothing = registry.inventory(&name("absent")).await.unwrap();
    assert_eq!(nothing, Inventory::default());
    let one = push_image(&registry, "a/b", "v1").await;
    let two = push_image(&registry, "a/b", "v2").await;
    push_image(&registry, "a/b/c", "other").await;
    push_blob(&registry, "a/b", b"no manifest").await;
    registry.delete_tag(&name("a/b"), &tag("v2")).await.unwrap();
    // Torn by a crash: there is no such tag.
    overwrite(&registry, &layout::tag_current(&name("a/b"), &tag("torn")), b"").await;
    let found = registry.inventory(&name("a/b")).await.unwrap();
    assert_eq!(found.tags, [(tag("v1"), one)]);
    let mut expected = vec![one, two];
    expected.sort();
    assert_eq!(found.manifests, expected);
    assert!(found.manifests.iter().all(|digest| digest.algorithm() == Algorithm::Sha256));
}
