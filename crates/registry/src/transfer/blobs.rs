//! The blobs.

use std::sync::Arc;

use oci::{Algorithm, Digest};
use storage::{Driver, EntryKind, StorageError, StoragePath, found};
use tokio::task::JoinSet;

use super::error::Failure;
use super::report::Phase;
use super::tally::Kind;
use super::{Transfer, has};
use crate::layout;

/// A directory of blobs or aliases: those whose hexadecimal digits begin in the same way.
pub(super) struct Shard {
    pub(super) algorithm: Algorithm,
    pub(super) path: StoragePath,
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was copied, or would be.
    Copied { size_bytes: u64 },
    /// The target had it.
    There,
    /// The source does not have it, nor does the target.
    Missing,
}

impl Transfer {
    /// Copies every blob that the source lists.
    pub(super) async fn copy_blobs(self: &Arc<Self>) {
        self.settled.begin_pass();
        let shards = self.shards(&layout::blobs()).await;
        let of = shards.len() as u64;
        let mut running = JoinSet::new();
        for (shard, done) in shards.iter().zip(0..) {
            self.tally.at(Phase::Blobs { done, of });
            let Some((digests, listed)) = self.list_shard(shard).await else { continue };
            for digest in digests {
                if self.is_ending() {
                    break;
                }
                while running.len() >= self.options.concurrency {
                    join(&mut running).await;
                }
                let this = Arc::clone(self);
                let is_listed = has(&listed, &digest.hex());
                running.spawn(async move { this.copy_listed(&digest, is_listed).await });
            }
        }
        while !running.is_empty() {
            join(&mut running).await;
        }
        self.tally.at(Phase::Blobs { done: of, of });
    }

    /// The directories below `above` in the source that hold blobs or aliases.
    pub(super) async fn shards(&self, above: &StoragePath) -> Vec<Shard> {
        let mut shards = Vec::new();
        for name in self.source_directories(above).await.unwrap_or_default() {
            let Some(algorithm) = Algorithm::from_name(&name) else { continue };
            let Ok(below) = above.join(&name) else { continue };
            let beginnings = self.source_directories(&below).await.unwrap_or_default();
            let paths = beginnings.iter().filter_map(|beginning| below.join(beginning).ok());
            shards.extend(paths.map(|path| Shard { algorithm, path }));
        }
        shards
    }

    /// The digests that a directory of the source has, and the names that the target's has.
    pub(super) async fn list_shard(&self, shard: &Shard) -> Option<(Vec<Digest>, Vec<Box<str>>)> {
        if self.is_ending() {
            return None;
        }
        let names = self.source_directories(&shard.path).await?;
        let listed = self.target_directories(&shard.path).await?;
        let beginning = shard.path.file_name();
        let digests = names
            .iter()
            .filter(|hex| hex.starts_with(beginning))
            .filter_map(|hex| Digest::from_hex(shard.algorithm, hex).ok())
            .collect();
        Some((digests, listed))
    }

    async fn copy_listed(&self, digest: &Digest, is_listed: bool) {
        // The first pass has looked at it, and nothing makes it go away.
        if is_listed && self.tally.pass() > 1 && !self.settled.had_failed(digest) {
            self.settled.set_there(digest);
            self.tally.there(Kind::Blob);
            return;
        }
        match self.copy_blob(digest, is_listed).await {
            Ok(Outcome::There) => self.tally.there(Kind::Blob),
            Ok(Outcome::Copied { size_bytes }) => self.tally.copied_blob(size_bytes),
            // A directory without content: of a push that is just being made, or of a blob that was
            // deleted.
            Ok(Outcome::Missing) => {}
            Err(failure) => self.failed(layout::blob_data(digest), &failure),
        }
    }

    /// Whether the target has a blob; copies it if it does not. For what links lead to: it may have
    /// been pushed since the blobs were listed.
    pub(super) async fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        if self.settled.is_there(digest) {
            return Ok(true);
        }
        if self.settled.is_corrupt(digest) {
            return Err(Failure::KnownCorrupt);
        }
        let outcome = self.copy_blob(digest, true).await?;
        // In a dry run it may have been counted, and be forgotten.
        if let Outcome::Copied { size_bytes } = outcome
            && !self.options.dry_run
        {
            self.tally.copied_blob(size_bytes);
        }
        Ok(outcome != Outcome::Missing)
    }

    /// Copies a blob unless the target has it, and remembers what came of it. `may_be_there` says
    /// whether to look for it.
    async fn copy_blob(&self, digest: &Digest, may_be_there: bool) -> Result<Outcome, Failure> {
        let outcome = self.copy_blob_unless_there(digest, may_be_there).await;
        match &outcome {
            Ok(Outcome::Copied { .. } | Outcome::There) => self.settled.set_there(digest),
            Ok(Outcome::Missing) | Err(Failure::Stopped) => {}
            Err(failure) => self.settled.set_failed(digest, failure.is_corrupt()),
        }
        outcome
    }

    async fn copy_blob_unless_there(
        &self,
        digest: &Digest,
        may_be_there: bool,
    ) -> Result<Outcome, Failure> {
        let path = layout::blob_data(digest);
        let size = file_size(&*self.source, &path).await.map_err(Failure::Source)?;
        let there = match may_be_there {
            true => file_size(&*self.target, &path).await.map_err(Failure::Target)?,
            false => None,
        };
        let Some(size_bytes) = size else {
            // Collected at the source since it was copied.
            return Ok(if there.is_some() { Outcome::There } else { Outcome::Missing });
        };
        let is_there = there == Some(size_bytes)
            && (!self.is_verifying() || self.is_intact(digest, &path).await?);
        if is_there {
            return Ok(Outcome::There);
        }
        if self.options.dry_run {
            return Ok(Outcome::Copied { size_bytes });
        }
        let size_bytes = self.copy_content(digest, &path, size_bytes).await?;
        Ok(Outcome::Copied { size_bytes })
    }
}

/// The size of a file in bytes, if there is one.
async fn file_size(driver: &dyn Driver, path: &StoragePath) -> Result<Option<u64>, StorageError> {
    let stat = found(driver.stat(path).await)?;
    Ok(stat.filter(|stat| stat.kind == EntryKind::File).map(|stat| stat.size_bytes))
}

/// Waits for one of the tasks. A panic in it is one here.
pub(super) async fn join(running: &mut JoinSet<()>) {
    if let Some(Err(error)) = running.join_next().await
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
