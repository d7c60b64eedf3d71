//! The making of a snapshot.

mod blobs;
mod manifests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use oci::{Digest, Reference, RepositoryName};
use quick_cache::sync::Cache;
use registry::collection::Selection;
use registry::{Error, Page, Registry};
use storage::found;
use tokio::sync::Semaphore;

use super::jobs::Kind;
use super::record::{REPOSITORIES_TYPE, Record, SNAPSHOT_TYPE};
use super::report::Content;
use super::staged::StagedFile;
use super::{Backup, BackupError, CreateReport, Snapshot};
use crate::limits::{
    BLOB_LOCKS, CONCURRENCY, CONCURRENCY_MAX, REPOSITORIES_PAGE, SETTLED_BLOBS, STAGED_AGE_SECS,
};
use crate::{Meter, layout};
use manifests::{Kept, Outcome};

/// How a snapshot is made.
#[derive(Clone)]
pub struct CreateOptions {
    /// How many things are copied at once; at most [`CONCURRENCY_MAX`].
    pub concurrency: usize,
    /// The repositories that are not to be in it.
    pub left_out: Option<Selection>,
}

impl fmt::Debug for CreateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateOptions")
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { concurrency: CONCURRENCY, left_out: None }
    }
}

impl Backup {
    /// Makes a snapshot of a registry, which may be in use.
    ///
    /// What can't be read because the storage fails makes it fail as a whole, and there is no new
    /// snapshot; what is copied by then is not copied again. What is damaged is left out and
    /// reported.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn create(
        &self,
        registry: &Registry,
        options: &CreateOptions,
        meter: &Meter,
    ) -> Result<CreateReport, BackupError> {
        let mark = self.begin(Kind::Create).await?;
        let created = self.create_marked(registry, options, meter).await;
        mark.end().await;
        created
    }

    async fn create_marked(
        &self,
        registry: &Registry,
        options: &CreateOptions,
        meter: &Meter,
    ) -> Result<CreateReport, BackupError> {
        self.clean_staging().await?;
        let creation = Creation::new(self, registry, options, meter);
        let created = Timestamp::now();
        let content = creation.write_records().await?;
        if meter.is_stopped() {
            return Err(BackupError::Stopped);
        }
        let mut report = creation.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        let snapshot = Snapshot {
            name: self.free_name(created).await?,
            media_type: SNAPSHOT_TYPE.into(),
            created: created.to_string(),
            content,
            repositories: report.repositories,
            manifests: report.manifests,
            tags: report.tags,
            blobs: creation.blobs.into_inner(),
        };
        // Everything it names is durable by now.
        let text = serde_json::to_vec_pretty(&snapshot).unwrap_or_default();
        self.driver.put(&layout::snapshot(&snapshot.name), text.into()).await?;
        self.write_index(&snapshot, meter).await?;
        report.snapshot = snapshot.name;
        Ok(report)
    }

    /// A name for a snapshot that was begun at this time.
    async fn free_name(&self, created: Timestamp) -> Result<String, BackupError> {
        let mut second = created.as_second();
        loop {
            let time = Timestamp::from_second(second).unwrap_or(created);
            let name = time.strftime("%Y%m%dT%H%M%SZ").to_string();
            if found(self.driver.stat(&layout::snapshot(&name)).await)?.is_none() {
                return Ok(name);
            }
            second += 1;
        }
    }

    /// Removes what was being copied long ago.
    async fn clean_staging(&self) -> Result<(), BackupError> {
        let age = std::time::Duration::from_secs(STAGED_AGE_SECS);
        let listing = found(self.driver.list(&layout::staging()).await)?;
        for entry in listing.into_iter().flat_map(|listing| listing.entries) {
            let Ok(path) = layout::staging().join(&entry.name) else { continue };
            let Some(stat) = found(self.driver.stat_staged(&path).await)? else { continue };
            if stat.modified.elapsed().is_ok_and(|elapsed| elapsed > age) {
                storage::delete_remains(&*self.driver, &path).await;
            }
        }
        self.driver.abandon(age, false).await?;
        Ok(())
    }
}

