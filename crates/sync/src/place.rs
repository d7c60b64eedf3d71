//! The two sides of a job: here and there.

mod here;
mod reading;
mod there;

use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::Stream;
use oci::{Digest, MediaType, Reference, RepositoryName, Tag};

use crate::Selection;
use crate::ages::Ages;
use crate::fault::Result;

pub(crate) use here::Here;
pub(crate) use reading::Content;
pub(crate) use there::There;

/// The bytes of a blob. An error ends them.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A manifest.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: MediaType,
    pub(crate) content: Bytes,
}

/// The tags of a repository.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    pub(crate) names: Vec<Tag>,
    /// Whether it has more than are looked at.
    pub(crate) is_cut: bool,
}

/// A side of a job, of which is read.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Here(Here),
    There(There),
}

impl Place {
    /// The repositories that a selection means, sorted, and how many more there are, at least.
    pub(crate) async fn repositories(
        &self,
        selection: &Selection,
    ) -> Result<(Vec<RepositoryName>, u64)> {
        if let Some(names) = selection.named_repositories() {
            return Ok((sorted(names), 0));
        }
        match self {
            Self::Here(here) => here.repositories(selection).await,
            Self::There(there) => there.repositories(selection).await,
        }
    }

    /// The tags of a repository; none when there is no such repository.
    pub(crate) async fn tags(&self, name: &RepositoryName) -> Result<Tags> {
        match self {
            Self::Here(here) => Ok(Tags { names: here.tags(name).await?, is_cut: false }),
            Self::There(there) => there.tags(name).await,
        }
    }

    /// The digest of what a reference names; `None` when there is nothing.
    pub(crate) async fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Digest>> {
        match self {
            Self::Here(here) => here.resolve(name, reference).await,
            Self::There(there) => there.resolve(name, reference).await,
        }
    }

    /// A manifest, checked against its digest.
    pub(crate) async fn manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Found> {
        match self {
            Self::Here(here) => here.manifest(name, digest).await,
            Self::There(there) => there.manifest(name, digest).await,
        }
    }

    /// What refers to a manifest.
    pub(crate) async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Digest>> {
        match self {
            Self::Here(here) => here.referrers(name, subject).await,
            Self::There(there) => there.referrers(name, subject).await,
        }
    }

    /// When a tag was written, or what it names was made, as far as that can be known.
    pub(crate) async fn time_of(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        ages: &Ages,
    ) -> Result<Option<SystemTime>> {
        match self {
            Self::Here(here) => here.time_of(name, tag).await,
            Self::There(there) => there.time_of(name, tag, ages).await,
        }
    }
}

fn sorted(mut names: Vec<RepositoryName>) -> Vec<RepositoryName> {
    names.sort_unstable();
    names.dedup();
    names
}
