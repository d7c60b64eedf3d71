//! The blobs.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use oci::{Algorithm, Digest};
use storage::{EntryKind, Pages, StorageError, StoragePath, found};
use tokio::task::JoinSet;

use super::content::{Content, Data};
use super::error::Failure;
use super::kind::Kind;
use super::known::{KnownBlob, KnownBlobs, fingerprint};
use super::quarantine::{Repaired, Unless};
use super::report::{Finding, Phase, Weighed};
use super::tally::Thing;
use super::{Check, is_of_nothing};
use crate::layout;
use crate::limits::CHECK_LEFTOVER_AGE;
use crate::link::{self, Found};

/// A directory of those blobs or aliases whose hexadecimal digits begin in the same way.
struct Shard {
    algorithm: Algorithm,
    path: StoragePath,
}

impl Shard {
    /// The digest that a directory in it stands for.
    fn digest(&self, name: &str) -> Option<Digest> {
        Digest::from_hex(self.algorithm, name).ok()
    }

    fn is_place_of(&self, digest: &Digest) -> bool {
        digest.hex().starts_with(self.path.file_name())
    }
}

impl Check {
    /// Looks at every blob that is listed.
    pub(super) async fn check_blobs(self: &Arc<Self>) {
        let shards = self.shards(&layout::blobs()).await;
        let of = shards.len() as u64;
        let mut running = JoinSet::new();
        for (shard, done) in shards.into_iter().zip(0..) {
            self.tally.at(Phase::Blobs { done, of });
            let shard = Arc::new(shard);
            let mut pages = Pages::of(shard.path.clone());
            while let Some(entries) = self.next_page(&mut pages).await {
                for entry in entries {
                    if self.is_ending() {
                        break;
                    }
                    while running.len() >= self.options.concurrency {
                        join(&mut running).await;
                    }
                    let (this, shard) = (Arc::clone(self), Arc::clone(&shard));
                    running.spawn(async move { this.check_entry(&shard, &entry.name).await });
                }
            }
        }
        while !running.is_empty() {
            join(&mut running).await;
        }
        self.tally.at(Phase::Blobs { done: of, of });
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.known.set(KnownBlobs::new(std::mem::take(&mut gathered)));
    }

    /// The directories below `above` that hold blobs or aliases.
    async fn shards(&self, above: &StoragePath) -> Vec<Shard> {
        let mut shards = Vec::new();
        for algorithm in Algorithm::ALL {
            let Ok(below) = above.join(algorithm.as_str()) else { continue };
            for beginning in self.directories(&below).await {
                shards.extend(below.join(&beginning).ok().map(|path| Shard { algorithm, path }));
            }
        }
        shards
    }

    pub(super) fn report_stray(&self, path: &StoragePath) {
        self.report_only(Finding::new(Kind::Stray, path, "its name is none of the layout's"));
    }

    async fn check_entry(&self, shard: &Shard, name: &str) {
        let Ok(directory) = shard.path.join(name) else { return };
        let Some(digest) = shard.digest(name) else { return self.report_stray(&directory) };
        if self
            .wanted
            .get()
            .is_some_and(|wanted| wanted.binary_search(&fingerprint(&digest)).is_err())
        {
            return;
        }
        let Ok(path) = directory.join("data") else { return };
        let outcome = match shard.is_place_of(&digest) {
            true => self.check_blob(&directory, &path, &digest).await,
            false => self.check_misplaced(&path, &digest).await,
        };
        match outcome {
            Ok(Some(blob)) => {
                self.tally.checked(Thing::Blob);
                self.gathered.lock().unwrap_or_else(PoisonError::into_inner).push(blob);
            }
            Ok(None) => {}
            Err(failure) => self.failed(&path, &failure),
        }
    }

