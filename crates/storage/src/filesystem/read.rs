//! Looking at files and opening them.

use std::fs::Metadata;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rustix::fs::OFlags;

use super::close::leave_last_close_to_the_pool;
use super::directory;
use super::inline::{self, InlineFile};
use super::stream::FileStream;
use super::volume::Volume;
use crate::{
    ByteStream, EntryKind, ListingVersion, Object, Result, Stat, StorageError, StoragePath,
};

pub(super) async fn get(
    volume: &Arc<Volume>,
    path: &StoragePath,
    limit_bytes: u64,
) -> Result<Bytes> {
    let object = open(volume, path).await?;
    let size_bytes = object.size_bytes;
    let too_large = || StorageError::TooLarge { path: path.clone(), size_bytes, limit_bytes };
    if size_bytes > limit_bytes {
        return Err(too_large());
    }
    let mut content = vec![0; usize::try_from(size_bytes).map_err(|_| too_large())?];
    let read_error = |source| StorageError::from_io("read", path, source);
    let got = volume.inline.read_at(&object.file, &mut content, 0).map_err(read_error)?;
    let got = got.unwrap_or(0);
    if got == content.len() {
        return Ok(content.into());
    }
    let at = path.clone();
    volume
        .blocking("read", path, move |_| {
            let rest = read_fully_at(&object, &mut content[got..], got as u64)
                .map_err(|source| StorageError::from_io("read", &at, source))?;
            // Someone writes to it in place, as Distribution 2 does with links.
            content.truncate(got + rest);
            Ok(content.into())
        })
        .await
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_fully_at(
    object: &FileObject,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match object.file.file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

pub(super) async fn stat(volume: &Arc<Volume>, path: &StoragePath) -> Result<Stat> {
    let metadata = look(volume, path, "look at", inline::OPEN_PATH).await?.1;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    if metadata.is_file() {
        Ok(Stat { kind: EntryKind::File, size_bytes: metadata.len(), modified })
    } else if metadata.is_dir() {
        Ok(Stat { kind: EntryKind::Directory, size_bytes: 0, modified })
    } else {
        Err(volume.wrong_kind(path))
    }
}

/// Whether what lies at a path is known to be on stable storage.
pub(super) async fn is_settled(volume: &Arc<Volume>, path: &StoragePath) -> Result<bool> {
    let metadata = look(volume, path, "look at", inline::OPEN_PATH).await?.1;
    Ok(volume.durable.knows_file(&volume.locate(path), &metadata))
}

pub(super) async fn listing_version(
    volume: &Arc<Volume>,
    path: &StoragePath,
) -> Result<Option<ListingVersion>> {
    let metadata = look(volume, path, "look at", inline::OPEN_PATH).await?.1;
    if metadata.is_dir() { Ok(directory::version(&metadata)) } else { Err(volume.wrong_kind(path)) }
}

pub(super) async fn open(volume: &Arc<Volume>, path: &StoragePath) -> Result<FileObject> {
    let (file, metadata) = look(volume, path, "open", inline::OPEN_FILE).await?;
    if !metadata.is_file() {
        return Err(volume.wrong_kind(path));
    }
    Ok(FileObject {
        path: path.clone(),
        file: InlineFile::new(file, &metadata),
        size_bytes: metadata.len(),
        volume: Arc::clone(volume),
    })
}

async fn look(
    volume: &Arc<Volume>,
    path: &StoragePath,
    operation: &'static str,
    flags: OFlags,
) -> Result<(std::fs::File, Metadata)> {
    let located = volume.locate(path);
    match volume.inline.open(&located, flags) {
        Ok(Some(opened)) => return Ok(opened),
        Ok(None) => {}
        Err(source) => return Err(volume.read_error(operation, path, source)),
    }
    let at = path.clone();
    volume
        .blocking(operation, path, move |volume| {
            inline::open_blocking(&located, flags)
                .map_err(|source| volume.read_error(operation, &at, source))
        })
        .await
}

/// An open file.
#[derive(Debug)]
pub(super) struct FileObject {
    pub(super) path: StoragePath,
    pub(super) file: InlineFile,
    pub(super) size_bytes: u64,
    pub(super) volume: Arc<Volume>,
}

impl Drop for FileObject {
    fn drop(&mut self) {
        leave_last_close_to_the_pool(&self.file.file, self.size_bytes);
    }
}

impl Object for FileObject {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> ByteStream {
        Box::pin(FileStream::new(self, range))
    }
}
