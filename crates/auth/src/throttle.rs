//! Failed logins are slowed down: by user and address, and by address.
//!
//! The first few failures are answered at once, the next ones later and later, and in the end there
//! is a 429 without a look at the password until some of them are forgotten. Each count belongs to
//! one address and user, so that a machine with a wrong password does not lock out the others
//! behind the same address; a second, larger count per address bounds those who try many users.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::limits::{
    FAILURE_DELAY_FIRST, FAILURE_DELAY_MAX, FAILURE_DELAYS_MAX, FAILURE_OF_ADDRESS_FORGOTTEN,
    FAILURE_OF_USER_FORGOTTEN, FAILURES_FREE, FAILURES_OF_ADDRESS_MAX, FAILURES_OF_USER_MAX,
    FAILURES_TRACKED_MAX,
};
use crate::refusal::Refusal;

/// Counts failed logins.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// What is counted for, as a keyed hash: user names come from strangers and are of any length.
    counts: Mutex<HashMap<u64, Count>>,
    hasher: RandomState,
    delays: Semaphore,
}

/// A count that goes down by one in each period: kept as the time at which it is nothing again.
#[derive(Debug, Clone, Copy)]
struct Count {
    over_at: Instant,
}

/// How one kind of count goes.
#[derive(Debug, Clone, Copy)]
struct Rule {
    max: u32,
    forgotten_after: Duration,
}

const OF_USER: Rule =
    Rule { max: FAILURES_OF_USER_MAX, forgotten_after: FAILURE_OF_USER_FORGOTTEN };
const OF_ADDRESS: Rule =
    Rule { max: FAILURES_OF_ADDRESS_MAX, forgotten_after: FAILURE_OF_ADDRESS_FORGOTTEN };

impl Rule {
    /// The failures that are not forgotten.
    fn failures(self, count: Count, now: Instant) -> u32 {
        let left = count.over_at.saturating_duration_since(now);
        let failures = left.as_nanos().div_ceil(self.forgotten_after.as_nanos());
        u32::try_from(failures).unwrap_or(u32::MAX)
    }

    /// How long until one more is looked at; none if it may be now.
    fn wait(self, count: Count, now: Instant) -> Option<Duration> {
        if self.failures(count, now) < self.max {
            return None;
        }
        let left = count.over_at.saturating_duration_since(now);
        Some(left.saturating_sub(self.forgotten_after * (self.max - 1)))
    }
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            counts: Mutex::new(HashMap::new()),
            hasher: RandomState::new(),
            delays: Semaphore::new(FAILURE_DELAYS_MAX),
        }
    }

    /// Whether a password of that user from that address is looked at.
    ///
    /// # Errors
    /// [`Refusal::TooManyFailures`].
    pub(crate) fn admit(&self, address: Option<IpAddr>, user: &str) -> Result<(), Refusal> {
        let now = Instant::now();
        let counts = self.counts();
        let keys = [(Some(self.user_key(address, user)), OF_USER), (self.key(address), OF_ADDRESS)];
        let waits = keys.iter().filter_map(|(key, rule)| rule.wait(*counts.get(&(*key)?)?, now));
        waits.max().map_or(Ok(()), |retry_after| Err(Refusal::TooManyFailures { retry_after }))
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, address: Option<IpAddr>, user: &str) {
        let now = Instant::now();
        let mut counts = self.counts();
        let keys = [(Some(self.user_key(address, user)), OF_USER), (self.key(address), OF_ADDRESS)];
        for (key, rule) in keys {
            let Some(key) = key else { continue };
            if !counts.contains_key(&key) {
                make_room(&mut counts, now);
            }
            let count = counts.entry(key).or_insert(Count { over_at: now });
            count.over_at = count.over_at.max(now) + rule.forgotten_after;
        }
    }

    /// Forgets the failures of that user from that address. Those of the address stay, or somebody
    /// with a password of their own could go on trying those of others.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>, user: &str) {
        self.counts().remove(&self.user_key(address, user));
    }

    /// Waits as long as the answer to a failure is held back. Only so many are at a time.
    ///
    /// # Errors
    /// [`Refusal::TooManyFailures`] if too many wait already.
    pub(crate) async fn delay(&self, address: Option<IpAddr>, user: &str) -> Result<(), Refusal> {
        let count = self.counts().get(&self.user_key(address, user)).copied();
        let failures = count.map_or(0, |count| OF_USER.failures(count, Instant::now()));
        let Some(step) = failures.checked_sub(FAILURES_FREE + 1) else { return Ok(()) };
        let delay = FAILURE_DELAY_FIRST.saturating_mul(1 << step.min(16)).min(FAILURE_DELAY_MAX);
        let Ok(_waiting) = self.delays.try_acquire() else {
            return Err(Refusal::TooManyFailures { retry_after: FAILURE_DELAY_MAX });
        };
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<u64, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, address: Option<IpAddr>) -> Option<u64> {
        Some(self.hasher.hash_one(("address", network(address?))))
    }

    fn user_key(&self, address: Option<IpAddr>, user: &str) -> u64 {
        self.hasher.hash_one(("user", address.map(network), user))
    }
}

