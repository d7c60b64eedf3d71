//! Revocations that could not be sent. Only their repositories are kept: everything of a repository
//! is dropped when Redis is back, which costs it a few look-ups in the storage.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use oci::RepositoryName;

use crate::limits::{ENTRY_LIFETIME, PENDING_REPOSITORIES_MAX};

#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// So that nobody takes the lock as long as nothing went wrong.
    is_concerned: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// With the number of the last failure.
    repositories: HashMap<RepositoryName, u64>,
    failures: u64,
    /// Until when nothing in Redis is believed.
    distrusted_until: Option<Instant>,
}

/// What has to be done before Redis is believed about a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing.
    Now,
    /// Its entries have to be dropped first. The number is for [`Pending::sent`].
    AfterSending(u64),
    /// It can't be believed for a while.
    NotYet,
}

impl Pending {
    /// Keeps a revocation in mind. Returns whether that was one too many.
    pub(crate) fn add(&self, name: &RepositoryName, now: Instant) -> bool {
        let mut state = self.lock();
        self.is_concerned.store(true, Ordering::Release);
        state.failures += 1;
        let number = state.failures;
        let is_full = state.repositories.len() >= PENDING_REPOSITORIES_MAX;
        if is_full && !state.repositories.contains_key(name) {
            state.repositories.clear();
            state.distrusted_until = Some(now + ENTRY_LIFETIME);
            return true;
        }
        state.repositories.insert(name.clone(), number);
        false
    }

    /// Whether Redis may be believed about a repository at `now`.
    pub(crate) fn trust(&self, name: &RepositoryName, now: Instant) -> Trust {
        if !self.is_concerned.load(Ordering::Acquire) {
            return Trust::Now;
        }
        let mut state = self.lock();
        if state.distrusted_until.is_some_and(|until| now < until) {
            return Trust::NotYet;
        }
        state.distrusted_until = None;
        state.repositories.get(name).map_or(Trust::Now, |number| Trust::AfterSending(*number))
    }

    /// Notes that a repository's entries were dropped. Another failure since then still counts.
    pub(crate) fn sent(&self, name: &RepositoryName, number: u64) {
        let mut state = self.lock();
        if state.repositories.get(name) == Some(&number) {
            state.repositories.remove(name);
        }
        if state.repositories.is_empty() && state.distrusted_until.is_none() {
            self.is_concerned.store(false, Ordering::Release);
        }
    }

    /// One that has to be sent.
    pub(crate) fn next(&self) -> Option<(RepositoryName, u64)> {
        self.lock().repositories.iter().next().map(|(name, number)| (name.clone(), *number))
    }

    /// A panic elsewhere leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    #[test]
    fn a_repository_is_believed_after_its_last_failure_was_made_good() {
        let pending = Pending::default();
        let now = Instant::now();
        assert_eq!(pending.trust(&name("one"), now), Trust::Now);
        assert!(!pending.add(&name("one"), now));
        let Trust::AfterSending(first) = pending.trust(&name("one"), now) else { panic!() };
        assert_eq!(pending.trust(&name("two"), now), Trust::Now);
        assert!(!pending.add(&name("one"), now));
        pending.sent(&name("one"), first);
        let Trust::AfterSending(second) = pending.trust(&name("one"), now) else { panic!() };
        assert_eq!(pending.next(), Some((name("one"), second)));
        pending.sent(&name("one"), second);
        assert_eq!(pending.trust(&name("one"), now), Trust::Now);
        assert_eq!(pending.next(), None);
        assert!(!pending.is_concerned.load(Ordering::Acquire));
    }

    #[test]
    fn one_too_many_and_nothing_is_believed_for_a_lifetime() {
        let pending = Pending::default();
        let now = Instant::now();
        for number in 0..PENDING_REPOSITORIES_MAX {
            assert!(!pending.add(&name(&format!("r{number}")), now));
        }
        assert!(!pending.add(&name("r0"), now), "that one is known");
        assert!(pending.add(&name("one-more"), now));
        assert_eq!(pending.next(), None, "and none is kept");
        assert_eq!(pending.trust(&name("any"), now), Trust::NotYet);
        let almost = now + ENTRY_LIFETIME.mul_f64(0.99);
        assert_eq!(pending.trust(&name("any"), almost), Trust::NotYet);
        assert_eq!(pending.trust(&name("any"), now + ENTRY_LIFETIME), Trust::Now);
    }
}
