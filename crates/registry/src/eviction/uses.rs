//! When what a repository has was last used.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use oci::{Digest, RepositoryName, Tag};

use super::scheduler::SchedulerState;
use crate::collection::{Contents, Node};
use crate::pulls::PullTimes;

/// How deep indexes of indexes, and signatures of signatures, are told apart.
const DEPTH_MAX: u32 = 64;

/// When something was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    /// As far as it is known.
    pub(super) last: SystemTime,
    /// Since when it is known that it was not used. That is not known of the time before pulls were
    /// noted, but of what Distribution cached, which counts from the fetch.
    pub(super) idle_since: SystemTime,
    /// How many manifests are above it, one upon the other.
    pub(super) depth: u32,
}

impl Used {
    /// Takes in that something was used of which this is a part.
    fn is_used_with(&mut self, parent: Self) -> bool {
        let before = *self;
        self.last = self.last.max(parent.last);
        self.idle_since = self.idle_since.max(parent.idle_since);
        self.depth = self.depth.max((parent.depth + 1).min(DEPTH_MAX));
        *self != before
    }
}

/// What is known of the uses of a repository.
pub(super) struct Uses<'a> {
    pub(super) name: &'a RepositoryName,
    pub(super) pulls: &'a PullTimes,
    pub(super) scheduler: &'a SchedulerState,
    /// After which time Distribution let things go.
    pub(super) ttl: Duration,
}

impl Uses<'_> {
    /// When something was used that was written at `modified`, by its digests and tags.
    pub(super) fn of(&self, modified: SystemTime, digests: &[Digest], tags: &[&Tag]) -> Used {
        let scheduled = |digest| self.scheduler.used(self.name, digest, self.ttl);
        let scheduled = digests.iter().filter_map(scheduled).max();
        let by_name = tags.iter().filter_map(|tag| self.pulls.of_name(tag)).max();
        let pulled = self.pulls.of_digests(digests.iter().copied()).max(by_name);
        let last = modified.max(pulled.max(scheduled).unwrap_or(modified));
        let idle_since = match (scheduled, self.pulls.since()) {
            (None, Some(since)) => last.max(since),
            _ => last,
        };
        Used { last, idle_since, depth: 0 }
    }
}

/// Takes in that what a manifest is used for, its children and referrers are used for as well.
pub(super) fn spread(contents: &Contents, uses: &mut [Used]) {
    let nodes = &contents.manifests;
    let mut places: HashMap<Digest, usize> = HashMap::new();
    for (place, node) in nodes.iter().enumerate() {
        places.extend(node.aliases.iter().chain([&node.digest]).map(|digest| (*digest, place)));
    }
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (place, node) in nodes.iter().enumerate() {
        let Node { parts, subject, .. } = node;
        below[place].extend(parts.iter().filter_map(|part| places.get(part)));
        if let Some(subject) = subject.as_ref().and_then(|subject| places.get(subject)) {
            below[*subject].push(place);
        }
    }
    let mut open: Vec<_> = (0..nodes.len()).collect();
    while let Some(place) = open.pop() {
        let parent = uses[place];
        for child in &below[place] {
            if *child != place && uses[*child].is_used_with(parent) {
                open.push(*child);
            }
        }
    }
}