/// Manifests in an order in which each comes behind those it refers to, and what is under another
/// digest behind what is under its SHA-256.
fn children_first(mut kept: BTreeMap<Digest, Kept>) -> Vec<(Digest, Kept)> {
    let mut sorted = Vec::with_capacity(kept.len());
    while !kept.is_empty() {
        let is_ready = |manifest: &Kept| !manifest.children.iter().any(|c| kept.contains_key(c));
        let ready = kept.iter().filter(|(_, manifest)| is_ready(manifest));
        let ready: Vec<Digest> = ready.map(|(digest, _)| *digest).collect();
        if ready.is_empty() {
            // No manifest can have the digest of one that has its own.
            sorted.extend(std::mem::take(&mut kept));
        }
        sorted.extend(ready.iter().filter_map(|digest| kept.remove_entry(digest)));
    }
    sorted
}

/// A snapshot that is being made.
struct Creation<'a> {
    backup: &'a Backup,
    registry: &'a Registry,
    meter: &'a Meter,
    concurrency: usize,
    left_out: Option<Selection>,
    /// A permit for each manifest that may be worked on at once.
    turns: Semaphore,
    /// Blobs that are known to be in the backup.
    settled: Cache<Digest, ()>,
    /// By the first byte of a digest: whoever copies a blob.
    locks: Vec<tokio::sync::Mutex<()>>,
    report: Mutex<CreateReport>,
    /// Blobs of all repositories.
    blobs: std::sync::atomic::AtomicU64,
}

