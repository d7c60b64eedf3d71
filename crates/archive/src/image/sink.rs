//! Where an image is written to: a directory, or an archive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci::Digest;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::{Driver, Object, StoragePath, found};

use super::ImageError;
use crate::content::{self, CopyError, file_size};
use crate::limits::{INDEX_BYTES_MAX, OCI_LAYOUT_BYTES_MAX};
use crate::oci_layout::OCI_LAYOUT;
use crate::tar::TarWriter;
use crate::{Meter, layout};

/// Where an image goes.
#[derive(Debug)]
pub enum Destination {
    /// An OCI layout in a directory, which is made if it is not there.
    Directory(PathBuf),
    /// An archive, which must not be there.
    Archive(PathBuf),
    /// An archive that goes to where a file is open, such as a pipe.
    Open(std::fs::File),
}

pub(super) struct Sink {
    kind: Kind,
    blobs: u64,
    bytes: u64,
}

enum Kind {
    Directory(Arc<dyn Driver>),
    Archive { writer: TarWriter, file: Option<Unfinished> },
}

/// A file that gets its name when it is whole.
struct Unfinished {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Sink {
    pub(super) async fn open(destination: &Destination) -> Result<Self, ImageError> {
        let kind = match destination {
            Destination::Directory(path) => {
                let is_other = |mut entries: std::fs::ReadDir| {
                    entries.next().is_some() && !path.join("oci-layout").is_file()
                };
                if std::fs::read_dir(path).is_ok_and(is_other) {
                    return Err(ImageError::Exists { path: path.display().to_string() });
                }
                let options =
                    FilesystemOptions { watch_changes: false, ..FilesystemOptions::new(path) };
                let driver = Filesystem::open(options)
                    .map_err(|error| ImageError::document(path.display(), error))?;
                Kind::Directory(Arc::new(driver))
            }
            Destination::Archive(path) => archive_at(path)?,
            Destination::Open(file) => {
                let file = file.try_clone().map_err(ImageError::io("the output"))?;
                let output = tokio::fs::File::from_std(file);
                Kind::Archive { writer: TarWriter::new(Box::new(output)), file: None }
            }
        };
        Ok(Self { kind, blobs: 0, bytes: 0 })
    }

    /// The index that is there.
    pub(super) async fn index(&self) -> Result<Option<Bytes>, ImageError> {
        match &self.kind {
            Kind::Directory(driver) => {
                Ok(found(driver.get(&layout::index(), INDEX_BYTES_MAX).await)?)
            }
            Kind::Archive { .. } => Ok(None),
        }
    }

    /// Marks the directory or archive as a layout.
    pub(super) async fn oci_layout(&mut self) -> Result<(), ImageError> {
        if let Kind::Directory(driver) = &self.kind {
            let there = found(driver.get(&layout::oci_layout(), OCI_LAYOUT_BYTES_MAX).await)?;
            if there.is_some() {
                return Ok(());
            }
        }
        self.document("oci-layout", OCI_LAYOUT.as_bytes()).await
    }

    /// Writes a blob, and compares it with its digest.
    pub(super) async fn blob(
        &mut self,
        path: &str,
        digest: &Digest,
        object: Arc<dyn Object>,
        meter: &Meter,
    ) -> Result<(), ImageError> {
        let size_bytes = object.size_bytes();
        match &mut self.kind {
            Kind::Directory(driver) => {
                let target = storage_path(path)?;
                if file_size(&**driver, &target).await? != Some(size_bytes) {
                    let copied =
                        content::copy(object, digest, &**driver, &target, layout::staged, meter);
                    copied.await.map_err(|error| failed(path, error))?;
                }
            }
            Kind::Archive { writer, .. } => {
                write_blob(writer, path, digest, object, meter).await?;
            }
        }
        meter.blob_done();
        self.blobs += 1;
        self.bytes += size_bytes;
        Ok(())
    }

    /// Writes a small blob.
    pub(super) async fn blob_bytes(
        &mut self,
        path: &str,
        content: &[u8],
    ) -> Result<(), ImageError> {
        self.document(path, content).await?;
        self.blobs += 1;
        self.bytes += content.len() as u64;
        Ok(())
    }

    /// Writes a small file.
    pub(super) async fn document(&mut self, path: &str, content: &[u8]) -> Result<(), ImageError> {
        match &mut self.kind {
            Kind::Directory(driver) => {
                let content = Bytes::copy_from_slice(content);
                Ok(driver.put(&storage_path(path)?, content).await?)
            }
            Kind::Archive { writer, .. } => {
                writer.file(path, content).await.map_err(ImageError::io(path))
            }
        }
    }

    /// Brings it to an end. Returns the number of blobs, and their bytes.
    pub(super) async fn finish(self) -> Result<(u64, u64), ImageError> {
        match self.kind {
            Kind::Directory(driver) => {
                driver.delete_empty(&layout::staging()).await?;
            }
            Kind::Archive { writer, file } => {
                writer.finish().await.map_err(ImageError::io("the archive"))?;
                if let Some(Unfinished { file, path }) = file {
                    file.as_file().sync_all().map_err(ImageError::io(path.display()))?;
                    let named = file.persist_noclobber(&path);
                    named.map_err(|error| ImageError::io(path.display())(error.error))?;
                }
            }
        }
        Ok((self.blobs, self.bytes))
    }

    /// Gives it up. A file is gone when it is dropped.
    pub(super) async fn discard(self) {
        if let Kind::Directory(driver) = self.kind {
            storage::delete_remains(&*driver, &layout::staging()).await;
        }
    }
}

fn archive_at(path: &Path) -> Result<Kind, ImageError> {
    if path.exists() {
        return Err(ImageError::Exists { path: path.display().to_string() });
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let io = || ImageError::io(path.display());
    let mut builder = tempfile::Builder::new();
    // As any other file: it is no secret beyond what the mask of the process makes it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.prefix(".wharf-export").tempfile_in(directory).map_err(io())?;
    let output = tokio::fs::File::from_std(file.as_file().try_clone().map_err(io())?);
    let file = Some(Unfinished { file, path: path.to_owned() });
    Ok(Kind::Archive { writer: TarWriter::new(Box::new(output)), file })
}

async fn write_blob(
    writer: &mut TarWriter,
    path: &str,
    digest: &Digest,
    object: Arc<dyn Object>,
    meter: &Meter,
) -> Result<(), ImageError> {
    let size_bytes = object.size_bytes();
    writer.begin(path, size_bytes).await.map_err(ImageError::io(path))?;
    let mut hasher = digest.algorithm().hasher();
    let mut stream = object.stream(0..size_bytes);
    while let Some(piece) = stream.next().await.transpose()? {
        if meter.is_stopped() {
            return Err(ImageError::Stopped);
        }
        hasher.update(&piece);
        meter.read(piece.len());
        writer.write(&piece).await.map_err(ImageError::io(path))?;
    }
    let actual = hasher.finish();
    if actual != *digest {
        return Err(ImageError::Corrupt { path: digest.to_string(), expected: *digest, actual });
    }
    writer.end().await.map_err(ImageError::io(path))
}

fn storage_path(path: &str) -> Result<StoragePath, ImageError> {
    StoragePath::parse(format!("/{path}")).map_err(|error| ImageError::document(path, error))
}

fn failed(path: &str, error: CopyError) -> ImageError {
    match error {
        CopyError::Source(error) | CopyError::Target(error) => error.into(),
        CopyError::Corrupt { expected, actual } => {
            ImageError::Corrupt { path: path.into(), expected, actual }
        }
        CopyError::Stopped => ImageError::Stopped,
    }
}