/// What counts as one address: whoever has an IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Drops what is forgotten when the table is full, and what will be soonest if that is not enough.
/// Going through all of it is little beside the password that was just verified.
fn make_room(counts: &mut HashMap<u64, Count>, now: Instant) {
    if counts.len() < FAILURES_TRACKED_MAX {
        return;
    }
    counts.retain(|_, count| count.over_at > now);
    if counts.len() >= FAILURES_TRACKED_MAX
        && let Some(first) = counts.iter().min_by_key(|(_, count)| count.over_at)
    {
        let key = *first.0;
        counts.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    async fn delay_of(throttle: &Throttle, user: &str) -> Duration {
        let before = Instant::now();
        throttle.delay(HOME, user).await.unwrap();
        before.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_later_and_later_and_then_not_at_all() {
        let throttle = Throttle::new();
        let mut delays = Vec::new();
        for _ in 0..FAILURES_OF_USER_MAX {
            throttle.admit(HOME, "alice").unwrap();
            throttle.failed(HOME, "alice");
            delays.push(delay_of(&throttle, "alice").await.as_millis());
        }
        // The tenth is counted a little over 15 s after the first, which is forgotten by then.
        assert_eq!(delays, [0, 0, 0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        throttle.failed(HOME, "alice");
        let Err(Refusal::TooManyFailures { retry_after }) = throttle.admit(HOME, "alice") else {
            panic!("admitted");
        };
        assert!(retry_after <= FAILURE_OF_USER_FORGOTTEN, "{retry_after:?}");
        tokio::time::advance(retry_after).await;
        throttle.admit(HOME, "alice").unwrap();
        throttle.failed(HOME, "alice");
        assert!(throttle.admit(HOME, "alice").is_err());
        tokio::time::advance(FAILURE_OF_USER_FORGOTTEN * FAILURES_OF_USER_MAX).await;
        assert_eq!(delay_of(&throttle, "alice").await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_are_of_one_address_and_user() {
        let throttle = Throttle::new();
        for _ in 0..FAILURES_OF_USER_MAX {
            throttle.failed(HOME, "alice");
        }
        assert!(throttle.admit(HOME, "alice").is_err());
        assert!(throttle.admit(HOME, "bob").is_ok());
        assert!(throttle.admit(ip("192.0.2.2"), "alice").is_ok());
        assert!(throttle.admit(None, "alice").is_ok());
        throttle.succeeded(HOME, "bob");
        assert!(throttle.admit(HOME, "alice").is_err());
        throttle.succeeded(HOME, "alice");
        assert!(throttle.admit(HOME, "alice").is_ok());
        for _ in 0..FAILURES_OF_USER_MAX {
            throttle.failed(None, "alice");
        }
        assert!(throttle.admit(None, "alice").is_err());
        assert!(throttle.admit(HOME, "alice").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn trying_many_users_ends_too_and_a_success_does_not_help() {
        let throttle = Throttle::new();
        for n in 0..FAILURES_OF_ADDRESS_MAX {
            throttle.admit(HOME, "mine").unwrap();
            throttle.failed(HOME, &format!("user-{n}"));
            throttle.succeeded(HOME, "mine");
        }
        assert!(throttle.admit(HOME, "another").is_err());
        assert!(throttle.admit(ip("192.0.2.2"), "another").is_ok());
        tokio::time::advance(FAILURE_OF_ADDRESS_FORGOTTEN).await;
        assert!(throttle.admit(HOME, "another").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_address() {
        let throttle = Throttle::new();
        for n in 0..FAILURES_OF_USER_MAX {
            throttle.failed(ip(&format!("2001:db8::{n:x}")), "alice");
        }
        assert!(throttle.admit(ip("2001:db8::ffff"), "alice").is_err());
        assert!(throttle.admit(ip("2001:db8:0:1::1"), "alice").is_ok());
        // An IPv4 address is the same in either form.
        for _ in 0..FAILURES_OF_USER_MAX {
            throttle.failed(ip("::ffff:192.0.2.1"), "bob");
        }
        assert!(throttle.admit(HOME, "bob").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_answers_are_held_back() {
        let throttle = Throttle::new();
        for _ in 0..=FAILURES_FREE {
            throttle.failed(HOME, "alice");
        }
        let all = throttle.delays.try_acquire_many(u32::try_from(FAILURE_DELAYS_MAX).unwrap());
        let refused = throttle.delay(HOME, "alice").await;
        assert!(matches!(refused, Err(Refusal::TooManyFailures { .. })), "{refused:?}");
        drop(all);
        throttle.delay(HOME, "alice").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_loses_what_is_over_first() {
        let throttle = Throttle::new();
        for _ in 0..FAILURES_OF_USER_MAX {
            throttle.failed(HOME, "alice");
        }
        for n in 0..FAILURES_TRACKED_MAX {
            throttle.failed(None, &n.to_string());
        }
        assert_eq!(throttle.counts().len(), FAILURES_TRACKED_MAX);
        assert!(throttle.admit(HOME, "alice").is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        throttle.failed(None, "after an hour");
        assert_eq!(throttle.counts().len(), 1);
    }
}
