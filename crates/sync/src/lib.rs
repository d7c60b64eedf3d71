//! Scheduled replication: jobs that copy repositories between this registry and other ones.
//!
//! A [`Job`] copies between this registry and one *remote*, [from](Direction::From) it or
//! [to](Direction::To) it. It reads at its *source* and writes at its *target*. A run *plans* what
//! the target lacks, puts that into the job's queue, and works the queue off. The queue lies on the
//! storage: what is in it is gone on with, by whichever server, after whatever happened. One process
//! works on a job at a time, by a lease.
//!
//! Nothing is changed on its way: every manifest has at the target the bytes and the digest that it
//! has at the source. Children come before what names them, blobs before manifests, tags last.
//!
//! [`Synchronizer`] does one job. Who starts it, and when, is not known here:
//!
//! - [`Synchronizer::run`] on a schedule or by hand: plans, and works off what is queued.
//! - [`Synchronizer::work`] after the start and after a push: works off what is queued and due. It
//!   ends when nothing is; [`JobCounts::next_due`] says when something is.
//! - [`Synchronizer::pushed`] at a push: what is queued when it returns is on stable storage.
//!
//! [`Selection`], [`Platforms`] and [`NameMap`] say what is copied, and are pure.

mod ages;
mod child;
mod companions;
mod copy;
mod engine;
mod error;
mod fault;
mod gate;
mod health;
mod holding;
mod job;
pub mod limits;
mod metrics;
mod place;
mod plan;
mod planning;
mod queue;
mod report;
mod retries;
mod selection;
mod synchronizer;
mod tally;
mod times;
mod turns;
mod working;

pub use child::{Child, ChildPlatform};
pub use error::SyncError;
pub use gate::Gate;
pub use job::{Direction, Job, Pace};
pub use metrics::register_metrics;
pub use plan::{Plan, PlannedItem, Reason};
pub use report::{Holder, JobCounts, JobStatus, LastRun, Problem, QueuedItem, RunReport};
pub use selection::{
    NameMap, NameMapError, Platform, PlatformError, Platforms, Selection, VersionRange,
    VersionRangeError,
};
pub use synchronizer::Synchronizer;
