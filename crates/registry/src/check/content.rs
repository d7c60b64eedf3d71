//! Whether content has its digest.

use std::sync::Arc;

use futures_util::StreamExt as _;
use oci::Digest;
use storage::{Driver, Stat, StorageError, StoragePath, found};

use super::Check;
use super::error::Failure;
use super::kind::Kind;
use super::known::KnownBlob;
use super::report::Finding;
use crate::layout;
use crate::pace::Pace;

/// What the content of a blob is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// It has its digest.
    Whole {
        /// In bytes.
        size_bytes: u64,
    },
    /// It has another one.
    Damaged {
        /// The one that it has.
        actual: Digest,
        /// In bytes.
        size_bytes: u64,
    },
    /// There is none.
    Missing,
}

/// Reads content and counts it.
pub(crate) struct Reading<'a> {
    pub(crate) driver: &'a dyn Driver,
    pub(crate) pace: &'a Pace,
    /// Told of bytes that were read; whether to go on.
    pub(crate) passed: &'a (dyn Fn(u64) -> bool + Sync),
}

impl Reading<'_> {
    /// Compares content with a digest; what differs is read again before it counts as damaged.
    /// `None` when it is not to go on.
    pub(crate) async fn examine(
        &self,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Option<Content>, StorageError> {
        match self.examine_once(path, digest).await? {
            Some(Content::Damaged { .. }) => self.examine_once(path, digest).await,
            other => Ok(other),
        }
    }

    async fn examine_once(
        &self,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Option<Content>, StorageError> {
        let Some(object) = found(self.driver.open(path).await)? else {
            return Ok(Some(Content::Missing));
        };
        let size_bytes = object.size_bytes();
        let mut pieces = Arc::clone(&object).stream(0..size_bytes);
        let mut hasher = digest.algorithm().hasher();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            hasher.update(&piece);
            if !(self.passed)(piece.len() as u64) {
                return Ok(None);
            }
            self.pace.passed(piece.len() as u64).await;
        }
        let actual = hasher.finish();
        Ok(Some(match actual == *digest {
            true => Content::Whole { size_bytes },
            false => Content::Damaged { actual, size_bytes },
        }))
    }
}

/// What is known of the content that a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// There is some. Whether it was read depends on the options.
    There { size_bytes: u64 },
    /// It does not have its digest.
    Corrupt,
    /// There is none.
    Missing,
}

impl Check {
    /// Compares content with a digest.
    pub(super) async fn examine(
        &self,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Content, Failure> {
        let passed = |bytes| {
            self.tally.read(bytes);
            !self.is_ending()
        };
        let reading = Reading { driver: &*self.driver, pace: &self.pace, passed: &passed };
        reading.examine(path, digest).await?.ok_or(Failure::Stopped)
    }

    /// What is known of a blob, or can be seen without reading it.
    pub(super) async fn data(&self, canonical: &Digest) -> Result<Data, StorageError> {
        match self.known_blob(canonical) {
            Some(blob) if blob.is_corrupt() => Ok(Data::Corrupt),
            Some(blob) => Ok(Data::There { size_bytes: blob.size_bytes() }),
            None => self.data_now(canonical).await,
        }
    }

    /// What can be seen of a blob now without reading it.
    pub(super) async fn data_now(&self, canonical: &Digest) -> Result<Data, StorageError> {
        let stat: Option<Stat> = found(self.driver.stat(&layout::blob_data(canonical)).await)?;
        Ok(stat.map_or(Data::Missing, |stat| Data::There { size_bytes: stat.size_bytes }))
    }

    /// Whether a blob is there and has its digest; reads it unless that is known.
    pub(super) async fn is_intact(&self, canonical: &Digest) -> Result<bool, Failure> {
        let known = self.known_blob(canonical);
        match known {
            Some(blob) if blob.is_corrupt() => return Ok(false),
            Some(blob) if blob.is_verified() => {
                return Ok(self.data_now(canonical).await? != Data::Missing);
            }
            _ => {}
        }
        let content = self.examine(&layout::blob_data(canonical), canonical).await?;
        let is_whole = matches!(content, Content::Whole { .. });
        if let Some(blob) = known.filter(|_| is_whole) {
            blob.set_verified();
        }
        Ok(is_whole)
    }

    /// Reads a blob that looks suspicious; reports damage, once. Returns whether it is damaged.
    pub(super) async fn suspect(&self, canonical: &Digest) -> Result<bool, Failure> {
        let path = layout::blob_data(canonical);
        let Content::Damaged { actual, size_bytes } = self.examine(&path, canonical).await? else {
            return Ok(false);
        };
        let known = self.known_blob(canonical);
        if !known.is_some_and(|blob| blob.set_corrupt()) {
            self.report_corrupt(&path, canonical, &actual, size_bytes).await;
        }
        Ok(true)
    }

    /// Reports damaged content, and sets it aside.
    pub(super) async fn report_corrupt(
        &self,
        path: &StoragePath,
        digest: &Digest,
        actual: &Digest,
        size_bytes: u64,
    ) {
        let finding = match size_bytes {
            0 => Finding::new(Kind::BlobEmpty, path, "it has no content"),
            _ => {
                let reason = format!("its {size_bytes} bytes have the digest {actual}");
                Finding::new(Kind::BlobCorrupt, path, reason)
            }
        };
        let repaired = self.set_blob_aside(path, digest).await;
        self.report(finding.of(digest), repaired);
    }

    fn known_blob(&self, digest: &Digest) -> Option<&KnownBlob> {
        self.known.get().and_then(|known| known.get(digest))
    }

    /// Notes that a link leads to a blob.
    pub(super) fn note_linked(&self, digest: &Digest) {
        if let Some(blob) = self.known_blob(digest) {
            blob.set_linked();
        }
    }

    /// Notes that a manifest refers to a blob, or that it is one.
    pub(super) fn note_used(&self, digest: &Digest) {
        if let Some(blob) = self.known_blob(digest) {
            blob.set_used();
        }
    }
}
