//! Where an image is read from: a directory, or an archive.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::{ByteStream, Driver, StorageError, StoragePath, found};

use super::ImageError;
use super::spool::plain;
use crate::limits::BATCH_BYTES;
use crate::tar::TarIndex;

/// The files of an image.
#[derive(Debug)]
pub struct Source(Kind);

#[derive(Debug)]
enum Kind {
    Directory(Arc<dyn Driver>),
    Archive(Arc<TarIndex>),
}

/// The content of a file.
pub(super) struct Content {
    pub(super) size_bytes: u64,
    pub(super) stream: ByteStream,
}

impl Source {
    /// A directory, or an archive, which may be compressed with gzip.
    ///
    /// # Errors
    /// When it can't be read, or is no archive.
    pub async fn open(path: &Path) -> Result<Self, ImageError> {
        if !path.is_dir() {
            let file = File::open(path).map_err(ImageError::io(path.display()))?;
            return Self::of(file, path.display().to_string()).await;
        }
        let options = FilesystemOptions {
            read_only: true,
            watch_changes: false,
            ..FilesystemOptions::new(path)
        };
        let driver = Filesystem::open(options).map_err(|error| ImageError::Document {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self(Kind::Directory(Arc::new(driver))))
    }

    /// An archive that is open, also at the end of a pipe.
    ///
    /// # Errors
    /// When it can't be read, or is no archive.
    pub async fn of(file: File, name: String) -> Result<Self, ImageError> {
        let path = name.clone();
        let reading = tokio::task::spawn_blocking(move || {
            Ok::<_, ImageError>(TarIndex::read(plain(file, &name)?)?)
        });
        let index = reading.await.map_err(|error| ImageError::document(path, error))??;
        Ok(Self(Kind::Archive(Arc::new(index))))
    }

    /// Opens a file; `None` when it is not there.
    pub(super) async fn open_file(&self, path: &str) -> Result<Option<Content>, ImageError> {
        match &self.0 {
            Kind::Directory(driver) => {
                let Ok(path) = StoragePath::parse(format!("/{path}")) else { return Ok(None) };
                let object = found(driver.open(&path).await)?;
                Ok(object.map(|object| Content {
                    size_bytes: object.size_bytes(),
                    stream: Arc::clone(&object).stream(0..object.size_bytes()),
                }))
            }
            Kind::Archive(index) => Ok(index.find(path).map(|(offset, size_bytes)| Content {
                size_bytes,
                stream: stream_of(Arc::clone(index), offset, size_bytes),
            })),
        }
    }

    /// Reads a small file; `None` when it is not there.
    pub(super) async fn get(
        &self,
        path: &str,
        limit_bytes: u64,
    ) -> Result<Option<Bytes>, ImageError> {
        use futures_util::TryStreamExt as _;
        let Some(content) = self.open_file(path).await? else { return Ok(None) };
        if content.size_bytes > limit_bytes {
            let reason = format!(
                "it has {} bytes, more than the {limit_bytes} that are allowed",
                content.size_bytes
            );
            return Err(ImageError::document(path, reason));
        }
        let pieces: Vec<Bytes> = content.stream.try_collect().await?;
        Ok(Some(pieces.concat().into()))
    }

    /// Reads a document that has to be there.
    pub(super) async fn document<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        limit_bytes: u64,
    ) -> Result<T, ImageError> {
        let content = self.get(path, limit_bytes).await?;
        let content = content.ok_or_else(|| ImageError::Missing { path: path.into() })?;
        serde_json::from_slice(&content).map_err(|error| ImageError::document(path, error))
    }

    /// Whether there is such a file.
    pub(super) async fn has(&self, path: &str) -> Result<bool, ImageError> {
        Ok(self.open_file(path).await?.is_some())
    }
}

/// A part of an archive, in pieces.
fn stream_of(index: Arc<TarIndex>, offset: u64, size_bytes: u64) -> ByteStream {
    let end = offset + size_bytes;
    Box::pin(stream::try_unfold(offset, move |at| {
        let index = Arc::clone(&index);
        async move {
            let bytes = usize::try_from(end - at).unwrap_or(usize::MAX).min(BATCH_BYTES);
            if bytes == 0 {
                return Ok(None);
            }
            let reading = tokio::task::spawn_blocking(move || index.read_at(at, bytes));
            let piece = reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            let piece = piece.map_err(|source| {
                let path = StoragePath::root();
                StorageError::Io { operation: "read", path, source }
            })?;
            Ok(Some((Bytes::from(piece), at + bytes as u64)))
        }
    }))
}
