//! What is going to be taken.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use oci::{Digest, RepositoryName};

use crate::claims::Claim;

/// What goes, by repository, and what is left of what went before.
#[derive(Debug)]
pub(crate) struct Plan {
    repositories: HashMap<RepositoryName, Going>,
    /// What was used within this time stays.
    pub(crate) used_within: Duration,
    /// Content whose links earlier evictions took.
    pub(crate) pending: Vec<Digest>,
}

/// What of a repository goes. With it go the links of the blobs that nothing else there names, and
/// the tags that name nothing.
#[derive(Debug, Default)]
pub(crate) struct Going {
    /// Manifests.
    pub(crate) manifests: HashSet<Claim>,
    /// Blobs that no manifest there names.
    pub(crate) layers: HashSet<Claim>,
}

impl Plan {
    pub(super) fn new(used_within: Duration) -> Self {
        Self { repositories: HashMap::new(), used_within, pending: Vec::new() }
    }

    /// What goes of a repository.
    pub(crate) fn of(&self, name: &RepositoryName) -> Option<&Going> {
        self.repositories.get(name)
    }

    /// Whether anything of a repository goes.
    pub(crate) fn takes_from(&self, name: &RepositoryName) -> bool {
        self.repositories.contains_key(name)
    }

    pub(super) fn going(&mut self, name: &RepositoryName) -> &mut Going {
        self.repositories.entry(name.clone()).or_default()
    }

    /// Whether nothing goes but, at most, what is left of what went before.
    pub(super) fn takes_nothing(&self) -> bool {
        self.repositories.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.takes_nothing() && self.pending.is_empty()
    }
}
