//! What is needed to do a job, whatever of it is done.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use oci::RepositoryName;
use registry::Registry;
use registry::collection::Selection as Repositories;

use crate::ages::Ages;
use crate::companions::Companions;
use crate::fault::{Fault, Result};
use crate::health::Health;
use crate::place::{Here, Place, There};
use crate::tally::Totals;
use crate::turns::{Mountable, Turns, Whole};
use crate::{Direction, Gate, Job};

/// A job with its two sides, and what is remembered of them.
pub(crate) struct Engine {
    pub(crate) registry: Arc<Registry>,
    pub(crate) job: Job,
    pub(crate) source: Place,
    pub(crate) target: Place,
    pub(crate) gate: Option<Arc<dyn Gate>>,
    protected: Option<Repositories>,
    /// In bytes; nothing is counted where there is no limit.
    pub(crate) pace: Arc<registry::Pace>,
    pub(crate) turns: Turns,
    pub(crate) mountable: Mountable,
    pub(crate) whole: Whole,
    pub(crate) companions: Companions,
    pub(crate) ages: Ages,
    pub(crate) totals: Arc<Totals>,
    /// How many items are queued, as far as that is known without looking.
    pub(crate) queued: AtomicUsize,
    pub(crate) health: Health,
}

impl Engine {
    pub(crate) fn new(registry: Arc<Registry>, job: Job, protected: Option<Repositories>) -> Self {
        let here = Place::Here(Here(Arc::clone(&registry)));
        let (source, target) = match &job.direction {
            Direction::From(remote) => (Place::There(There::source(Arc::clone(remote))), here),
            Direction::To(remote) => (here, Place::There(There::target(Arc::clone(remote)))),
        };
        if let Some(per_minute) = job.pace.requests_per_minute {
            job.direction.remote().limit_requests(per_minute);
        }
        let per_second: Option<NonZeroU64> = job.pace.bytes_per_second;
        Self {
            pace: Arc::new(registry::Pace::new(per_second)),
            registry,
            source,
            target,
            gate: None,
            protected,
            turns: Turns::default(),
            mountable: Mountable::default(),
            whole: Whole::default(),
            companions: Companions::default(),
            ages: Ages::default(),
            totals: Arc::default(),
            queued: AtomicUsize::new(0),
            health: Health::default(),
            job,
        }
    }

    /// Whether it writes here.
    pub(crate) const fn writes_here(&self) -> bool {
        matches!(self.target, Place::Here(_))
    }

    /// The target's name of a repository of the source, which may be written to.
    ///
    /// # Errors
    /// When there is none, or it may not.
    pub(crate) fn target_of(&self, from: &RepositoryName) -> Result<RepositoryName> {
        let to = self.job.names.target(from).map_err(|error| Fault::Refused(error.to_string()))?;
        let is_protected = self.protected.as_ref().is_some_and(|protects| protects(&to));
        if self.writes_here() && is_protected {
            let reason = format!(
                "{to} mirrors another registry, so nothing is copied into it; give the job a \
                 prefix that leads elsewhere"
            );
            return Err(Fault::Refused(reason));
        }
        Ok(to)
    }

    /// Asks whether so many bytes can be written at the target, as far as that is here.
    pub(crate) async fn admit(&self, bytes: u64) -> Result<()> {
        if !self.writes_here() {
            return Ok(());
        }
        if let Some(gate) = &self.gate {
            gate.admit(bytes).await.map_err(Fault::NotNow)?;
        }
        Ok(())
    }

    /// The same before anything of an item is written.
    pub(crate) async fn admit_item(&self) -> Result<()> {
        if self.writes_here()
            && let Some(note) = self.registry.read_only_note().await?
        {
            return Err(Fault::NotNow(match note.reason.as_str() {
                "" => "this registry is read-only".to_owned(),
                reason => format!("this registry is read-only: {reason}"),
            }));
        }
        self.admit(0).await
    }
}
