//! How many requests a client may make (`http.ratelimit`).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter as Limiter};

use crate::client_address::allowance_key;
use crate::error::ApiError;
use crate::exchange::Call;
use crate::limits::RATE_LIMIT_KEYS_MAX;

/// An allowance of requests, the same for every client. It fills evenly: after `burst` requests at
/// once there is one more every `period / requests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in each period.
    pub requests: NonZeroU32,
    /// The period; less than a nanosecond for each request counts as one.
    pub period: Duration,
    /// Requests that may come at once after a pause.
    pub burst: NonZeroU32,
    /// Who has an allowance.
    pub by: RateLimitBy,
}

/// Who has an allowance of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateLimitBy {
    /// Each address; with IPv6, each /64.
    #[default]
    Address,
    /// Each user, and each address for requests that no user made.
    User,
}

/// Who an allowance belongs to. All that come by a unix socket and name no address share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(Option<IpAddr>),
    User(Box<str>),
}

type Counts<C> = Limiter<
    Key,
    DashMapStateStore<Key>,
    C,
    governor::middleware::NoOpMiddleware<<C as governor::clock::Clock>::Instant>,
>;

/// Counts requests against the allowances.
///
/// Clients are remembered only while their allowance is not full. Should there ever be more than
/// [`RATE_LIMIT_KEYS_MAX`] of them, all are forgotten at once: so many senders are a load that no
/// allowance of theirs holds off, and then this must not be what makes the memory run out.
#[derive(Debug)]
pub(crate) struct RateLimiter<C: Clock + Clone = DefaultClock> {
    by: RateLimitBy,
    quota: Quota,
    clock: C,
    counts: RwLock<Counts<C>>,
    keys_max: usize,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, DefaultClock::default(), RATE_LIMIT_KEYS_MAX)
    }
}

impl<C: Clock + Clone> RateLimiter<C> {
    fn with_clock(limit: RateLimit, clock: C, keys_max: usize) -> Self {
        let interval = (limit.period / limit.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval)
            // Never: the interval is not zero.
            .unwrap_or_else(|| Quota::per_second(limit.requests))
            .allow_burst(limit.burst);
        let counts = RwLock::new(Counts::dashmap_with_clock(quota, clock.clone()));
        Self { by: limit.by, quota, clock, counts, keys_max }
    }

    /// Counts a request before anybody asked who sent it. Only an allowance by address is used up.
    ///
    /// # Errors
    /// How long to wait until the next request may come.
    pub(crate) fn before_authentication(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        match self.by {
            RateLimitBy::Address => self.take(Key::Address(address.map(allowance_key))),
            RateLimitBy::User => Ok(()),
        }
    }

    /// Counts a request whose sender is known, or known to be anonymous. Only an allowance by user
    /// is used up.
    ///
    /// # Errors
    /// How long to wait until the next request may come.
    pub(crate) fn after_authentication(
        &self,
        address: Option<IpAddr>,
        user: Option<&str>,
    ) -> Result<(), Duration> {
        match (self.by, user) {
            (RateLimitBy::Address, _) => Ok(()),
            (RateLimitBy::User, Some(user)) => self.take(Key::User(user.into())),
            (RateLimitBy::User, None) => self.take(Key::Address(address.map(allowance_key))),
        }
    }

    fn take(&self, key: Key) -> Result<(), Duration> {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = counts.check_key(&key).map_err(|not| not.wait_time_from(self.clock.now()));
        let is_full = counts.len() > self.keys_max;
        drop(counts);
        if is_full {
            self.make_room();
        }
        outcome
    }

    /// Forgets those whose allowance is full again, or everybody.
    fn make_room(&self) {
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        if counts.len() <= self.keys_max {
            // Somebody else was faster.
            return;
        }
        counts.retain_recent();
        // Half empty, so that the next look at all of them is far off.
        if counts.len() > self.keys_max / 2 {
            tracing::warn!(
                clients = counts.len(),
                "too many clients to limit the rate of each; they all start anew"
            );
            *counts = Counts::dashmap_with_clock(self.quota, self.clock.clone());
        } else {
            counts.shrink_to_fit();
        }
    }
}

