//! What is pushed here, and copied at once.

use std::sync::atomic::Ordering;

use oci::{Digest, Manifest, Reference, RepositoryName};

use super::Synchronizer;
use crate::companions::{Belonging, belonging};
use crate::limits::QUEUE_ITEMS_MAX;
use crate::queue::Item;
use crate::{Reason, SyncError};

impl Synchronizer {
    /// Queues what was pushed here, if the job copies to a remote and its selection covers it
    /// (`newest` aside). It is on stable storage when this returns. Returns whether it was queued.
    ///
    /// What was pushed without a tag is part of what gets one, and goes along with that; it is queued
    /// only if it refers to something, and the job copies that.
    ///
    /// # Errors
    /// [`SyncError::QueueFull`], [`SyncError::Storage`].
    pub async fn pushed(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: Digest,
    ) -> Result<bool, SyncError> {
        let outcome = self.queue_pushed(repository, reference, &digest).await;
        if outcome.is_err() {
            self.engine.totals.change(|counts| counts.unqueued += 1);
        }
        outcome
    }

    async fn queue_pushed(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, SyncError> {
        let job = &self.engine.job;
        if self.engine.writes_here()
            || !job.selection.selects_repository(repository)
            || !self.goes(repository, reference, digest).await?
        {
            return Ok(false);
        }
        let items = self.engine.queued.load(Ordering::Relaxed);
        if items >= QUEUE_ITEMS_MAX {
            return Err(SyncError::QueueFull { items });
        }
        let (_, queue) = self.queue()?;
        let item = Item::new(repository.clone(), reference.clone(), Reason::Pushed);
        queue.add(std::slice::from_ref(&item)).await?;
        self.engine.queued.fetch_add(1, Ordering::Relaxed);
        self.engine.totals.change(|counts| {
            counts.queued += 1;
            counts.next_due = Some(counts.next_due.map_or(item.queued, |due| due.min(item.queued)));
        });
        self.queued.notify_one();
        Ok(true)
    }

    /// Whether what was pushed is copied by itself.
    async fn goes(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, SyncError> {
        let job = &self.engine.job;
        match reference {
            Reference::Tag(tag) if !job.referrers => Ok(job.selection.selects_tag(tag)),
            Reference::Tag(tag) => Ok(match belonging(tag) {
                None => job.selection.selects_tag(tag),
                Some(Belonging::Companion(_)) => true,
                // The target's own list is added to.
                Some(Belonging::Referrers) => false,
            }),
            Reference::Digest(_) if !job.referrers => Ok(false),
            Reference::Digest(_) => {
                let by_digest = Reference::Digest(*digest);
                let stored = self.engine.registry.get_manifest(repository, &by_digest).await?;
                let manifest = Manifest::parse_stored(&stored.content);
                Ok(manifest.is_ok_and(|manifest| manifest.subject_digest().is_some()))
            }
        }
    }
}
