//! What a job is.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use proxy::Upstream;

use crate::{NameMap, Platforms, Selection};

/// Where a job copies from, and where to.
#[derive(Debug, Clone)]
pub enum Direction {
    /// From a remote to this registry.
    From(Arc<Upstream>),
    /// From this registry to a remote.
    To(Arc<Upstream>),
}

impl Direction {
    /// The remote.
    #[must_use]
    pub const fn remote(&self) -> &Arc<Upstream> {
        match self {
            Self::From(remote) | Self::To(remote) => remote,
        }
    }
}

/// One job. All of it comes from the configuration.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name, a component of a path: lower-case letters and digits, with single `.`, `_` or `-`
    /// between.
    pub name: String,
    /// Where it copies from, and where to. The client is this job's alone, as it is slowed down to
    /// the job's pace.
    pub direction: Direction,
    /// What of the source is copied.
    pub selection: Selection,
    /// What it is called at the target.
    pub names: NameMap,
    /// Of which platforms.
    pub platforms: Platforms,
    /// Whether signatures and whatever else refers to an image go along.
    pub referrers: bool,
    /// How fast.
    pub pace: Pace,
    /// How many images are copied at once, at least one.
    pub concurrency: usize,
}

/// How fast a job may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Bytes of blobs in a second; no limit when `None`.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Requests to the remote in a minute; no limit when `None`.
    pub requests_per_minute: Option<NonZeroU32>,
}
