//! Writing to an upstream. What is written goes to the first of its endpoints, as what is there is
//! looked up with [`Asking::first_only`].

mod flow;
mod manifests;
mod uploads;

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use oci::{Digest, MediaType, Reference, RepositoryName};

use super::error::UpstreamError;
use super::{Asking, Upstream};

pub use manifests::PutManifest;
pub use uploads::{Begun, PendingUpload};

/// The bytes of a blob that is sent. An error ends the sending.
pub type Outgoing = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl Upstream {
    /// Begins to push a blob. With `mount_from`, the upstream takes it from that repository of its
    /// own if it can and wants to.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn begin_upload(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        mount_from: Option<&RepositoryName>,
        asking: &Asking,
    ) -> Result<Begun, UpstreamError> {
        let mut search = self.search_first(asking);
        while let Some(endpoint) = search.next() {
            search.take(endpoint, endpoint.begin_upload(name, digest, mount_from, asking).await);
        }
        search.result()
    }

    /// Sends a blob, and has it checked. What can't be sent to its end has to be begun anew.
    ///
    /// # Errors
    /// [`UpstreamError`]; also when `body` ended with an error or has not `size_bytes`.
    pub async fn finish_upload(
        &self,
        upload: PendingUpload,
        digest: &Digest,
        size_bytes: u64,
        body: Outgoing,
        asking: &Asking,
    ) -> Result<(), UpstreamError> {
        let mut search = self.search_first(asking);
        let mut parts = Some((upload, body));
        while let (Some(endpoint), Some((upload, body))) = (search.next(), parts.take()) {
            let sent = endpoint.finish_upload(upload, digest, size_bytes, body, asking).await;
            search.take(endpoint, sent);
        }
        search.result()
    }

    /// Pushes a manifest with the bytes that it has.
    ///
    /// # Errors
    /// [`UpstreamError`]; `Invalid` when the upstream says that it has another digest.
    pub async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        media_type: MediaType,
        content: &Bytes,
        asking: &Asking,
    ) -> Result<PutManifest, UpstreamError> {
        let mut search = self.search_first(asking);
        while let Some(endpoint) = search.next() {
            let put = endpoint.put_manifest(name, reference, media_type, content, asking).await;
            search.take(endpoint, put);
        }
        search.result()
    }

    fn search_first<T>(&self, asking: &Asking) -> super::Search<'_, T> {
        self.search(&Asking { first_only: true, attempt: 0, ..asking.clone() })
    }
}