    /// Looks at a blob; what is left of it.
    async fn check_blob(
        &self,
        directory: &StoragePath,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Option<KnownBlob>, Failure> {
        self.check_leftovers(directory).await?;
        let content = if self.options.quick {
            match found(self.driver.stat(path).await)? {
                Some(stat) if stat.kind == EntryKind::File => {
                    let size_bytes = stat.size_bytes;
                    if size_bytes > 0 || is_of_nothing(digest) {
                        return Ok(Some(KnownBlob::new(digest, size_bytes, false)));
                    }
                    self.examine(path, digest).await?
                }
                _ => Content::Missing,
            }
        } else {
            self.examine(path, digest).await?
        };
        match content {
            Content::Whole { size_bytes } => Ok(Some(KnownBlob::new(digest, size_bytes, true))),
            Content::Damaged { actual, size_bytes } => {
                self.report_corrupt(path, digest, &actual, size_bytes).await;
                let is_there = self.data_now(digest).await? != Data::Missing;
                Ok(is_there.then(|| KnownBlob::corrupt(digest, size_bytes)))
            }
            Content::Missing => {
                // A push makes the directory a moment before the data gets there.
                let is_empty = found(self.driver.list(directory).await)?
                    .is_some_and(|l| l.entries.iter().all(|entry| &*entry.name != "data"));
                if is_empty {
                    let reason = "there is no data in it";
                    self.report_only(
                        Finding::new(Kind::BlobWithoutData, directory, reason).of(digest),
                    );
                }
                Ok(None)
            }
        }
    }

    /// Looks at content that lies in the directory of other digests.
    async fn check_misplaced(
        &self,
        path: &StoragePath,
        digest: &Digest,
    ) -> Result<Option<KnownBlob>, Failure> {
        if found(self.driver.stat(path).await)?.is_none() {
            return Ok(None);
        }
        let place = layout::blob_data(digest);
        let finding = Finding::new(Kind::BlobMisplaced, path, format!("its place is {place}"));
        let finding = finding.of(digest);
        if !self.options.repair {
            self.report_only(finding);
            return Ok(None);
        }
        let content = self.examine(path, digest).await?;
        let is_needed = self.data_now(digest).await? == Data::Missing;
        if let Content::Whole { size_bytes } = content
            && is_needed
        {
            self.driver.publish(path, &place).await?;
            self.report(finding, Ok(Repaired::Mended("moved to its place".into())));
            return Ok(Some(KnownBlob::new(digest, size_bytes, true)));
        }
        let aside = self.set_blob_aside(path, digest).await;
        self.report(finding, aside);
        Ok(None)
    }

    /// Reports what writers that were killed left in a directory. Where that is a request, listings
    /// have nothing of the kind.
    pub(super) async fn check_leftovers(
        &self,
        directory: &StoragePath,
    ) -> Result<(), StorageError> {
        if self.options.quick || self.driver.is_remote() {
            return Ok(());
        }
        for (name, stat) in found(self.driver.leftovers(directory).await)?.unwrap_or_default() {
            let age = SystemTime::now().duration_since(stat.modified).unwrap_or_default();
            if age >= CHECK_LEFTOVER_AGE
                && let Ok(path) = directory.join(&name)
            {
                let reason =
                    format!("{} bytes, {} hours old", stat.size_bytes, age.as_secs() / 3600);
                let removed = self.remove_leftover(&path).await;
                self.report(Finding::new(Kind::LeftoverFile, &path, reason), removed);
            }
        }
        Ok(())
    }

    /// Removes what a writer left that was killed: nobody was told that it is there, and nobody ever
    /// looks at it.
    async fn remove_leftover(&self, path: &StoragePath) -> Result<Repaired, Failure> {
        if !self.options.repair {
            return Ok(Repaired::NotTried);
        }
        match self.driver.delete(path).await {
            Ok(()) => Ok(Repaired::Mended("removed".to_owned())),
            Err(StorageError::NotFound { .. }) => Ok(Repaired::Elsewhere),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at the other digests of blobs.
    pub(super) async fn check_aliases(&self) {
        for shard in self.shards(&layout::aliases()).await {
            for name in self.directories(&shard.path).await {
                let Some(digest) = shard.digest(&name) else { continue };
                let path = layout::alias(&digest);
                match link::look(&*self.driver, &path).await {
                    Ok(Found::Damaged { size_bytes }) => {
                        let reason = format!("{size_bytes} bytes that are no digest");
                        let finding = Finding::new(Kind::AliasTorn, &path, reason).of(&digest);
                        let aside = self.set_link_aside(&path, Unless::IsLink).await;
                        self.report(finding, aside);
                    }
                    Ok(_) => {}
                    Err(error) => self.failed(&path, &error.into()),
                }
            }
        }
    }

    /// The blobs that nothing leads to, and those that no manifest refers to.
    pub(super) fn weigh_unreferenced(&self) -> [Option<Weighed>; 2] {
        let (mut orphans, mut unused) = (Weighed::default(), Weighed::default());
        for blob in self.known.get().map_or(&[][..], KnownBlobs::all) {
            let weighed = match (blob.is_linked(), blob.is_used()) {
                (false, _) => &mut orphans,
                (true, false) => &mut unused,
                (true, true) => continue,
            };
            weighed.blobs += 1;
            weighed.bytes += blob.size_bytes();
        }
        [Some(orphans), Some(unused)]
    }

    /// Names the blobs that nothing leads to.
    pub(super) async fn name_orphans(&self) {
        self.tally.at(Phase::Orphans);
        for shard in self.shards(&layout::blobs()).await {
            for name in self.directories(&shard.path).await {
                let Some(digest) = shard.digest(&name) else { continue };
                let Some(blob) = self.known.get().and_then(|known| known.get(&digest)) else {
                    continue;
                };
                if !blob.is_linked() && shard.is_place_of(&digest) {
                    let reason = format!("{} bytes that no link leads to", blob.size_bytes());
                    let path = layout::blob_data(&digest);
                    self.report_only(Finding::new(Kind::OrphanBlob, &path, reason).of(&digest));
                }
            }
        }
    }
}

/// Waits for one of the tasks. A panic in it is one here.
async fn join(running: &mut JoinSet<()>) {
    if let Some(Err(error)) = running.join_next().await
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
