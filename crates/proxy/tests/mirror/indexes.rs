//! Indexes of which only a part is here.

use std::sync::Arc;
use std::time::Duration;

use registry::{Collection, CollectionOptions};
use serde_json::json;

use crate::fake::FakeRegistry;
use crate::support::{OCI_INDEX, OCI_MANIFEST, Setup, Store, THERE, image};

#[tokio::test]
async fn only_what_is_asked_for_is_fetched_and_a_collection_leaves_it() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let children = ["amd64", "arm64"].map(|architecture| {
            let content = image(architecture);
            let digest = fake.put_manifest(THERE, None, OCI_MANIFEST, &content);
            let platform = json!({ "os": "linux", "architecture": architecture });
            let descriptor = json!({
                "mediaType": OCI_MANIFEST, "digest": digest.to_string(), "size": content.len(),
                "platform": platform,
            });
            (digest, descriptor)
        });
        let [(asked, one), (other, two)] = children;
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [one, two],
        });
        let index = fake.put_manifest(THERE, Some("v1"), OCI_INDEX, index.to_string().as_bytes());
        let config = fake.put_blob(THERE, b"{}");
        let pulling = Setup::of(&[&fake]).over(&store);
        assert_eq!(pulling.digest("v1").await, index);
        assert_eq!(pulling.digest(&asked.to_string()).await, asked);
        assert_eq!(pulling.blob(&config).await, b"{}");
        assert_eq!(fake.count(&other.to_string()), 0, "{}", store.label);
        let asked_so_far = fake.seen().len();

        let options =
            CollectionOptions { older_than: Duration::ZERO, ..CollectionOptions::default() };
        tokio::time::pause();
        let collection = Collection::new(Arc::clone(&store.registry), options);
        let report = collection.run().await.unwrap();
        tokio::time::resume();
        assert_eq!(report.deleted, Default::default(), "{}", store.label);

        let offline = Setup::of(&[&fake]).offline().over(&store);
        assert_eq!(offline.digest("v1").await, index);
        assert_eq!(offline.head(&index.to_string()).await.unwrap().content.digest, index);
        assert_eq!(offline.digest(&asked.to_string()).await, asked);
        assert_eq!(offline.blob(&config).await, b"{}");
        assert_eq!(fake.seen().len(), asked_so_far);
        // And the rest can still be had.
        assert_eq!(pulling.digest(&other.to_string()).await, other);
    }
}
