//! What is noted of pulls, for retention.

use std::sync::Arc;
use std::time::Duration;

use registry::retention::{Keep, RetentionRule};
use registry::{Collection, CollectionOptions, RepositoryPattern, RetentionRules, layout};
use storage::Driver;
use storage::memory::Memory;

use crate::support::TestServer;

async fn server(driver: &Arc<dyn Driver>, record_pulls: bool) -> TestServer {
    let builder = TestServer::builder().driver(Arc::clone(driver));
    builder.registry(|options| options.record_pulls = record_pulls).start().await
}

/// Which tags go that nobody pulled within an hour.
async fn unpulled(server: &TestServer) -> Vec<String> {
    let rule = RetentionRule {
        repositories: vec![RepositoryPattern::parse("**").unwrap()],
        keep: Keep { pulled_within: Some(Duration::from_secs(3600)), ..Keep::default() },
        ..RetentionRule::default()
    };
    let rules = RetentionRules { rules: vec![rule], dry_run: false };
    let options = CollectionOptions {
        dry_run: true,
        retention: Some(Arc::new(rules)),
        ..CollectionOptions::default()
    };
    let registry = Arc::clone(server.app.registry());
    let report = Collection::new(registry, options).run().await.unwrap();
    report.retention.tags.into_iter().map(|tag| tag.tag).collect()
}

#[tokio::test]
async fn what_was_pulled_is_known_after_a_restart() {
    let driver: Arc<dyn Driver> = Arc::new(Memory::new());
    let first = server(&driver, true).await;
    let mut digests = Vec::new();
    for tag in ["by-tag", "by-digest", "looked-at", "never"] {
        digests.push(first.push_image("a", tag, tag).await.1);
    }
    first.app.registry().flush_pulls().await.unwrap();
    // Pulls have been noted for ever.
    driver.put(&layout::pulls_since(), "1".into()).await.unwrap();
    assert_eq!(unpulled(&first).await.len(), 4);

    assert_eq!(first.get("/v2/a/manifests/by-tag").await.status, 200);
    assert_eq!(first.get(&format!("/v2/a/manifests/{}", digests[1])).await.status, 200);
    assert_eq!(first.head("/v2/a/manifests/looked-at").await.status, 200);
    assert_eq!(first.get("/v2/a/manifests/absent").await.status, 404);
    first.app.registry().flush_pulls().await.unwrap();
    drop(first);

    let second = server(&driver, true).await;
    assert_eq!(unpulled(&second).await, ["never"]);
}

#[tokio::test]
async fn nothing_is_noted_where_nobody_asks() {
    let driver: Arc<dyn Driver> = Arc::new(Memory::new());
    let server = server(&driver, false).await;
    server.push_image("a", "v1", "layer").await;
    assert_eq!(server.get("/v2/a/manifests/v1").await.status, 200);
    server.app.registry().flush_pulls().await.unwrap();
    assert!(driver.list(&storage::StoragePath::parse("/wharf").unwrap()).await.is_err());
}
