//! What else is told of a push before its client is.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};
use server::PushWatcher;

use crate::support::{OCI_MANIFEST, TestServer, sha256};

/// Everything that it was told, after a while each.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

#[async_trait]
impl PushWatcher for Told {
    async fn pushed(&self, name: &RepositoryName, tags: &[Tag], digest: &Digest) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
        self.0.lock().unwrap().push(format!("{name}:{} {digest}", tags.join(",")));
    }
}

#[tokio::test]
async fn a_watcher_knows_of_a_push_before_the_client_does() {
    let told = Arc::new(Told::default());
    let watcher = Arc::clone(&told);
    let builder = TestServer::builder();
    let server = builder.with(move |app| app.with_push_watcher(watcher)).start().await;
    let taken = || std::mem::take(&mut *told.0.lock().unwrap());

    let (content, digest) = server.push_image("a/b", "v1", "layer").await;
    assert_eq!(taken(), [format!("a/b:v1 {digest}")]);
    let by_digest = digest.to_string();
    let reply = server.put_manifest("a/b", &by_digest, OCI_MANIFEST, content.clone()).await;
    assert_eq!((reply.status, taken()), (201, vec![format!("a/b: {digest}")]));
    let tagged = format!("{digest}?tag=x&tag=y");
    server.put_manifest("a/b", &tagged, OCI_MANIFEST, content).await;
    assert_eq!(taken(), [format!("a/b:x,y {digest}")]);

    // What was refused was not pushed, and a blob is no manifest.
    server.push_blob("a/b", "more").await;
    let wrong = sha256(b"no").to_string();
    let reply = server.put_manifest("a/b", &wrong, OCI_MANIFEST, "{}").await;
    assert_eq!(reply.status, 400);
    assert!(taken().is_empty());
}
