//! What keeps a collection from deleting what an operation is about to rely on.
//!
//! A collector, in this process or in another one, works beside everything else. It *announces*
//! what it is going to delete, waits until every server must have seen that, looks once more for
//! what has come to be referred to meanwhile, and then deletes in batches:
//!
//! | the collector | an operation that relies on something that is there |
//! | --- | --- |
//! | 1. writes the list, and announces it | 1. looks at the announcement, or remembers it from a moment ago |
//! | 2. waits [`Timing::wait`] | 2. pins what of its own is on the list |
//! | 3. marks again | 3. waits while the batch has something of it |
//! | 4. writes the batch | 4. looks whether it is there |
//! | 5. lists the pins | 5. writes its links |
//! | 6. deletes what of the batch is not pinned | 6. does 1 to 4 once more if it took longer than [`Timing::valid`] |
//! | 7. deletes the batch, goes on at 4 | |
//!
//! An operation that did not see the announcement has written its links before the collector marks
//! again, which finds them. One that did has its pin in place before the collector lists them, or
//! finds the batch and waits for its end. Nothing else is synchronised, and nobody ever waits who
//! does not rely on something that is being deleted at this moment.
//!
//! That is for what the storage promises. For clients that were told "it is there" and have not
//! named it in a manifest yet, what is old is pinned as well, for as long as the grace time of the
//! server: a collector leaves alone what is pinned, and what is younger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci::Digest;
use storage::{Driver, StorageError};
use tokio::time::Instant;
use uuid::Uuid;

#[cfg(test)]
use crate::collection::model::{Break, is_broken};
use crate::limits::{
    ANNOUNCEMENT_BYTES_MAX, COLLECTION_LIST_BYTES_MAX, EVICTION_IN_USE, PINNED_NOTED_MAX,
};
use crate::{Registry, Result, layout};

mod claim;
mod list;
mod manifest;

pub(crate) use claim::Claim;
pub(crate) use list::{ClaimList, announced_id, announcement};

/// How long what is known of collections counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// How old an announcement that was looked at may be for an operation to begin with.
    pub(crate) fresh: Duration,
    /// How old it may be when the operation ends.
    pub(crate) valid: Duration,
    /// How long a collector waits between its announcement and marking again: longer than `valid`.
    pub(crate) wait: Duration,
    /// How long a batch may take. After that its collector has ended, whatever it left.
    pub(crate) batch: Duration,
}

impl Timing {
    /// For a driver: looking costs next to nothing, or a request.
    pub(crate) fn of(driver: &dyn Driver) -> Self {
        let unit = Duration::from_secs(if driver.is_remote() { 5 } else { 1 });
        Self { fresh: unit, valid: 3 * unit, wait: 4 * unit, batch: 10 * unit }
    }

    /// The shortest life of a pin: all of the operation that wrote it, and of the next one that
    /// does not write it again.
    const fn pin_min(&self) -> Duration {
        Duration::from_secs(4 * self.valid.as_secs() + 1)
    }
}

/// What this process knows of collections on its storage.
pub(crate) struct Claims {
    timing: Timing,
    /// How long something that a client was told of is kept.
    grace: Duration,
    /// For how long content counts as pinned that was written, where no link leads to it yet.
    young: Duration,
    clock: Clock,
    seen: tokio::sync::Mutex<Option<Seen>>,
    /// When the pins that were written here expire.
    pinned: Mutex<HashMap<Claim, Pin>>,
}

/// An announcement that was looked at.
#[derive(Debug, Clone)]
struct Seen {
    /// When looking began.
    at: Instant,
    announced: Option<Arc<ClaimList>>,
}

#[derive(Debug, Clone, Copy)]
struct Pin {
    expires: SystemTime,
    /// Under which list it was written; none if only because its object was old.
    list: Option<Uuid>,
    /// Whether it lies on the storage: what is young needs none.
    is_written: bool,
}

/// The time of the day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Clock {
    /// The system's.
    #[default]
    System,
    /// One that goes along with the runtime's, which may be halted.
    #[cfg(test)]
    Of(SystemTime, Instant),
}

impl Clock {
    pub(crate) fn now(self) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            #[cfg(test)]
            Self::Of(then, instant) => then + instant.elapsed(),
        }
    }
}

/// The state of collections with which an operation has begun.
#[derive(Debug)]
pub(crate) struct View(Seen);

impl View {
    /// Whether something is on the list of what is going to be deleted.
    pub(crate) fn lists(&self, claim: Claim) -> bool {
        self.0.announced.as_ref().is_some_and(|list| list.contains(claim))
    }

    /// Whether there is any collection that deletes.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.0.announced.is_none()
    }
}

