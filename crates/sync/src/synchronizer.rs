//! One job, and everything that is done for it.

use std::fmt;
use std::sync::Arc;

use oci::{Digest, Reference, RepositoryName};
use registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::{Gate, Job, JobCounts, JobStatus, Plan, RunReport, SyncError};

/// Does one job. Cheap to share.
pub struct Synchronizer {
    registry: Arc<Registry>,
    job: Job,
    protected: Option<registry::collection::Selection>,
    gate: Option<Arc<dyn Gate>>,
}

impl Synchronizer {
    /// What does a job. Repositories here that `protected` names are never written to. Asks nobody.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        job: Job,
        protected: Option<registry::collection::Selection>,
    ) -> Self {
        Self { registry, job, protected, gate: None }
    }

    /// Has it ask whether this registry can be written to.
    #[must_use]
    pub fn with_gate(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// What a run would copy. Writes nothing, and takes no lease.
    ///
    /// # Errors
    /// [`SyncError::Source`] when it can't even be listed; what else can't be looked at is in the
    /// plan.
    pub async fn plan(&self) -> Result<Plan, SyncError> {
        Err(SyncError::Running)
    }

    /// Plans, queues, and works off what is queued and due.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn run(&self, stop: &CancellationToken) -> Result<RunReport, SyncError> {
        let _ = stop;
        Err(SyncError::Running)
    }

    /// Works off what is queued and due.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn work(&self, stop: &CancellationToken) -> Result<RunReport, SyncError> {
        let _ = stop;
        Err(SyncError::Running)
    }

    /// Queues what was pushed here, if the job copies to a remote and its selection covers it
    /// (`newest` aside). It is on stable storage when this returns. Returns whether it was queued.
    ///
    /// # Errors
    /// [`SyncError::QueueFull`], [`SyncError::Storage`].
    pub async fn pushed(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: Digest,
    ) -> Result<bool, SyncError> {
        let _ = (repository, reference, digest);
        Err(SyncError::Running)
    }

    /// How the job stands, by what is on the storage.
    ///
    /// # Errors
    /// [`SyncError::Storage`].
    pub async fn status(&self) -> Result<JobStatus, SyncError> {
        Err(SyncError::Running)
    }

    /// What was done here, for metrics.
    #[must_use]
    pub fn counts(&self) -> JobCounts {
        JobCounts::default()
    }
}

impl fmt::Debug for Synchronizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synchronizer").field("job", &self.job).finish_non_exhaustive()
    }
}
