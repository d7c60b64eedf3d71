//! Who else has to know of a push before its client hears that it is done.

use std::fmt;

use async_trait::async_trait;
use oci::{Digest, RepositoryName, Tag};

/// Is told of every manifest that was pushed, before its client is. What it has to keep of it is on
/// stable storage when it returns; that it could not keep it, it tells others than the client, whose
/// push is done all the same.
#[async_trait]
pub trait PushWatcher: fmt::Debug + Send + Sync {
    /// A manifest was pushed, with the tags that it got; with none it was pushed by its digest.
    async fn pushed(&self, name: &RepositoryName, tags: &[Tag], digest: &Digest);
}
