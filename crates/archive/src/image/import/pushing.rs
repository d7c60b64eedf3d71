//! Blobs on their way into the registry.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::Digest;
use registry::{Body, BodyError, Chunk, Error};

use super::Import;
use crate::Meter;
use crate::image::ImageError;
use crate::image::files::Content;

impl Import<'_> {
    /// Pushes a file, unless the registry has it.
    pub(super) async fn push_file(
        &mut self,
        path: &str,
        digest: &Digest,
    ) -> Result<(), ImageError> {
        let content = self.source.open_file(path).await?;
        let content = content.ok_or_else(|| ImageError::Missing { path: path.into() })?;
        if self.has(digest, content.size_bytes).await? {
            self.report.there_blobs += 1;
            self.meter.blob_done();
            return Ok(());
        }
        let Content { size_bytes, stream } = content;
        let counting =
            stream.map(|piece| piece.map_err(|e| BodyError::Disconnected(e.to_string())));
        let pushed = self.push(digest, size_bytes, Box::pin(counting)).await;
        pushed.map_err(|error| match error {
            ImageError::Registry(Error::DigestMismatch { expected, actual }) => {
                ImageError::Corrupt { path: path.into(), expected, actual }
            }
            ImageError::Registry(Error::Body(error)) => ImageError::document(path, error),
            other => other,
        })
    }

    /// Pushes bytes, unless the registry has them.
    pub(super) async fn push_bytes(
        &mut self,
        digest: &Digest,
        content: Bytes,
    ) -> Result<(), ImageError> {
        let size_bytes = content.len() as u64;
        if self.has(digest, size_bytes).await? {
            self.report.there_blobs += 1;
            return Ok(());
        }
        self.push(digest, size_bytes, Box::pin(stream::iter([Ok(content)]))).await
    }

    async fn push(
        &mut self,
        digest: &Digest,
        size_bytes: u64,
        body: Body,
    ) -> Result<(), ImageError> {
        // The registry takes what is read in a task of its own: what is looked at here has to be
        // owned by the body.
        let chunk = Chunk {
            range: None,
            offset_bytes: None,
            content_length: Some(size_bytes),
            body: counted(body, self.meter),
        };
        self.registry.put_blob(self.name, digest, chunk).await?;
        self.report.pushed_blobs += 1;
        self.report.pushed_bytes += size_bytes;
        self.meter.blob_done();
        if self.meter.is_stopped() {
            return Err(ImageError::Stopped);
        }
        Ok(())
    }

    /// Whether the repository has a blob of this size, in bytes, or can have it from another one.
    async fn has(&self, digest: &Digest, size_bytes: u64) -> Result<bool, ImageError> {
        if self.meter.is_stopped() {
            return Err(ImageError::Stopped);
        }
        match self.registry.promise_blob(self.name, digest).await {
            Ok(stat) => return Ok(stat.size_bytes == size_bytes),
            Err(Error::BlobUnknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if self.registry.mount_blob(self.name, digest, None).await?.is_none() {
            return Ok(false);
        }
        match self.registry.stat_blob(self.name, digest).await {
            Ok(stat) => Ok(stat.size_bytes == size_bytes),
            Err(Error::BlobUnknown { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn counted(body: Body, meter: &Meter) -> Body {
    let meter = meter.clone();
    Box::pin(body.map(move |piece| {
        if meter.is_stopped() {
            return Err(BodyError::Disconnected("stopped".into()));
        }
        piece.inspect(|piece| meter.read(piece.len()))
    }))
}