/// Refuses a request of an address that has used up its allowance, before its credentials cost
/// anything.
pub(crate) fn before_authentication(call: &Call) -> Result<(), ApiError> {
    let Some(limiter) = &call.app.rate_limiter else { return Ok(()) };
    limiter.before_authentication(call.client_ip()).map_err(|wait| refusal(wait, limiter.by))
}

/// Refuses a request of a user who has used up the allowance, or of an address that has, if no user
/// made it.
pub(crate) fn after_authentication(call: &Call) -> Result<(), ApiError> {
    let Some(limiter) = &call.app.rate_limiter else { return Ok(()) };
    let outcome = limiter.after_authentication(call.client_ip(), call.user());
    outcome.map_err(|wait| refusal(wait, limiter.by))
}

fn refusal(wait: Duration, by: RateLimitBy) -> ApiError {
    let whose = match by {
        RateLimitBy::Address => "address",
        RateLimitBy::User => "user",
    };
    let reason = format!("more requests from this {whose} than http.ratelimit allows");
    ApiError::too_many_requests(wait, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limiter(
        by: RateLimitBy,
        keys_max: usize,
    ) -> (RateLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit {
            requests: NonZeroU32::new(10).unwrap(),
            period: Duration::from_secs(60),
            burst: NonZeroU32::new(3).unwrap(),
            by,
        };
        (RateLimiter::with_clock(limit, clock.clone(), keys_max), clock)
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_burst_and_then_an_even_rate() {
        let (limiter, clock) = limiter(RateLimitBy::Address, 100);
        let ask = |text| limiter.before_authentication(ip(text));
        for _ in 0..3 {
            assert_eq!(ask("1.1.1.1"), Ok(()));
        }
        assert_eq!(ask("1.1.1.1"), Err(Duration::from_secs(6)));
        assert_eq!(ask("1.1.1.2"), Ok(()), "another client has its own");
        clock.advance(Duration::from_secs(2));
        assert_eq!(ask("1.1.1.1"), Err(Duration::from_secs(4)), "a refusal costs nothing");
        clock.advance(Duration::from_secs(4));
        assert_eq!(ask("1.1.1.1"), Ok(()));
        assert!(ask("1.1.1.1").is_err());
        clock.advance(Duration::from_secs(3600));
        for _ in 0..3 {
            assert_eq!(ask("1.1.1.1"), Ok(()), "no more than the burst is saved up");
        }
        assert!(ask("1.1.1.1").is_err());
        assert_eq!(limiter.after_authentication(ip("1.1.1.1"), Some("u")), Ok(()));
    }

    #[test]
    fn by_user_and_by_address_for_the_anonymous() {
        let (limiter, _clock) = limiter(RateLimitBy::User, 100);
        for address in ["1.1.1.1", "1.1.1.2", "1.1.1.3"] {
            assert_eq!(limiter.before_authentication(ip(address)), Ok(()));
            assert_eq!(limiter.after_authentication(ip(address), Some("ann")), Ok(()));
        }
        assert!(limiter.after_authentication(ip("1.1.1.4"), Some("ann")).is_err());
        assert_eq!(limiter.after_authentication(ip("1.1.1.4"), Some("bob")), Ok(()));
        for host in 1..=3 {
            let address = ip(&format!("2001:db8::{host}"));
            assert_eq!(limiter.after_authentication(address, None), Ok(()));
        }
        assert!(limiter.after_authentication(ip("2001:db8::4"), None).is_err(), "the same /64");
        assert_eq!(limiter.after_authentication(None, None), Ok(()));
    }

    #[test]
    fn the_number_of_clients_is_bounded() {
        let (limiter, clock) = limiter(RateLimitBy::Address, 100);
        let len = || limiter.counts.read().unwrap().len();
        let ask = |n: u32| limiter.before_authentication(Some(IpAddr::V4(n.into())));
        for n in 0..100 {
            assert_eq!(ask(n), Ok(()));
        }
        assert_eq!(len(), 100);
        clock.advance(Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(ask(1000), Ok(()));
        }
        assert!(len() < 10, "those whose allowance was full again are gone: {}", len());
        assert!(ask(1000).is_err(), "the others are not");
        for n in 0..10_000 {
            let _ = ask(n);
            assert!(len() <= 101);
        }
    }
}