impl<'a> Creation<'a> {
    fn new(
        backup: &'a Backup,
        registry: &'a Registry,
        options: &CreateOptions,
        meter: &'a Meter,
    ) -> Self {
        let concurrency = options.concurrency.clamp(1, CONCURRENCY_MAX);
        Self {
            backup,
            registry,
            meter,
            concurrency,
            left_out: options.left_out.clone(),
            turns: Semaphore::new(concurrency),
            settled: Cache::new(SETTLED_BLOBS),
            locks: (0..BLOB_LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
            report: Mutex::default(),
            blobs: std::sync::atomic::AtomicU64::default(),
        }
    }

    fn report(&self) -> MutexGuard<'_, CreateReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies all repositories, and writes the list of them.
    async fn write_records(&self) -> Result<Content, BackupError> {
        let mut file = StagedFile::create(&*self.backup.driver).await?;
        match self.write_records_to(&mut file).await {
            Ok(()) => {
                let (digest, size) = file.finish(layout::blob).await?;
                Ok(Content { media_type: REPOSITORIES_TYPE.into(), digest, size })
            }
            Err(error) => {
                file.discard().await;
                Err(error)
            }
        }
    }

    async fn write_records_to(&self, file: &mut StagedFile<'_>) -> Result<(), BackupError> {
        let records = self.repositories().map(|name| async move { self.back_up(&name?).await });
        let mut records = std::pin::pin!(records.buffered(self.concurrency));
        while let Some(record) = records.try_next().await? {
            self.meter.repository_done();
            if record.manifests.is_empty() {
                continue;
            }
            let mut line = serde_json::to_vec(&record).unwrap_or_default();
            line.push(b'\n');
            file.write(&line).await?;
            self.blobs.fetch_add(record.blobs.len() as u64, std::sync::atomic::Ordering::Relaxed);
            let mut report = self.report();
            report.repositories += 1;
            report.manifests += record.manifests.len() as u64;
            report.tags += record.tags.len() as u64;
        }
        Ok(())
    }

    /// The names of the repositories that have a manifest and are not left out.
    fn repositories(&self) -> impl Stream<Item = Result<RepositoryName, BackupError>> {
        let pages = stream::try_unfold(Some(String::new()), async |last| {
            let Some(last) = last else { return Ok::<_, BackupError>(None) };
            let page = Page { limit: Some(REPOSITORIES_PAGE), last: Some(&last) };
            let names = self.registry.list_repositories(page).await?;
            let next = names.names.last().filter(|_| names.more).cloned();
            Ok(Some((stream::iter(names.names.clone()).map(Ok), next)))
        });
        let names = pages.try_flatten();
        names.try_filter_map(async |name| {
            let name = RepositoryName::parse(&name).ok();
            Ok(name.filter(|name| !self.leaves_out(name)))
        })
    }

    /// Whether a repository is left out, which is counted then.
    fn leaves_out(&self, name: &RepositoryName) -> bool {
        let is_left_out = self.left_out.as_ref().is_some_and(|left_out| left_out(name));
        self.report().left_out += u64::from(is_left_out);
        is_left_out
    }

    /// Copies what a repository has, and says what that is.
    async fn back_up(&self, name: &RepositoryName) -> Result<Record, BackupError> {
        let inventory = self.registry.inventory(name).await?;
        let listed: HashSet<Digest> = inventory.manifests.iter().copied().collect();
        let outcomes = stream::iter(&inventory.manifests).map(|digest| {
            let listed = &listed;
            async move {
                let outcome = self.back_up_manifest(name, digest, listed).await?;
                Ok::<_, BackupError>((*digest, outcome))
            }
        });
        let outcomes: Vec<(Digest, Outcome)> =
            outcomes.buffered(self.concurrency).try_collect::<Vec<_>>().await?;
        let mut kept = BTreeMap::new();
        for (digest, outcome) in outcomes {
            match outcome {
                Outcome::Kept(manifest) => drop(kept.insert(digest, manifest)),
                Outcome::Gone => {}
                Outcome::Damaged(reason) => {
                    self.report().damaged.add(format!("{name}@{digest}"), reason);
                }
            }
        }
        self.drop_what_led_to_deleted(name, &mut kept).await?;
        let mut record = Record { name: name.to_string(), ..Record::default() };
        for (tag, digest) in &inventory.tags {
            if kept.contains_key(digest) {
                record.tags.insert(tag.to_string(), digest.to_string());
            } else {
                let reason = format!("it names {digest}, which is not there or can't be kept");
                self.report().gone.add(format!("{name}:{tag}"), reason);
            }
        }
        let mut blobs = BTreeSet::new();
        for (digest, manifest) in children_first(kept) {
            if let Some(lacks) = manifest.lacks {
                self.report().incomplete.add(format!("{name}@{digest}"), lacks);
            }
            record.manifests.push(manifest.item);
            blobs.extend(manifest.blobs);
        }
        record.blobs = blobs.into_iter().collect();
        Ok(record)
    }

    /// An index was kept before one of its manifests was found deleted: it may be deleted as well.
    async fn drop_what_led_to_deleted(
        &self,
        name: &RepositoryName,
        kept: &mut BTreeMap<Digest, Kept>,
    ) -> Result<(), BackupError> {
        loop {
            let lacking = kept.iter().find_map(|(digest, manifest)| {
                let lost = manifest.children.iter().find(|child| !kept.contains_key(child));
                lost.map(|lost| (*digest, *lost))
            });
            let Some((digest, lost)) = lacking else { return Ok(()) };
            if self.is_there(name, &digest).await? {
                if let Some(manifest) = kept.get_mut(&digest) {
                    manifest.children.retain(|child| *child != lost);
                    manifest.lacks = Some(format!("manifest {lost} is not there"));
                }
            } else {
                kept.remove(&digest);
                let reason = "it was deleted meanwhile".to_owned();
                self.report().gone.add(format!("{name}@{digest}"), reason);
            }
        }
    }

    /// Whether a repository has a manifest at this moment.
    async fn is_there(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, BackupError> {
        match self.registry.get_manifest(name, &Reference::Digest(*digest)).await {
            Ok(_) => Ok(true),
            Err(Error::ManifestUnknown { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