impl Claims {
    pub(crate) fn new(driver: &dyn Driver, grace: Duration) -> Self {
        Self {
            timing: Timing::of(driver),
            grace,
            young: EVICTION_IN_USE / 2,
            clock: Clock::System,
            seen: tokio::sync::Mutex::new(None),
            pinned: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_clock(mut self, clock: Clock, timing: Timing) -> Self {
        (self.clock, self.timing) = (clock, timing);
        self
    }

    #[cfg(test)]
    pub(crate) const fn with_young(mut self, young: Duration) -> Self {
        self.young = young;
        self
    }

    pub(crate) const fn timing(&self) -> Timing {
        self.timing
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    fn pinned(&self) -> MutexGuard<'_, HashMap<Claim, Pin>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pin_life(&self) -> Duration {
        self.grace.max(self.timing.pin_min())
    }

    /// Whether a pin has to be written: there is none from here for this list, or, where there is no
    /// list, none that lasts for half of the grace time.
    fn needs_pin(&self, claim: Claim, list: Option<Uuid>) -> bool {
        let known = self.pinned().get(&claim).copied();
        let enough = match list {
            Some(_) => self.pin_life() / 2,
            None => self.grace / 2,
        };
        let until = self.clock.now() + enough;
        !known.is_some_and(|pin| pin.expires > until && (list.is_none() || pin.list == list))
    }

    /// Whether there is a pin on the storage, and not youth alone.
    fn is_written(&self, claim: Claim) -> bool {
        self.pinned().get(&claim).is_some_and(|pin| pin.is_written)
    }

    fn note_pin(&self, claim: Claim, pin: Pin) {
        let mut pinned = self.pinned();
        if pinned.len() >= PINNED_NOTED_MAX {
            let now = self.clock.now();
            pinned.retain(|_, pin| pin.expires > now);
            // All of them still count: what is forgotten is pinned again, and that is all.
            if pinned.len() >= PINNED_NOTED_MAX {
                pinned.clear();
            }
        }
        pinned.insert(claim, pin);
    }
}

impl Registry {
    /// How things stand, for an operation that begins. Looks at the storage when the last look was
    /// not just now.
    pub(crate) async fn view(&self) -> Result<View> {
        let mut seen = self.claims.seen.lock().await;
        match &*seen {
            Some(known) if known.at.elapsed() <= self.claims.timing.fresh => {
                Ok(View(known.clone()))
            }
            _ => self.look(&mut seen).await,
        }
    }

    async fn look(&self, seen: &mut Option<Seen>) -> Result<View> {
        let at = Instant::now();
        let announced = self.announced(seen.as_ref().and_then(|s| s.announced.as_ref())).await?;
        let fresh = Seen { at, announced };
        *seen = Some(fresh.clone());
        Ok(View(fresh))
    }

    /// What is announced at this moment. `known` is what was announced before.
    async fn announced(&self, known: Option<&Arc<ClaimList>>) -> Result<Option<Arc<ClaimList>>> {
        let path = layout::collection_announced();
        let id = match self.driver.get(&path, ANNOUNCEMENT_BYTES_MAX).await {
            Ok(content) => announced_id(&content),
            Err(StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if let Some(known) = known.filter(|list| list.id == id) {
            return Ok(Some(Arc::clone(known)));
        }
        let path = layout::collection_list(&id);
        let list = match self.driver.get(&path, COLLECTION_LIST_BYTES_MAX).await {
            Ok(content) => ClaimList::read(&path, &content),
            // Its collection has ended meanwhile, or the announcement was damaged.
            Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => {
                ClaimList::of_everything(id)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Arc::new(list)))
    }

    /// Keeps what an operation relies on from being deleted. What is there after this has returned
    /// stays, as long as the operation is not [overtaken](Self::overtaken).
    pub(crate) async fn claim(&self, view: &View, claims: &[Claim]) -> Result<()> {
        let Some(list) = &view.0.announced else { return Ok(()) };
        #[cfg(test)]
        if is_broken(Break::Pinning) {
            return Ok(());
        }
        let listed: Vec<_> = claims.iter().copied().filter(|c| list.contains(*c)).collect();
        for claim in &listed {
            if self.claims.needs_pin(*claim, Some(list.id)) {
                self.pin(*claim, Some(list.id)).await?;
            }
        }
        if listed.is_empty() { Ok(()) } else { self.wait_for_batch(&listed).await }
    }

    /// Keeps what a client is told of for as long as it may take to name it in a manifest. Returns
    /// whether it has to be looked for once more, as it may just have been deleted.
    pub(crate) async fn promise(&self, view: &View, canonical: &Digest) -> Result<bool> {
        self.promise_for(view, canonical, self.claims.grace).await
    }

    /// The same, where what is younger than `young` is as good as pinned.
    async fn promise_for(&self, view: &View, canonical: &Digest, young: Duration) -> Result<bool> {
        let claim = Claim::content(canonical);
        if view.lists(claim) {
            self.claim(view, &[claim]).await?;
            return Ok(true);
        }
        let is_any_young = young >= self.claims.grace;
        if !self.claims.needs_pin(claim, None) && (is_any_young || self.claims.is_written(claim)) {
            return Ok(false);
        }
        #[cfg(test)]
        if is_broken(Break::Promise) {
            return Ok(false);
        }
        let modified = match self.driver.stat(&layout::blob_data(canonical)).await {
            Ok(stat) => stat.modified,
            Err(StorageError::NotFound { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        // What is young is as good as pinned.
        let expires = modified + self.claims.grace;
        self.claims.note_pin(claim, Pin { expires, list: None, is_written: false });
        let age = self.claims.clock.now().duration_since(modified).unwrap_or_default();
        if age > young || self.claims.needs_pin(claim, None) {
            self.pin(claim, None).await?;
        }
        Ok(false)
    }

    /// Keeps content that somebody is about to link to from being collected before the grace time is
    /// over, by its canonical digest. Returns whether it has to be looked for once more, as it may
    /// just have been deleted.
    ///
    /// An [eviction](crate::eviction) does not wait for the grace time where nothing but what it
    /// takes leads to content. Only what is younger than it looks at goes without a pin here.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn promise_content(&self, canonical: &Digest) -> Result<bool> {
        #[cfg(test)]
        if is_broken(Break::YoungPins) {
            return self.promise_linked(canonical).await;
        }
        self.promise_within(canonical, self.claims.young.min(self.claims.grace)).await
    }

    /// The same for what a repository has a link to, which keeps it from an eviction.
    pub(crate) async fn promise_linked(&self, canonical: &Digest) -> Result<bool> {
        self.promise_within(canonical, self.claims.grace).await
    }

    async fn promise_within(&self, canonical: &Digest, young: Duration) -> Result<bool> {
        let view = self.view().await?;
        let look_again = self.promise_for(&view, canonical, young).await?;
        match self.overtaken(view).await? {
            Some(view) => self.promise_for(&view, canonical, young).await.map(|_| true),
            None => Ok(look_again),
        }
    }

    /// Whether so much of the grace time is over since then that what was written there may need a
    /// pin.
    pub(crate) fn is_past_half_of_the_grace(&self, then: jiff::Timestamp) -> bool {
        let age = self.claims.clock.now().duration_since(then.into());
        age.is_ok_and(|age| age > self.claims.grace / 2)
    }

    /// Asks, for an operation that has written its links, whether its view is still valid; most are
    /// quick enough. If not, the operation claims again with the view that is returned, and looks
    /// whether everything is there. Once is enough, however long that takes: whoever announces
    /// something from then on finds the links.
    pub(crate) async fn overtaken(&self, view: View) -> Result<Option<View>> {
        #[cfg(test)]
        if is_broken(Break::LookingAgain) {
            return Ok(None);
        }
        if view.0.at.elapsed() <= self.claims.timing.valid {
            return Ok(None);
        }
        self.look(&mut *self.claims.seen.lock().await).await.map(Some)
    }

    async fn pin(&self, claim: Claim, list: Option<Uuid>) -> Result<()> {
        // In whole seconds, rounded up.
        let expires = self.claims.clock.now() + self.claims.pin_life() + Duration::from_secs(1);
        let path = claim.pin(expires);
        match list {
            Some(_) => self.driver.put(&path, Bytes::new()).await?,
            None => self.driver.put_unsynced(&path, Bytes::new()).await?,
        }
        self.claims.note_pin(claim, Pin { expires, list, is_written: true });
        Ok(())
    }

    /// Waits while any of these is being deleted.
    async fn wait_for_batch(&self, claims: &[Claim]) -> Result<()> {
        #[cfg(test)]
        if is_broken(Break::Batch) {
            return Ok(());
        }
        let timing = self.claims.timing;
        let path = layout::collection_batch();
        let mut seen: Option<(Uuid, Instant)> = None;
        loop {
            let batch = match self.driver.get(&path, COLLECTION_LIST_BYTES_MAX).await {
                Ok(content) => ClaimList::read(&path, &content),
                Err(StorageError::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if !claims.iter().any(|claim| batch.contains(*claim)) {
                return Ok(());
            }
            match seen {
                // What a collector left that was killed.
                Some((id, since)) if id == batch.id && since.elapsed() > timing.batch => {
                    return Ok(());
                }
                Some((id, _)) if id == batch.id => {}
                _ => seen = Some((batch.id, Instant::now())),
            }
            tokio::time::sleep(timing.fresh / 20).await;
        }
    }
}
